"""A search from Python: what the commands say, and nothing is written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import searchplat as sp
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder

Half = tuple[SearchFolder, Ledger]


def said(cli: Any, *words: str) -> Any:
    return json.loads(cli(*words, "--runs", "runs", "--json").stdout)


def test_it_answers_as_the_commands_do(half_done: Half, cli: Any) -> None:
    search = sp.Search("first", runs="runs")
    best = search.best(3)
    shown = said(cli, "best", "first", "--top", "3")
    assert [trial.number for trial in best] == [one["number"] for one in shown]
    assert [trial.values for trial in best] == [one["objectives"] for one in shown]
    assert [trial.config for trial in best] == [one["config"] for one in shown]
    assert best[0].params["layout"] == best[0].config["layout"]  # taken over from the stage before
    assert [t.number for t in search.best(2, stage="layout")] == [
        one["number"] for one in said(cli, "best", "first", "--top", "2", "--stage", "layout")
    ]
    assert [t.number for t in search.best(4, stage="layout", model=True)] == [
        one["number"] for one in said(cli, "best", "first", "--top", "4", "--stage", "layout", "--model")
    ]
    status, other = search.status(), said(cli, "status", "first")
    assert {**status, "wall_seconds": 0, "trials_per_hour": 0} == {**other, "wall_seconds": 0, "trials_per_hour": 0}
    table = search.trials()
    listed = said(cli, "trials", "first")
    assert table["number"].tolist() == [one["number"] for one in listed]
    assert table["state"].tolist() == [one["state"] for one in listed]
    assert search.curves().query("number == 0 and metric == 'valid/mrr'")["epoch"].tolist() == [1, 2, 3, 4]


def test_the_table_has_types_that_do_not_depend_on_what_is_in_it(half_done: Half) -> None:
    folder, _ = half_done
    table = sp.Search("first", runs=folder.path.parent).trials()
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert kinds["number"] == kinds["epochs"] == kinds["seed"] == "int64"
    assert kinds["seconds"] == kinds["value.valid/mrr"] == kinds["param.x"] == "float64"
    assert kinds["stage"] == kinds["state"] == kinds["param.kind"] == kinds["param.layout"] == "string"
    assert pd.isna(table["param.x"][0])


def test_an_empty_search_has_an_empty_table_and_no_best(empty: Half) -> None:
    folder, _ = empty
    search = sp.Search("first", runs=folder.path.parent)
    assert (len(search.trials()), len(search.curves())) == (0, 0)
    assert "value.valid/mrr" in search.trials().columns
    assert "0 of 16 trials ended" in search._repr_html_()
    with pytest.raises(SearchFailedError, match="no trial that ended with a value"):
        search.best()


def test_nothing_is_written(half_done: Half) -> None:
    folder, ledger = half_done
    ledger.close()
    search = sp.Search("first", runs=folder.path.parent)
    before = {path: path.read_bytes() for path in folder.path.iterdir() if path.suffix == ".sqlite"}
    for answer in (search.best, search.trials, search.curves, search.status, search.report, search._repr_html_):
        answer()
    assert {path: path.read_bytes() for path in before} == before
    assert not (folder.path / "report.html").exists()


def test_the_report_shows_itself_in_a_frame_of_its_own(half_done: Half, tmp_path: Path) -> None:
    folder, _ = half_done
    page = sp.Search("first", runs=folder.path.parent).report()
    shown = page._repr_html_()
    assert shown.startswith("<iframe ")
    assert 'sandbox="allow-scripts"' in shown
    assert "<script" not in shown  # all of it is in the attribute
    assert page.save(tmp_path / "x.html").read_text(encoding="utf-8") == page.html
    with pytest.raises(InputError, match="cannot be written"):
        page.save(tmp_path / "nowhere" / "x.html")


def test_what_trials_say_is_escaped(half_done: Half) -> None:
    folder, ledger = half_done
    from searchplat.searchers.contract import TrialState

    number = ledger.suggest(
        stage="weights", method="rehearsal", values={"kind": "<script>alert(1)</script>"}, config={}, data_fraction=1.0,
        seed=1,
    ).number  # fmt: skip
    ledger.report(number, 1, {"valid/mrr": 0.99})
    ledger.end(number, TrialState.FINISHED)
    shown = sp.Search("first", runs=folder.path.parent)._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.best(0), "n: must be 1 or more"),
        (lambda s: s.best("a"), "n: must be a whole number, got 'a'"),
        (lambda s: sp.Search(3), "search name 3: must match"),  # type: ignore[arg-type]
        (lambda s: sp.Search("first", runs=3), "runs: must be a path, got 3"),  # type: ignore[arg-type]
        (lambda s: s.compare(against="x"), "against: must be a list such as ['sasrec'], got 'x'"),
        (lambda s: s.compare(alpha="x"), "alpha: must lie in (0, 1), got 'x'"),
        (lambda s: s.promote(top="a"), "top: must be a whole number, got 'a'"),
        (lambda s: s.promote(trials=3), "trials: must be a list such as [0, 3], got 3"),
        (lambda s: s.promote(storage=3), "storage: must be a text, got 3"),
        (lambda s: sp.search(3), "space: must be a space file's path"),  # type: ignore[arg-type]
        (lambda s: sp.search("space.yaml", trials="3"), "trials: must be a whole number, got '3'"),  # type: ignore[arg-type]
        (lambda s: sp.search("space.yaml", fork=3), "fork: must be a text, got 3"),  # type: ignore[arg-type]
        (lambda s: sp.search("space.yaml", notify=3), "notify: must be a list such as"),  # type: ignore[arg-type]
        (lambda s: s.best(by="ndcg"), "by: must be an objective of the search"),
        (lambda s: s.best(stage="x"), "stage: must be one of layout, weights"),
        (lambda s: s.best(stage="x", model=True), "stage: must be one of layout, weights"),
        (lambda s: s.front(stage="x"), "stage: must be one of layout, weights"),
        (lambda s: s.compare(), "promote"),
        (lambda s: s.compare(test="z"), "test: must be one of t, wilcoxon, bootstrap"),
        (lambda s: s.promote(top=0), "top: must be 1 or more"),
        (lambda s: s.promote(top=1, trials=[0]), "trials: says which trials are promoted, and top how many"),
        (lambda s: sp.Search("second", runs=s.folder.parent), "does not exist"),
        (lambda s: sp.search({"method": "rehearsal"}), "needs one"),
        (lambda s: sp.search({"method": "rehearsal"}, name="x"), "the space: must have the key data"),
        (lambda s: sp.search("space.yaml", overrides={"x": print}), "overrides: must be plain values"),
        (
            lambda s: sp.search("space.yaml", overrides="epochs=1"),
            "overrides: must be a list such as ['epochs=1'], or a mapping",
        ),
        (lambda s: sp.search("space.yaml", trials=1, quiet=True), "trials: at least one"),
    ],
)
def test_wrong_input_is_an_error_of_the_project(half_done: Half, space: Path, call: Any, message: str) -> None:
    folder, _ = half_done
    search = sp.Search("first", runs=folder.path.parent)
    with pytest.raises(InputError) as caught:
        call(search)
    assert message in str(caught.value)
    assert f"--{message}" not in str(caught.value)


CONNECTED = """\
import os, sys
import ray
import searchplat as sp
try:
    sp.search("space.yaml", name="early")
