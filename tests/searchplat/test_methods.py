"""Methods by entry point, and by `module:attribute` where that is allowed."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from searchplat import methods
from searchplat.cli.app import app
from searchplat.engine.worker.order import Order
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.methods import imports, imports_allowed, is_reference, load_method

SPACE = """
method: loose_method:Loose
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 1}
search: {x: {type: float, low: 0.0, high: 1.0}}
trials: 2
searcher: {name: random}
controls: [{name: other, method: "loose_method:Loose"}]
resources: {cpu: 1, gpu: 0}
"""


def searchplat(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "searchplat", *words], capture_output=True, text=True, timeout=200)


def cli(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(methods).failed == 0


def test_code_named_by_a_file_is_not_even_imported_without_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(InputError, match="give --allow-import if you trust both that code and the file"):
        load_method("evil:Method")
    assert not (tmp_path / "ran").exists()
    with imports(), pytest.raises(InputError, match=r"'evil:Method' cannot be imported \(AttributeError"):
        load_method("evil:Method")
    assert (tmp_path / "ran").exists()


def test_with_leave_it_is_a_method_and_the_leave_ends() -> None:
    with imports():
        with imports():
            pass
        assert load_method("loose_method:Loose").name == "loose"
        assert Order(0, "m", {}, "toy", {}, 1.0, 0, 0, "f").allow_import
    assert not imports_allowed()
    order = Order(0, "m", {}, "toy", {}, 1.0, 0, 0, "f")
    assert not Order.from_json(order.to_json()).allow_import


@pytest.mark.parametrize("name", ["loose_method:NO_METHOD", "pathlib:Path", "os:system"])
def test_what_is_no_method_is_refused_before_it_is_called(name: str) -> None:
    with imports(), pytest.raises(InputError, match="must be a class with Config, prepare and start"):
        load_method(name)


@pytest.mark.parametrize("name", ["a:b:c", "a b:c", "../a:b", "a:b()", "a.:b", ":b", "a:", "os:system('x')"])
def test_what_is_no_reference_is_a_name_that_is_not_installed(name: str) -> None:
    assert not is_reference(name)
    with imports(), pytest.raises(InputError, match="is not installed"):
        load_method(name)


@pytest.mark.parametrize("words", [("search",), ("check",), ("run", "--set", "x=0.5")])
def test_a_space_that_names_code_is_refused_with_the_flag(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    done = cli(words[0], "space.yaml", *words[1:])
    assert done.exit_code == 2, done.output
    assert "space.yaml:2:9 method: method 'loose_method:Loose' is not an installed one" in done.stderr
    assert "give --allow-import" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["space.yaml"]


def test_a_control_that_names_code_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE.replace("loose_method:Loose", "rehearsal", 1))
    done = cli("check", "space.yaml")
    assert done.exit_code == 2
    assert "controls.other.method: method 'loose_method:Loose' is not an installed one" in done.stderr


def test_check_and_run_with_leave(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    checked = cli("check", "space.yaml", "--allow-import")
    assert checked.exit_code == 0, checked.output
    assert "searchplat search space.yaml --allow-import" in checked.stdout
    ran = cli("run", "space.yaml", "--set", "x=0.5", "--json", "--allow-import")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["method"] == "loose_method:Loose"
    assert not imports_allowed(), "the leave ends with the command"


@pytest.mark.slow  # a search on Ray
@pytest.mark.timeout(600)
def test_leave_reaches_the_workers_and_is_asked_for_again(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    done = searchplat("search", "space.yaml", "--allow-import")
    assert done.returncode == 0, done.stderr
    with Ledger.read(tmp_path / "runs" / "space" / "ledger.sqlite") as ledger:
        assert [trial.method for trial in ledger.trials()] == ["loose_method:Loose"] * 3
        opened = ledger.newest("opened")
        assert opened is not None
        assert opened.payload["allow_import"] is True, "the search remembers it"
    for words in (("search", "space.yaml", "--trials", "4"), ("promote", "space")):
        again = searchplat(*words)
        assert again.returncode == 2, again.stderr
        assert "--allow-import" in again.stderr
    # What only reads runs nothing, and needs no leave.
    assert "loose_method:Loose" in cli("status", "space").output
    for command in ("best", "trials", "report"):
        assert cli(command, "space").exit_code == 0, command
