"""Help, exit codes, and what a person sees when something goes wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from searchplat import __version__
from searchplat.cli.app import app
from searchplat.errors import SearchplatError, TryAgainError

Run = Callable[..., Result]

COMMANDS = [
    ["search"], ["check"], ["status"], ["trials"], ["best"], ["report"], ["run"], ["methods"], ["data"], ["assets"],
    ["assets", "fetch"], ["assets", "verify"], ["assets", "remove"], ["promote"], ["compare"], ["predict"],
    ["export"], ["sync"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_help_of_every_command_has_an_example_that_names_it(cli: Run, command: list[str]) -> None:
    result = cli(*command, "--help")
    assert result.exit_code == 0
    _, found, examples = result.output.partition("Example")
    assert found
    assert f"searchplat {' '.join(command)}" in examples


def test_help_names_every_command_and_the_exit_codes(cli: Run) -> None:
    output = cli("--help").output
    assert all(command[0] in output for command in COMMANDS)
    assert "75" in output


def test_version(cli: Run) -> None:
    assert cli("--version").output.strip() == f"searchplat {__version__}"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from searchplat.cli import app\n"
        "heavy = {'torch', 'ray', 'mlflow', 'optuna', 'numpy', 'pydantic', 'pandas', 'transformers'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nothing"], 2, "No such command 'nothing'"),
        (["status", "nope"], 2, "error: search 'nope' does not exist"),
        (["trials", "nope"], 2, "error: search 'nope' does not exist"),
        (["best", "nope"], 2, "error: search 'nope' does not exist"),
        (["best", "Not/A/Name"], 2, "must match"),
        (["search", "darec", "--name", ""], 2, "search name '': must match"),
        (["search", "darec", "--fork", ""], 2, "search name '': must match"),
        (["search", "darec", "--fork", "new"], 2, "search 'darec-quick' does not exist"),
        (["check", "darec", "--name", ""], 2, "search name '': must match"),
        (["search", "darec", "--tracking-uri", "foo://bar"], 2, "MLflow has no store for foo://"),
        (["search", "nope.yaml"], 2, "nope.yaml: there is no such file"),
        (["check", "nope.yaml"], 2, "nope.yaml: there is no such file"),
        (["check"], 2, "give a space file, or --schema"),
        (["run", "nope.yaml"], 2, "nope.yaml: there is no such file"),
        (["methods", "nope"], 2, "method 'nope' is not installed; installed are:"),
        (["data", "nope"], 2, "data set 'nope' is not installed; installed are:"),
        (["data", "toy", "--set", "users"], 2, "an option has the form key=value"),
        (["assets", "fetch", "nope"], 2, "asset 'nope' must be one of"),
        (["assets", "remove", "nope"], 2, "only catalogue assets can be removed"),
        (["assets", "verify", "nope"], 2, "is not in the cache"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_input_is_a_sentence_and_exit_code_2(cli: Run, words: list[str], code: int, message: str) -> None:
    result = cli(*words)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (SearchplatError("it failed"), 1, "error: it failed"),
        (TryAgainError("the disk is full"), 75, "error: the disk is full"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("a bug \x1b[2J"), 1, "error: ZeroDivisionError: a bug \\x1b[2J"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_each_kind_of_error_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    def fail() -> None:
        raise error

    # `method_names` is what `searchplat methods` calls first.
    monkeypatch.setattr("searchplat.views.installed.method_names", fail)
    result = CliRunner().invoke(app, ["methods"])
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert ("--traceback" in result.stderr) == isinstance(error, ZeroDivisionError)

    shown = CliRunner().invoke(app, ["--traceback", "methods"])
    assert shown.exit_code == code
    assert "Traceback" in shown.stderr


def test_the_installed_command_answers(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "searchplat", "status"], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "no search in" in done.stdout


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m searchplat methods --json | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
