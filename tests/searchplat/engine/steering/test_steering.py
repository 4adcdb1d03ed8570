"""Requests carried out on a real ledger, without Ray: each once, whoever is killed in between."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.planning.plan import Plan
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.steering import state
from searchplat.engine.steering.post import Post
from searchplat.engine.steering.requests import Answer, Request, RequestFolder, new_request
from searchplat.engine.steering.steering import Steering, concurrent_of
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import SearchSpec

SPEC = rehearsal_spec({"epochs": 3})


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchplat.engine.steering.post._LOOK_S", 0.01)


class Driver:
    """One run of a search, as far as requests go."""

    def __init__(self, path: Path, spec: SearchSpec = SPEC) -> None:
        self.ledger = Ledger.open(path) if path.exists() else Ledger.create(path, to_document(spec), spec.objectives)
        self.folder, self.shutdown, self.told = RequestFolder(path.parent / "requests"), Shutdown(), list[str]()
        self.plan = Plan.of(spec, self.ledger)
        self.post = Post(self.folder, self.ledger, "search", self.shutdown, self.told.append)
        self.steering = Steering(self.plan, self.post)
        self.killed: list[int] = []
        self.ledger.note("opened", {"pid": 1})
        self.post.__enter__()
        driver = self.folder.driver()
        assert driver is not None
        self.run = driver.run

    def ask(self, action: str, **about: object) -> Request:
        request = new_request(self.run, action, **about)  # type: ignore[arg-type]
        self.folder.put(request)
        return request

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not true():
            assert time.monotonic() < deadline
            self.steering.apply(self.killed.append)
            time.sleep(0.01)

    def __call__(self, action: str, **about: object) -> Answer:
        """Ask, and the answer."""
        request = self.ask(action, **about)
        self.until(lambda: not self.folder.open(request))
        answer = self.folder.answer(request)
        assert answer is not None
        return answer

    def suggest(self, count: int) -> None:
        for _ in range(count):
            assert self.plan.suggest(self.plan.spec.stages[0]) is not None

    def close(self) -> None:
        self.post.__exit__(None, None, None)
        self.ledger.close()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    made = Driver(tmp_path / "ledger.sqlite")
    yield made
    made.close()


def test_a_pause_holds_until_it_is_resumed_and_asking_twice_changes_nothing(driver: Driver) -> None:
    driver.suggest(2)
    driver.ledger.start(0)
    assert driver.steering.ready() == driver.plan.ready() > 1
    assert driver("pause").outcome == "done"
    assert (driver.steering.paused, driver.steering.at_once) == (True, False)
    assert driver.steering.ready() == 1, "what runs, and nothing more, is wanted of a cluster"
    assert driver("pause") == Answer(outcome="unchanged", said="it is paused already")
    assert driver("pause", now=True).outcome == "done"
    assert driver.steering.at_once
    event = state.paused(driver.ledger)
    assert event is not None
    assert (event.payload["now"], event.payload["action"]) == (True, "pause --now")
    assert "@" in event.payload["by"]
    assert driver("resume").outcome == "done"
    assert not driver.steering.paused
    assert not driver.steering.at_once
    assert state.paused(driver.ledger) is None
    assert driver("resume") == Answer(outcome="unchanged", said="it is not paused")


def test_a_trial_stopped_by_hand_is_an_early_stopped_one_whatever_it_had(driver: Driver) -> None:
    driver.suggest(3)
    driver.ledger.start(0)
    driver.ledger.report(0, 1, {"valid/mrr": 0.25})
    driver.ledger.start(1)
    for number, epochs in ((0, "after epoch 1"), (1, "before its first report"), (2, "before its first report")):
        answer = driver("stop-trial", trial=number)
        assert answer.outcome == "done"
        assert f"trial {number} stopped {epochs} by " in answer.said
        trial = driver.ledger.trial(number)
        assert (trial.state, trial.cause) == (TrialState.STOPPED, "stopped by hand")
    assert driver.ledger.trial(0).objectives == (0.25,)
    assert driver.killed == [0, 1, 2]
    assert driver("stop-trial", trial=0).outcome == "unchanged"
    assert driver.killed == [0, 1, 2]
    driver.suggest(1)
    driver.ledger.end(3, TrialState.FINISHED)
    assert driver("stop-trial", trial=3) == Answer(outcome="refused", said="trial 3 has ended already: finished")
    assert driver("stop-trial", trial=9).said == "trial 9 does not exist; there are 4, from 0"


def test_numbers_of_trials_are_what_the_next_run_uses_and_the_space_is_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    driver = Driver(path)
    document = driver.ledger.document()
    before = dict(driver.plan.budgets)
    assert driver("set", changes={"stages.weights.trials": 40, "concurrent": 3}).outcome == "done"
    assert driver.plan.budgets == {**before, "weights": 40}
    assert driver.steering.ready() == 3
    assert driver("set", changes={"concurrent": 3}).outcome == "unchanged"
    driver.close()

    again = Driver(path)
    assert again.plan.budgets == {**before, "weights": 40}
    assert again.ledger.document() == document
    assert concurrent_of(SPEC, again.ledger) == 3
    assert again("set", changes={"trials": 10}).outcome == "done"
    assert sum(again.plan.budgets.values()) == 10
    assert again("set", changes={"concurrent": None}).outcome == "done"
    again.close()
    # Whoever changes the space's own word means it.
    other = replace(SPEC, resources=replace(SPEC.resources, concurrent=7))
    with Ledger.read(path) as ledger:
        assert sum(Plan.of(SPEC, ledger).budgets.values()) == 10
        assert concurrent_of(SPEC, ledger) is None
        assert concurrent_of(other, ledger) == 7


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"trials": 1}, "trials=1: at least one for each of the 2 stages"),
        ({"stages.nothing.trials": 3}, "there is no stage 'nothing'; known are: layout, weights"),
        ({"stages.layout.trials": 30}, "stage layout gets no more trials: stage weights builds on it"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(driver: Driver, changes: dict[str, int], said: str) -> None:
    driver.suggest(1)
    driver.ledger.report(0, 1, {"valid/mrr": 0.25})
    driver.ledger.end(0, TrialState.FINISHED)
    driver.plan.suggest(SPEC.stages[1])
    before = dict(driver.plan.budgets)
    answer = driver("set", changes=changes)
    assert answer.outcome == "refused"
    assert said in answer.said
    assert driver.plan.budgets == before


def test_stop_is_the_first_signal_and_a_second_one_does_not_hurry(driver: Driver) -> None:
    driver.shutdown.under_way = True
    assert driver("stop").outcome == "done"
    driver.until(lambda: driver.shutdown.signal == signal.SIGTERM)  # heard right after the answer
    assert driver.shutdown.by is not None
    assert driver("stop") == Answer(outcome="unchanged", said="it is ending already")
    assert not driver.shutdown.due(1), "epochs under way have their time"


def test_a_request_that_its_driver_did_not_take_is_carried_out_by_the_next_once(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    driver = Driver(path)
    driver.suggest(2)
    driver.ledger.start(1)
    driver.close()  # from here on it is as good as killed
    for action, about in (
        ("set", {"changes": {"trials": 33}}),
        ("stop-trial", {"trial": 1}),
        ("pause", {}),
        ("stop", {}),
    ):
        driver.ask(action, **about)
    again = Driver(path)
    again.until(lambda: not again.folder.waiting())
    assert sum(again.plan.budgets.values()) == 33
    assert again.ledger.trial(1).cause == "stopped by hand"
    assert not again.steering.paused
    assert not again.shutdown.asked
    refused = [event for event in again.ledger.events() if event.kind == "refused"]
    assert [event.payload["action"] for event in refused] == ["pause", "stop"]
    assert all("was for an earlier run" in event.payload["said"] for event in refused)
    again.close()


def test_a_driver_killed_between_event_and_answer_leaves_nothing_to_be_done_twice(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    driver = Driver(path)
    driver.suggest(1)
    request = driver.ask("stop-trial", trial=0)
    content = (driver.folder.path / f"{request.id}.json").read_text()
    driver.until(lambda: not driver.folder.open(request))
    driver.close()
    (driver.folder.path / f"{request.id}.json").write_text(content)  # as if it had not come to removing it
    again = Driver(path)
    again.until(lambda: not again.folder.open(request))
    answer = again.folder.answer(request)
    assert answer is not None
    assert answer.outcome == "done"
    assert sum(event.kind == "stopped" for event in again.ledger.events()) == 1
    assert again.killed == []
    again.close()


def test_a_trial_and_the_event_of_its_stop_are_written_together_or_not_at_all(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.suggest(1)
    request = driver.ask("stop-trial", trial=0)
    monkeypatch.setattr(driver.ledger, "note", _fails)
    with pytest.raises(RuntimeError, match="between"):
        driver.until(lambda: False)
    assert driver.ledger.trial(0).state is TrialState.WAITING
    assert driver.folder.open(request)
    assert [event.kind for event in driver.ledger.events()] == ["opened", "suggested"]


def _fails(*arguments: object) -> int:
    raise RuntimeError("between the two")


def test_damage_is_refused_written_down_and_removed(driver: Driver) -> None:
    id_ = "00000000000000000001-0123456789ab"
    (driver.folder.path / f"{id_}.json").write_bytes(b"\x00garbage")
    driver.until(lambda: not driver.folder.waiting())
    driver.until(lambda: state.newest_said(driver.ledger))
    assert state.newest_said(driver.ledger) == f"request {id_} is damaged, or of another version of searchplat"
    assert driver("pause").outcome == "done", "others are heard"


def test_where_no_request_can_be_taken_the_search_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "requests").write_text("a file of somebody's")
    with Ledger.create(tmp_path / "ledger.sqlite", to_document(SPEC), SPEC.objectives) as ledger:
        told: list[str] = []
        with Post(RequestFolder(tmp_path / "requests"), ledger, "search", Shutdown(), told.append) as post:
            assert list(post.take()) == []
        assert "so nobody can stop or pause this" in told[0]


def test_a_promotion_can_be_stopped_and_nothing_else(tmp_path: Path) -> None:
    folder, shutdown = RequestFolder(tmp_path / "requests"), Shutdown()
    spec = one_stage(SPEC, 2)
    with (
        Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), spec.objectives) as ledger,
        Post(folder, ledger, "promotion", shutdown, print),
    ):
        driver = folder.driver()
        assert driver is not None
        pause, stop = new_request(driver.run, "pause"), new_request(driver.run, "stop")
        folder.put(pause)
        folder.put(stop)
        deadline = time.monotonic() + 60
        while folder.waiting():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        refused, done = folder.answer(pause), folder.answer(stop)
    assert refused is not None
    assert refused.outcome == "refused"
    assert done is not None
    assert done.outcome == "done"
    assert shutdown.signal == signal.SIGTERM
