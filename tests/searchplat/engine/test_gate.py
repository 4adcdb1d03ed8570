"""The gate's judgement: replay equals what happened, and no number that is not finite gets in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.actor import MESSAGE
from searchplat.engine.gate import EarlyStopping, Gate
from searchplat.engine.halt import Halt
from searchplat.engine.work import Message
from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import SchedulerSpec, SearchSpec

ASHA = SchedulerSpec("asha", grace=1, reduction=2)
EPOCHS = 4


class TuneTrial:
    """All that the gate looks at of Tune's trial."""

    def __init__(self, number: int) -> None:
        self.trial_id = str(number)


@pytest.fixture
def spec() -> SearchSpec:
    base = rehearsal_spec({"epochs": EPOCHS}, scheduler=ASHA)
    return one_stage(base, trials=8)


def suggest(ledger: Ledger) -> TrialRecord:
    trial = ledger.suggest(
        stage="search", method="rehearsal", values={}, config={"epochs": EPOCHS}, data_fraction=1.0, seed=0
    )
    ledger.start(trial.number)
    return trial


def gate_on(
    spec: SearchSpec, ledger: Ledger, bugs: list[TrialRecord] | None = None, halt: Halt | None = None
) -> Gate:  # fmt: skip
    found = bugs if bugs is not None else []
    return Gate(spec, ledger, {"search": EPOCHS}, int, lambda trial: None, found.append, halt)


def report(
    gate: Gate, number: int, epoch: int, value: float, kind: str = "report", cause: str | None = None,
    fields: tuple[str, ...] = (),
) -> str:  # fmt: skip
    message = Message(kind, epoch, EPOCHS, {"valid/mrr": value}, cause, fields)
    return gate.on_trial_result(None, TuneTrial(number), {MESSAGE: message.to_json()})


def create(path: Path, spec: SearchSpec) -> Ledger:
    return Ledger.create(path, {}, spec.objectives)


def test_decisions_after_a_replay_equal_those_of_an_uninterrupted_search(tmp_path: Path, spec: SearchSpec) -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(12, EPOCHS))

    def run(path: Path, interrupted_at: int | None) -> list[tuple[int, TrialState, int]]:
        ledger = create(path, spec)
        gate = gate_on(spec, ledger)
        open_trials = [suggest(ledger).number for _ in range(12)]
        step = 0
        while open_trials:
            number = open_trials.pop(0)
            epoch = ledger.trial(number).epoch + 1
            if report(gate, number, epoch, scores[number, epoch - 1]) != "STOP":
                open_trials.append(number)
            step += 1
            if step == interrupted_at:
                ledger.close()
                ledger = Ledger.open(path)
                gate = gate_on(spec, ledger)
                gate.replay(lambda trial: EPOCHS)
        outcome = [(t.number, t.state, t.epoch) for t in ledger.trials()]
        ledger.close()
        return outcome

    whole = run(tmp_path / "whole.sqlite", None)
    assert {state for _, state, _ in whole} == {TrialState.FINISHED, TrialState.STOPPED}
    for at in (1, 5, 13, 17):
        assert run(tmp_path / f"cut-{at}.sqlite", at) == whole


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_ends_the_trial_and_changes_no_other(
    tmp_path: Path, spec: SearchSpec, value: float
) -> None:
    def run(path: Path, with_bad: bool) -> list[TrialState]:
        with create(path, spec) as ledger:
            gate = gate_on(spec, ledger)
            numbers = [suggest(ledger).number for _ in range(6)]
            if with_bad:
                bad = suggest(ledger).number
                assert report(gate, bad, 1, value) == "STOP"
                assert ledger.trial(bad).state is TrialState.DIVERGED
                assert "valid/mrr" in (ledger.trial(bad).cause or "")
            for epoch in (1, 2):
                for number in numbers:
                    if not ledger.trial(number).state.final:
                        report(gate, number, epoch, number / 10)
            return [ledger.trial(number).state for number in numbers]

    assert run(tmp_path / "with.sqlite", True) == run(tmp_path / "without.sqlite", False)


def test_an_end_that_was_reported_but_not_written_is_written_on_replay(tmp_path: Path, spec: SearchSpec) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        finished, diverged, going = (suggest(ledger).number for _ in range(3))
        for epoch in range(1, EPOCHS + 1):
            ledger.report(finished, epoch, {"valid/mrr": 0.9})
        ledger.report(diverged, 1, {"valid/mrr": float("nan")})
        ledger.report(going, 1, {"valid/mrr": 0.95})
        gate_on(spec, ledger).replay(lambda trial: EPOCHS)
        states = [trial.state for trial in ledger.trials()]
    assert states == [TrialState.FINISHED, TrialState.DIVERGED, TrialState.RUNNING]


def test_a_report_repeated_after_a_crash_is_not_judged_twice(tmp_path: Path, spec: SearchSpec) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        gate = gate_on(spec, ledger)
        number = suggest(ledger).number
        assert report(gate, number, 1, 0.5) == report(gate, number, 1, 0.5) == "CONTINUE"
        assert len(ledger.reports(number)) == 1


