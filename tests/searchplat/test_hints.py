"""The commands that are printed: what they carry, and that none is put together elsewhere."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import Result

import searchplat
from searchplat import hints
from searchplat.engine.places import Places
from searchplat.engine.planning.past import with_past
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec import from_document, load, to_document
from searchplat.spec.model import NotifySpec, SearcherSpec, SearchSpec
from searchplat.tracking.sending.sink import MlflowSink
from searchplat.views.snapshot import take

Half = tuple[SearchFolder, Ledger]


def test_a_search_elsewhere_is_named_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hints.on_search("best", "a", Path("runs").absolute()) == "searchplat best a"
    elsewhere = tmp_path / "my runs"
    command = hints.on_search("best", "a", elsewhere, "--top", "3")
    assert shlex.split(command) == ["searchplat", "best", "a", "--top", "3", "--runs", str(elsewhere)]
    monkeypatch.setenv("SEARCHPLAT_RUNS", str(elsewhere))
    assert hints.on_search("best", "a", elsewhere) == "searchplat best a"
    assert hints.on_search("best", "a", elsewhere, here=False).endswith(f"--runs '{elsewhere}'")


def test_a_space_is_named_so_that_it_is_found(space: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = load("space.yaml")
    assert hints.space_word(given) == "space.yaml"
    assert hints.space_word(given, here=False) == str(space)
    assert hints.space_word(replace(given, source=space.with_name("-s.yaml"))) == str(space.with_name("-s.yaml"))
    other = space.parent / "elsewhere"
    other.mkdir()
    monkeypatch.chdir(other)
    assert hints.space_word(given) == str(space)


def test_the_command_that_goes_on_has_all_that_the_search_was_given_and_needs_again(half_done: Half) -> None:
    folder, ledger = half_done
    Places(address="10.0.0.1:6379", insecure_cluster=True, tracking_uri="http://mlflow:5000").record(ledger)
    snapshot = take("first", folder.path, ledger)
    spec, before = snapshot.spec, shlex.split(snapshot.goes_on())
    places = ["--address", "10.0.0.1:6379", "--insecure-cluster", "--tracking-uri", "http://mlflow:5000"]
    assert before[-5:] == places
    told = NotifySpec(command=("mail", "me"), of_space=True)
    more = replace(spec, method="module:Method", notify=(told,), past=("other", "old/x"))
    added = ["--past", "other", "--past", "old/x", "--allow-import", "--allow-command"]
    assert shlex.split(replace(snapshot, spec=more).goes_on()) == [*before[:-5], *added, *places]

    Places(tracking_uri="http://ann:secret@mlflow:5000").record(ledger)
    assert shlex.split(take("first", folder.path, ledger).goes_on()) == before[:-5]


def test_a_store_whose_password_is_hidden_is_not_named() -> None:
    assert hints.store_words("http://***@mlflow:5000") == hints.store_words("http://ann:secret@mlflow:5000") == []


def test_the_store_of_the_working_folder_is_named_in_any_other(
    half_done: Half, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ledger = half_done
    Places().record(ledger)
    snapshot, store = take("first", folder.path, ledger), f"--tracking-uri sqlite:///{tmp_path}/mlflow.db"
    assert "--tracking-uri" not in snapshot.goes_on()
    assert store in snapshot.goes_on(here=False)
    assert store in hints.promotes(ledger, "first", here=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert store in snapshot.goes_on()


def test_mlflow_is_told_the_command_that_is_printed_for_any_folder(half_done: Half, store_uri: str) -> None:
    folder, ledger = half_done
    Places(address="auto").record(ledger)
    sink = MlflowSink.of(ledger, from_document(ledger.document()), "first", store_uri)
    assert sink._about.go_on == take("first", folder.path, ledger).goes_on(here=False)
    assert {"--address", "--runs", "--tracking-uri"} <= set(shlex.split(sink._about.go_on))


@pytest.fixture
def store_uri(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_what_past_was_given_is_remembered_beside_that_of_the_space_and_no_part_of_what_it_is(spec: SearchSpec) -> None:
    own = replace(spec.stages[0], searcher=SearcherSpec("pr", {"past": ["own"]}))
    learns = with_past(replace(spec, stages=(own, *spec.stages[1:])), ["other", "third/weights"])
    back = from_document(to_document(learns))
    assert back == learns
    command = hints.goes_on(back, "a", Path("runs").absolute())
    assert "--past other --past third/weights" in command
    assert "--past own" not in command


@pytest.mark.parametrize("verb", ["best", "promote", "compare", "status"])
def test_what_is_printed_of_a_search_elsewhere_names_its_folder(
    cli: Callable[..., Result], tmp_path: Path, spec: SearchSpec, verb: str
) -> None:
    root = tmp_path / "else where"
    if verb != "status":
        folder = SearchFolder(root, "bare")
        folder.path.mkdir(parents=True)
        Ledger.create(folder.ledger_path, to_document(spec), spec.objectives).close()
    found = cli(verb, *(["bare"] if verb != "status" else []), "--runs", str(root))
    printed = found.stdout + found.stderr
    said = [" ".join(line.split()) for line in printed.split("searchplat ")[1:]]
    assert said, printed
    assert all(f"--runs '{root}'" in line for line in said), printed


def _put_together(path: Path) -> Iterator[int]:
    """Lines in which a command on something is written out, rather than asked for in `hints`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            for before, value in zip(node.values, node.values[1:], strict=False):
                begun = isinstance(before, ast.Constant) and re.search(r"searchplat [a-z]+ $", str(before.value))
                if begun and isinstance(value, ast.FormattedValue):
                    yield node.lineno
        elif isinstance(node, ast.List) and node.elts and isinstance(node.elts[0], ast.Constant):
            if node.elts[0].value == "searchplat":
                yield node.lineno
        elif isinstance(node, ast.Constant) and re.search(r"searchplat [a-z]+ %s", str(node.value)):
            yield node.lineno


NOT_ON_A_SEARCH = {
    "hints.py",
    "cli/app.py",  # the command that was typed
    "cli/promote.py",  # on a model
    "mcp/background.py",  # the command that was started
    "views/reuse.py",  # `run` takes a space
}


def test_no_command_on_a_search_is_put_together_elsewhere() -> None:
    root = Path(searchplat.__file__).parent
    found = {str(path.relative_to(root)): list(_put_together(path)) for path in root.rglob("*.py")}
    assert {name for name, lines in found.items() if lines} <= NOT_ON_A_SEARCH
