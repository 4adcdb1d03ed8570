"""What messages mean: replay equals what happened, and no number that is not finite gets in."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.judging.judge import Judge
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.worker.messages import Message, Said
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import SchedulerSpec, SearchSpec

ASHA = SchedulerSpec("asha", grace=1, reduction=2)
EPOCHS = 4


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


def judge_of(
    spec: SearchSpec, ledger: Ledger, bugs: list[TrialRecord] | None = None, shutdown: Shutdown | None = None
) -> Judge:  # fmt: skip
    found = bugs if bugs is not None else []
    return Judge(spec, ledger, {"search": EPOCHS}, lambda trial: None, found.append, shutdown or Shutdown())


def goes_on(
    judge: Judge, number: int, epoch: int, value: float, kind: Said = Said.REPORT, cause: str | None = None,
    fields: tuple[str, ...] = (),
) -> bool:  # fmt: skip
    return judge.goes_on(number, Message(kind, epoch, EPOCHS, {"valid/mrr": value}, cause, fields))


def create(path: Path, spec: SearchSpec) -> Ledger:
    return Ledger.create(path, {}, spec.objectives)


def test_decisions_after_a_replay_equal_those_of_an_uninterrupted_search(tmp_path: Path, spec: SearchSpec) -> None:
    rng = np.random.default_rng(0)
    scores = rng.uniform(size=(12, EPOCHS))

    def run(path: Path, interrupted_at: int | None) -> list[tuple[int, TrialState, int]]:
        ledger = create(path, spec)
        judge = judge_of(spec, ledger)
        open_trials = [suggest(ledger).number for _ in range(12)]
        step = 0
        while open_trials:
            number = open_trials.pop(0)
            epoch = ledger.trial(number).epoch + 1
            if goes_on(judge, number, epoch, scores[number, epoch - 1]):
                open_trials.append(number)
            step += 1
            if step == interrupted_at:
                ledger.close()
                ledger = Ledger.open(path)
                judge = judge_of(spec, ledger)
                judge.replay(lambda trial: EPOCHS)
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
            judge = judge_of(spec, ledger)
            numbers = [suggest(ledger).number for _ in range(6)]
            if with_bad:
                bad = suggest(ledger).number
                assert not goes_on(judge, bad, 1, value)
                assert ledger.trial(bad).state is TrialState.DIVERGED
                assert "valid/mrr" in (ledger.trial(bad).cause or "")
            for epoch in (1, 2):
                for number in numbers:
                    if not ledger.trial(number).state.final:
                        goes_on(judge, number, epoch, number / 10)
            return [ledger.trial(number).state for number in numbers]

    assert run(tmp_path / "with.sqlite", True) == run(tmp_path / "without.sqlite", False)


def test_an_end_that_was_reported_but_not_written_is_written_on_replay(tmp_path: Path, spec: SearchSpec) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        finished, diverged, going = (suggest(ledger).number for _ in range(3))
        for epoch in range(1, EPOCHS + 1):
            ledger.report(finished, epoch, {"valid/mrr": 0.9})
        ledger.report(diverged, 1, {"valid/mrr": float("nan")})
        ledger.report(going, 1, {"valid/mrr": 0.95})
        judge_of(spec, ledger).replay(lambda trial: EPOCHS)
        states = [trial.state for trial in ledger.trials()]
    assert states == [TrialState.FINISHED, TrialState.DIVERGED, TrialState.RUNNING]


def test_a_trial_whose_epochs_only_its_training_knows_goes_on_after_a_replay(tmp_path: Path, spec: SearchSpec) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        number = suggest(ledger).number
        ledger.report(number, 1, {"valid/mrr": 0.9})
        judge_of(spec, ledger).replay(lambda trial: None)
        assert ledger.trial(number).state is TrialState.RUNNING


def test_a_report_repeated_after_a_crash_is_not_judged_twice(tmp_path: Path, spec: SearchSpec) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        judge = judge_of(spec, ledger)
        number = suggest(ledger).number
        assert goes_on(judge, number, 1, 0.5)
        assert goes_on(judge, number, 1, 0.5)
        assert len(ledger.reports(number)) == 1


def test_what_cannot_go_on_now_is_an_error_of_the_moment_and_the_trial_stays_open(
    tmp_path: Path, spec: SearchSpec
) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        judge = judge_of(spec, ledger)
        with pytest.raises(TryAgainError, match="no space"):
            goes_on(judge, suggest(ledger).number, 1, 0.5, kind=Said.NOT_NOW, cause="no space")
        assert [(trial.state, trial.epoch) for trial in ledger.trials()] == [(TrialState.RUNNING, 0)]


def test_a_bug_and_running_out_of_memory_are_told_apart(tmp_path: Path, spec: SearchSpec) -> None:
    bugs: list[TrialRecord] = []
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        judge = judge_of(spec, ledger, bugs)
        first, second = suggest(ledger).number, suggest(ledger).number
        assert not goes_on(judge, first, 0, 0.0, kind=Said.INFEASIBLE, cause="out of memory")
        assert bugs == []
        assert not goes_on(judge, second, 0, 0.0, kind=Said.BUG, cause="Traceback ...")
        assert [trial.number for trial in bugs] == [second]
        assert [t.state for t in ledger.trials()] == [TrialState.INFEASIBLE, TrialState.FAILED]


def test_input_that_no_searched_value_decides_ends_the_search_and_leaves_the_trial_open(
    tmp_path: Path, spec: SearchSpec
) -> None:
    for fields in ((), ("backbone", "epochs")):  # x is searched
        with create(tmp_path / f"ledger-{len(fields)}.sqlite", spec) as ledger:
            shutdown, bugs = Shutdown(), list[TrialRecord]()
            judge = judge_of(spec, ledger, bugs, shutdown)
            assert not goes_on(judge, suggest(ledger).number, 0, 0.0, Said.WRONG_INPUT, "a sentence", fields)
            assert isinstance(shutdown.error, InputError)
            assert str(shutdown.error) == "a sentence"
            assert [trial.state for trial in ledger.trials()] == [TrialState.RUNNING]
            assert bugs == []


def test_values_that_do_not_fit_make_their_trial_infeasible_and_the_search_goes_on(
    tmp_path: Path, spec: SearchSpec
) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        shutdown = Shutdown()
        judge = judge_of(spec, ledger, shutdown=shutdown)
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
            assert not goes_on(judge, number, 0, 0.0, kind=Said.WRONG_INPUT, cause=f"{field}: too much", fields=fields)
        assert not shutdown.asked
        assert [(t.state, t.cause) for t in ledger.trials()] == [
            (TrialState.INFEASIBLE, "wrong input: layers: too much"),
            (TrialState.INFEASIBLE, "wrong input: x: too much"),
        ]
        assert goes_on(judge, suggest(ledger).number, 1, 0.5)


def test_an_objective_that_no_trial_reports_is_wrong_input_and_ends_the_search_and_not_the_trial(
    tmp_path: Path, spec: SearchSpec
) -> None:
    wrong = replace(spec, objectives=(replace(spec.objectives[0], metric="valid/mrrr"),))
    with create(tmp_path / "ledger.sqlite", wrong) as ledger:
        bugs: list[TrialRecord] = []
        shutdown = Shutdown()
        assert not goes_on(judge_of(wrong, ledger, bugs, shutdown=shutdown), suggest(ledger).number, 1, 0.5)
        assert isinstance(shutdown.error, InputError)
        assert "the metric 'valid/mrrr', and trial 0 does not; did you mean valid/mrr?" in str(shutdown.error)
        assert (bugs, ledger.trial(0).state, ledger.trial(0).epoch) == ([], TrialState.RUNNING, 0)


def test_an_objective_that_other_trials_reported_is_a_bug_of_the_one_that_does_not(
    tmp_path: Path, spec: SearchSpec
) -> None:
    with create(tmp_path / "ledger.sqlite", spec) as ledger:
        bugs: list[TrialRecord] = []
        judge = judge_of(spec, ledger, bugs)
        assert goes_on(judge, suggest(ledger).number, 1, 0.5)
        other = suggest(ledger).number
        assert not judge.goes_on(other, Message(Said.REPORT, 1, EPOCHS, {"valid/rmse": 0.5}))
        assert ledger.trial(other).state is TrialState.FAILED
    assert bugs[0].cause == "objective valid/mrr is not reported; did you mean valid/rmse? Reported are: valid/rmse"


def test_a_program_that_fails_ends_its_trial_and_one_that_never_worked_the_search(
    tmp_path: Path, spec: SearchSpec
) -> None:
    with create(tmp_path / "never.sqlite", spec) as ledger:
        bugs: list[TrialRecord] = []
        judge = judge_of(spec, ledger, bugs)
        for count in (0, 0, 1):
            assert not goes_on(judge, suggest(ledger).number, 0, 0.0, Said.PROGRAM_FAILED, "exit code 1")
            assert len(bugs) == count
        assert ledger.trial(0).cause == "exit code 1"
    with create(tmp_path / "once.sqlite", spec) as ledger:
        bugs = []
        judge = judge_of(spec, ledger, bugs)
        assert goes_on(judge, suggest(ledger).number, 1, 0.5)
        for _ in range(4):
            assert not goes_on(judge, suggest(ledger).number, 0, 0.0, Said.PROGRAM_FAILED, "exit code 1")
        assert bugs == []
        assert ledger.trial(4).state is TrialState.FAILED


def bounded(path: Path, spec: SearchSpec, *bounds: str) -> Ledger:
    return Ledger.create(path, {"outcomes": list(bounds)}, spec.objectives)


def test_a_bound_on_what_no_trial_reports_ends_the_search_and_not_the_trial(tmp_path: Path, spec: SearchSpec) -> None:
    with bounded(tmp_path / "l.sqlite", spec, "valid/mrrr <= 1") as ledger:
        shutdown = Shutdown()
        assert not goes_on(judge_of(spec, ledger, shutdown=shutdown), suggest(ledger).number, 1, 0.5)
        assert isinstance(shutdown.error, InputError)
        assert "trial 0 does not report 'valid/mrrr'; did you mean valid/mrr?" in str(shutdown.error)
        assert (ledger.trial(0).state, ledger.trial(0).epoch) == (TrialState.RUNNING, 0)


def test_a_bounded_metric_that_others_report_makes_one_trial_infeasible(tmp_path: Path, spec: SearchSpec) -> None:
    with bounded(tmp_path / "l.sqlite", spec, "size <= 1") as ledger:
        judge = judge_of(spec, ledger)
        first, second = suggest(ledger).number, suggest(ledger).number
        assert judge.goes_on(first, Message(Said.REPORT, 1, EPOCHS, {"valid/mrr": 0.5, "size": 1.0}))
        assert not judge.goes_on(
            second, Message(Said.REPORT, 1, EPOCHS, {"valid/mrr": 0.9})
        )  # ASHA stops what is behind
        assert (ledger.trial(first).violation, ledger.trial(second).violation) == (0.0, math.inf)


def test_a_trial_that_breaks_a_bound_stops_no_trial_that_keeps_it(tmp_path: Path, spec: SearchSpec) -> None:
    def stopped(path: Path, *bounds: str) -> list[bool]:
        """Of three trials, the best one last; the first two break the bound."""
        rows = [(0.9, 5.0), (0.8, 3.0), (0.2, 1.0), (0.1, 0.5)]
        with bounded(path, spec, *bounds) as ledger:
            judge = judge_of(spec, ledger)
            return [
                not judge.goes_on(
                    suggest(ledger).number, Message(Said.REPORT, 1, EPOCHS, {"valid/mrr": mrr, "size": size})
                )
                for mrr, size in rows
            ]  # fmt: skip

    assert stopped(tmp_path / "free.sqlite") == [False, True, True, True]
    assert stopped(tmp_path / "bounded.sqlite", "size <= 1") == [False, False, False, False]
