"""A stage that ends by its `stop`: when, what is recorded, what comes then, and how it goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.planning import closing
from searchplat.engine.planning.budgets import recorded
from searchplat.engine.planning.plan import Plan, SuggestionDue, Turn
from searchplat.engine.steering import changes
from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec import from_document, to_document
from searchplat.spec.model import Control, SearchSpec, StopSpec

STOP = StopSpec(gain=0.002, trials=5, after=8)


def spec_of(stop: StopSpec | None = STOP, trials: int = 40) -> SearchSpec:
    spec = one_stage(rehearsal_spec(), trials)
    return replace(spec, stages=(replace(spec.stages[0], stop=stop),))


def open_ledger(tmp_path: Path, spec: SearchSpec) -> Ledger:
    return Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), spec.objectives)


def finish(ledger: Ledger, trial: TrialRecord) -> None:
    ledger.start(trial.number)
    ledger.report(trial.number, 1, {"valid/mrr": -((trial.config["x"] - 0.7) ** 2)})
    ledger.end(trial.number, TrialState.FINISHED)


def run(plan: Plan, most: int = 200) -> int:
    """Play the whole plan, one trial at a time; how many trials there are."""
    for _ in range(most):
        turn = plan.next()
        if turn is Turn.DONE:
            return len(plan.ledger.trials())
        if isinstance(turn, SuggestionDue):
            plan.suggest(turn.stage)
        elif isinstance(turn, TrialRecord):
            finish(plan.ledger, turn)
    raise AssertionError("the plan does not end")


def test_a_stage_ends_with_a_reason_in_figures(tmp_path: Path) -> None:
    spec = spec_of()
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        ran = run(plan)
        assert STOP.after < ran < 40
        assert plan.done
        assert plan.planned_trials == ran
        estimates = closing.estimates(ledger)
        ended = ledger.newest(closing.ENDED)
        assert ended is not None
        assert [one.ended for one in estimates] == list(range(STOP.after, ran + 1))
        assert [one.gain < STOP.gain for one in estimates[-2:]] == [True, True]
        assert ended.payload["said"] == plan.closed(spec.stages[0]) == estimates[-1].words
        assert ended.payload["said"].startswith(
            f"stage search ended after {ran} of 40 trials: expected gain over the next 5 trials "
        )
        assert ended.payload["said"].endswith(" < 0.002")


def test_without_stop_all_trials_are_run_and_nothing_is_estimated(tmp_path: Path) -> None:
    spec = spec_of(None, 12)
    with open_ledger(tmp_path, spec) as ledger:
        assert run(Plan(spec, ledger)) == 12
        assert closing.estimates(ledger) == []


def test_a_killed_driver_finds_the_same_end(tmp_path: Path) -> None:
    """A driver for each step, so that none remembers anything."""
    spec = spec_of()
    with open_ledger(tmp_path, spec) as ledger:
        ran = run(Plan(spec, ledger))
        figures = closing.estimates(ledger)
    (tmp_path / "again").mkdir()
    with open_ledger(tmp_path / "again", spec):
        pass
    while True:
        with Ledger.open(tmp_path / "again" / "ledger.sqlite") as ledger:
            plan = Plan.of(from_document(ledger.document()), ledger)
            turn = plan.next()
            if turn is Turn.DONE:
                break
            if isinstance(turn, SuggestionDue):
                plan.suggest(turn.stage)
            elif isinstance(turn, TrialRecord):
                finish(ledger, turn)
    with Ledger.open(tmp_path / "again" / "ledger.sqlite") as ledger:
        assert len(ledger.trials()) == ran
        assert closing.estimates(ledger) == figures


def test_an_end_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = spec_of()
    with open_ledger(tmp_path, spec) as ledger:
        note = ledger.note

        def dying(kind: str, payload: dict[str, object] | None = None) -> int:
            seq = note(kind, payload)
            if kind == closing.ENDED:
                raise KeyboardInterrupt
            return seq

        with monkeypatch.context() as patched:
            patched.setattr(ledger, "note", dying)
            with pytest.raises(KeyboardInterrupt):
                run(Plan(spec, ledger))
        before = len(ledger.trials())
        assert not closing.by_gain(ledger, "search")
        assert run(Plan(spec, ledger)) == before


def test_it_never_ends_before_enough_trials_have_a_value(tmp_path: Path) -> None:
    spec = spec_of(StopSpec(gain=1e9, trials=5, after=8))
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        for number in range(40):
            trial = plan.suggest(spec.stages[0])
            if trial is None:
                break
            if number < 10:  # these say nothing of what is to gain
                ledger.start(trial.number)
                ledger.end(trial.number, TrialState.FAILED, "a bug")
            else:
                finish(ledger, trial)
        assert ledger.count("search") == 10 + 9, "two estimates in a row, the first after eight values"


def test_open_trials_end_and_the_next_stage_begins(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=30, x_trials=3, controls=(Control("default"),))
    stop = StopSpec(gain=1e9, trials=5, after=3)
    spec = replace(spec, stages=(replace(spec.stages[0], stop=stop), spec.stages[1]))
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        running = []
        while plan.closed(spec.stages[0]) is None:
            turn = plan.next()
            if isinstance(turn, SuggestionDue):
                assert turn.stage.name == "layout"
                plan.suggest(turn.stage)
            else:
                assert isinstance(turn, TrialRecord)
                ledger.start(turn.number)
                running.append(turn)
                if len(running) > 3:
                    ledger.report(running[0].number, 1, {"valid/mrr": float(running[0].number)})
                    ledger.end(running.pop(0).number, TrialState.FINISHED)
        assert len(running) == 3
        assert plan.next() is Turn.WAIT
        for trial in running:
            ledger.report(trial.number, 1, {"valid/mrr": 0.1})
            ledger.end(trial.number, TrialState.FINISHED)
        turn = plan.next()
        assert isinstance(turn, SuggestionDue)
        assert turn.stage.name == "weights"
        plan.suggest(turn.stage)
        with pytest.raises(InputError, match="stage weights builds on it"):
            changes.planned({"stages.layout.trials": 99}, plan)


def test_it_goes_on_only_when_its_number_of_trials_is_raised(tmp_path: Path) -> None:
    spec = spec_of()
    with open_ledger(tmp_path, spec) as ledger:
        ran = run(Plan(spec, ledger))
        closing.extend(spec, ledger, 40)  # the same command again
        assert run(Plan.of(spec, ledger)) == ran
        assert changes.planned({"stages.search.trials": 45}, Plan.of(spec, ledger)) == {"search": 45}
        closing.extend(spec, ledger, 41)
        assert run(Plan.of(spec, ledger)) == 41, "the whole number that was asked for"
        assert recorded(spec, ledger) == {"search": 41}
        assert Plan.of(spec, ledger).closed(spec.stages[0]) is None
        closing.extend(spec, ledger, 43)
        assert run(Plan.of(spec, ledger)) == 43


def test_spaces_with_stop_are_kept_and_those_without_are_as_before(tmp_path: Path) -> None:
    spec = spec_of()
    assert from_document(to_document(spec)) == spec
    assert "stop" not in to_document(spec_of(None))["stages"][0]