except sp.SearchplatError as error:
    print("IMPORTED", error)
print(os.path.exists("runs"))
"""


def test_a_ray_that_was_imported_otherwise_is_said_before_anything_starts(space: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    done = subprocess.run([sys.executable, "-c", CONNECTED], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "before ray is imported" in done.stdout
    assert done.stdout.endswith("False\n")


TWO = """\
import searchplat as sp
first = sp.search("space.yaml", name="one", trials=3, overrides={"epochs": 1})
space = {
    "method": "rehearsal", "data": {"name": "toy"}, "objective": {"metric": "valid/mrr", "direction": "maximize"},
    "search": {"x": {"type": "float", "low": 0.0, "high": 1.0}}, "searcher": {"name": "random"}, "trials": 2,
    "resources": {"cpu": 1, "gpu": 0},
}
second = sp.search(space, name="two", quiet=True)
print("BEST", first.best()[0].number, second.status()["state"], second.folder.joinpath("space.yaml").exists())
import ray
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="error")
try:
    sp.search(space, name="three")
except sp.SearchplatError as error:
    print("REFUSED", error, ray.is_initialized(), second.folder.parent.joinpath("three").exists())
"""


@pytest.mark.by_hand
@pytest.mark.slow  # starts Ray three times
@pytest.mark.timeout(900)
def test_two_searches_in_one_process_then_a_ray_of_its_own(space: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TWO], capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, done.stderr
    assert "one: rehearsal on toy; 5 trials" in done.stdout
    assert "BEST" in done.stdout
    assert "done True" in done.stdout
    assert "REFUSED this process is connected to Ray already" in done.stdout
    assert done.stdout.rstrip().endswith("True False")


LONG = """\
import searchplat as sp
search = sp.search("space.yaml", name="long", overrides={"seconds": 0.5})
print("STATE", search.status()["state"], len(search.trials()) > 0, flush=True)
"""


@pytest.mark.slow  # starts Ray
@pytest.mark.timeout(600)
def test_ctrl_c_ends_it_orderly_and_returns_what_there_is(space: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", LONG], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial "):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "interrupted; the same call goes on from here" in out
    assert "STATE paused True" in out