def test_rungs_and_decisions_are_the_same_whether_ended_trials_are_judged_again_or_remembered(
    tmp_path: Path, spec: SearchSpec
) -> None:
    rng = np.random.default_rng(1)
    rules = {name: SchedulerSpec(name, grace=1, reduction=2, min_trials=2) for name in ("asha", "median")}
    for name, rule in rules.items():
        judged, remembered = (EarlyStopping(rule, EPOCHS, "valid/mrr", maximize=True) for _ in range(2))
        for trial, values in enumerate(rng.uniform(size=(20, EPOCHS))):
            for epoch, value in enumerate(values, start=1):
                stops = judged.stops(trial, epoch, value)
                remembered.remember(trial, epoch, value)
                if stops:
                    break
        if name == "asha":
            assert rungs(judged) == rungs(remembered)
            assert [len(recorded) for _, recorded in rungs(judged)] != [0, 0, 0]
        for trial, value in enumerate(rng.uniform(size=20), start=100):
            stopped = judged.stops(trial, 1, value)
            assert remembered.stops(trial, 1, value) == stopped
            if not stopped:
                assert judged.stops(trial, 2, value) == remembered.stops(trial, 2, value)


def rungs(rule: EarlyStopping) -> list[tuple[float, dict[str, float]]]:
    """What ASHA has written down at each of its milestones."""
    return [rung for bracket in rule._rule._brackets for rung in bracket._rungs]  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", ["report", "later"])
def test_once_an_end_is_asked_for_a_trial_gives_its_worker_back_and_stays_open(
    tmp_path: Path, spec: SearchSpec, kind: str
) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        halt = Halt()
        gate = gate_on(spec, ledger, halt=halt)
        first, second = suggest(ledger).number, suggest(ledger).number
        if kind == "report":
            halt.gently()
        assert report(gate, first, 1, 0.5, kind=kind, cause="no space") == "STOP"
        assert report(gate, second, 1, 0.5) == "STOP"
        # After a signal what was reached is written; where nothing can be written, nothing is tried.
        assert [trial.epoch for trial in ledger.trials()] == ([1, 1] if kind == "report" else [0, 0])
        assert {trial.state for trial in ledger.trials()} == {TrialState.RUNNING}
        assert (halt.error is None) == (kind == "report")


def test_a_bug_and_running_out_of_memory_are_told_apart(tmp_path: Path, spec: SearchSpec) -> None:
    bugs: list[TrialRecord] = []
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        gate = gate_on(spec, ledger, bugs)
        first, second = suggest(ledger).number, suggest(ledger).number
        assert report(gate, first, 0, 0.0, kind="infeasible", cause="out of memory") == "STOP"
        assert bugs == []
        assert report(gate, second, 0, 0.0, kind="bug", cause="Traceback ...") == "STOP"
        assert [trial.number for trial in bugs] == [second]
        assert [t.state for t in ledger.trials()] == [TrialState.INFEASIBLE, TrialState.FAILED]


def test_input_that_no_searched_value_decides_ends_the_search_and_leaves_the_trial_open(
    tmp_path: Path, spec: SearchSpec
) -> None:
    for fields in ((), ("backbone", "epochs")):  # x is searched
        with create(tmp_path / f"ledger-{len(fields)}.sqlite", spec) as ledger:
            halt, bugs = Halt(), list[TrialRecord]()
            gate = gate_on(spec, ledger, bugs, halt)
            assert (
                report(gate, suggest(ledger).number, 0, 0.0, kind="input", cause="a sentence", fields=fields) == "STOP"
            )
            assert isinstance(halt.error, InputError)
            assert str(halt.error) == "a sentence"
            assert [trial.state for trial in ledger.trials()] == [TrialState.RUNNING]
            assert bugs == []


def test_values_that_do_not_fit_make_their_trial_infeasible_and_the_search_goes_on(
    tmp_path: Path, spec: SearchSpec
) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        halt = Halt()
        gate = gate_on(spec, ledger, halt=halt)
        control = ledger.suggest(
            stage="controls",
            control="deep",
            method="rehearsal",
            values={"layers": 9},
            config={},
            data_fraction=1.0,
            seed=0,
        )
        ledger.start(control.number)
        trial = suggest(ledger)
        for number, field in ((control.number, "layers"), (trial.number, "x")):
            fields = ("backbone", field)
            assert report(gate, number, 0, 0.0, kind="input", cause=f"{field}: too much", fields=fields) == "STOP"
        assert not halt.asked
        assert [(t.state, t.cause) for t in ledger.trials()] == [
            (TrialState.INFEASIBLE, "wrong input: layers: too much"),
            (TrialState.INFEASIBLE, "wrong input: x: too much"),
        ]
        assert report(gate, suggest(ledger).number, 1, 0.5) == "CONTINUE"


def test_an_objective_that_the_method_does_not_report_stops_the_search_and_names_what_is(
    tmp_path: Path, spec: SearchSpec
) -> None:
    bugs: list[TrialRecord] = []
    wrong = replace(spec, objectives=(replace(spec.objectives[0], metric="valid/ndcg@5"),))
    with create(tmp_path / "ledger.sqlite", wrong) as ledger:
        gate = gate_on(wrong, ledger, bugs)
        assert report(gate, suggest(ledger).number, 1, 0.5) == "STOP"
    assert bugs[0].cause == "objective valid/ndcg@5 is not reported; reported are: valid/mrr"


def test_median_stopping_stops_what_is_worse_than_the_median_and_minimising_works() -> None:
    rule = EarlyStopping(SchedulerSpec("median", grace=1, min_trials=2), 5, "loss", maximize=False)
    for trial, value in enumerate([1.0, 1.1]):
        assert not rule.stops(trial, 1, value)
        assert not rule.stops(trial, 2, value)
    assert rule.stops(2, 2, 1.2)
    assert not rule.stops(3, 2, 0.1)
