"""`searchplat stop`, `pause`, `resume`, `set` against the real end of a driver, without Ray; the whole is in faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from drivers import Driver
from typer.testing import Result

from searchplat.api.steering import ask
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import SearchSpec

Run = Callable[..., Result]
Search = tuple[SearchFolder, Ledger]


@pytest.fixture
def driver(half_done: Search, spec: SearchSpec, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr("searchplat.engine.steering.post._LOOK_S", 0.01)
    with Driver(half_done, spec) as made:
        yield made


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize(
    ("words", "cannot"),
    [
        (("stop", "first"), "stopped"),
        (("stop", "first", "--trial", "14"), "stopped"),
        (("pause", "first"), "paused"),
        (("resume", "first"), "resumed"),
        (("set", "first", "trials=20"), "changed"),
    ],
)
def test_where_nobody_is_at_work_the_command_that_goes_on_is_named(
    cli: Run, words: tuple[str, ...], cannot: str
) -> None:
    refused = cli(*words)
    assert refused.exit_code == 2
    assert f"search 'first' cannot be {cannot}: no driver is at work on it" in refused.stderr
    assert "searchplat search " in refused.stderr
    assert ("--trials N" in refused.stderr) == (words[0] == "set")


def test_wrong_words_are_refused_before_anything_is_asked(cli: Run, half_done: Search) -> None:
    folder, _ = half_done
    assert "search 'other' does not exist" in cli("pause", "other").stderr
    for changes in (["seed=3"], ["trials=none"]):
        refused = cli("set", "first", *changes)
        assert refused.exit_code == 2
    with folder.held():
        held = cli("pause", "first")
    assert held.exit_code == 75
    assert "is held by a process that takes no requests now" in held.stderr
    assert not folder.requests.exists()


def test_pause_and_resume_and_what_status_says_of_them(cli: Run, driver: Driver) -> None:
    said = cli("pause", "first")
    assert said.exit_code == 0
    assert said.stdout.startswith("first: paused by ")
    assert "paused by hand" in cli("status").stdout
    screen = cli("status", "first").stdout
    assert "goes on by: searchplat resume first" in screen
    status = document(cli("status", "first", "--json"))
    assert (status["state"], status["running"], status["paused"]["now"]) == ("paused", True, False)
    assert document(cli("pause", "first", "--json"))["outcome"] == "unchanged"
    assert document(cli("pause", "first", "--now", "--json"))["outcome"] == "done"
    assert document(cli("resume", "first", "--json"))["said"].startswith("resumed by ")
    status = document(cli("status", "first", "--json"))
    assert (status["state"], status["paused"], status["requests"]) == ("running", None, [])


def test_set_and_a_stopped_trial_are_shown_everywhere(cli: Run, driver: Driver) -> None:
    changed = document(cli("set", "first", "stages.weights.trials=9", "concurrent=4", "--json"))
    assert changed["outcome"] == "done"
    assert "stage weights: trials=9; concurrent=4, as " in changed["said"]
    assert document(cli("status", "first", "--json"))["planned_trials"] == 19
    stopped = cli("stop", "first", "--trial", "14")
    assert stopped.exit_code == 0
    assert "first: trial 14 stopped after epoch 2 by " in stopped.stdout
    (row,) = [row for row in cli("trials", "first").stdout.splitlines() if row.split()[:1] == ["14"]]
    assert "stopped" in row
    assert "(stopped by hand)" in row
    refused = cli("stop", "first", "--trial", "99")
    assert refused.exit_code == 2
    assert "trial 99 does not exist; there are 15, from 0" in refused.stderr
    assert cli("best", "first").exit_code == 0
    assert cli("export", "first", "--to", "optuna").exit_code == 0


def test_stop_waits_for_the_end_and_says_how_it_was(cli: Run, driver: Driver) -> None:
    found = document(cli("stop", "first", "--json"))
    assert found["outcome"] == "done"
    assert found["ended"]["state"] == "interrupted"
    assert found["ended"]["message"].startswith("stopped by ")
    assert cli("stop", "first").exit_code == 2


def test_a_request_left_without_waiting_is_shown_until_it_is_taken(cli: Run, driver: Driver) -> None:
    driver.takes = False
    asked = document(cli("set", "first", "trials=40", "--no-wait", "--json"))
    assert asked["outcome"] == "asked"
    (shown,) = document(cli("status", "first", "--json"))["requests"]
    assert (shown["request"], shown["action"]) == (asked["request"], "set trials=40")
    assert "set trials=40 by " in cli("status", "first").stdout
    driver.takes = True
    deadline = time.monotonic() + 60
    while document(cli("status", "first", "--json"))["requests"]:
        assert time.monotonic() < deadline
    assert sum(driver.plan.budgets.values()) == 40


def test_a_driver_that_ends_without_taking_a_request_leaves_what_holds_for_later(cli: Run, driver: Driver) -> None:
    driver.leaves = True
    waited = cli("set", "first", "trials=40")
    assert waited.exit_code == 75
    assert "ended before it took the request, which is kept" in waited.stderr
    (kept,) = document(cli("status", "first", "--json"))["requests"]
    assert kept["action"] == "set trials=40"


def test_a_pause_of_a_search_that_ends_meanwhile_is_taken_back(cli: Run, driver: Driver) -> None:
    driver.leaves = True
    waited = cli("pause", "first")
    assert waited.exit_code == 2
    assert "no driver is at work on it" in waited.stderr
    assert document(cli("status", "first", "--json"))["requests"] == []


def test_who_asks_may_run_out_of_patience_and_the_request_stands(driver: Driver, half_done: Search) -> None:
    folder, _ = half_done
    driver.takes = False
    said = ask(folder, "pause", print, patience_s=0.3)
    assert (said["outcome"], said["ended"]) == ("asked", None)
    assert [one.stem for one in folder.requests.glob("*.json")] == [said["request"]]
