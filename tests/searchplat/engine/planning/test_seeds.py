"""Which trial has which seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from searches import rehearsal_spec

from searchplat.engine.planning.plan import Plan, SuggestionDue
from searchplat.engine.planning.seeds import control_seed, derive_seed, shared_seed, trial_seed
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Control, SearchSpec


def sharing(spec: SearchSpec, *names: str) -> SearchSpec:
    stages = (replace(stage, seeds="shared" if stage.name in names else "own") for stage in spec.stages)
    return replace(spec, stages=tuple(stages))


def test_own_seeds_differ_and_are_what_they_always_were() -> None:
    spec = rehearsal_spec()
    seeds = [trial_seed(spec, spec.stages[0], number) for number in range(20)]
    assert len(set(seeds)) == 20
    assert seeds[7] == derive_seed(spec.seed, "trial", 7)
    assert control_seed(spec, Control("default", trials=2), 1) == derive_seed(spec.seed, "controls", "default", 1)


def test_shared_seeds_are_one_for_all_trials_of_all_stages_that_share() -> None:
    spec = sharing(rehearsal_spec(), "layout", "weights")
    seeds = {trial_seed(spec, stage, number) for stage in spec.stages for number in range(9)}
    assert seeds == {shared_seed(spec)}
    assert trial_seed(spec, spec.stages[0], 3, training=2) == shared_seed(spec, 2) != shared_seed(spec)
    assert shared_seed(replace(spec, seed=spec.seed + 1)) != shared_seed(spec)


def test_controls_share_the_seed_of_the_last_stage() -> None:
    default, draws = Control("default", trials=2), Control("random", random=True, trials=2)
    only_first = sharing(rehearsal_spec(), "layout")
    assert control_seed(only_first, default, 0) == control_seed(rehearsal_spec(), default, 0)
    spec = sharing(rehearsal_spec(), "weights")
    assert [control_seed(spec, default, n) for n in (0, 1)] == [shared_seed(spec, 0), shared_seed(spec, 1)]
    assert [control_seed(spec, draws, n) for n in (0, 1)] == [shared_seed(spec)] * 2


def test_promotion_trains_on_other_seeds() -> None:
    spec = sharing(rehearsal_spec(), "layout", "weights")
    shared = {shared_seed(spec, training) for training in range(20)}
    fresh = {derive_seed(spec.seed, "promotion", 1, phase, n) for phase in ("race", "final") for n in range(20)}
    assert not shared & fresh


def test_a_plan_records_the_shared_seed_also_of_trials_that_it_is_resumed_for(tmp_path: Path) -> None:
    controls = (Control("random", random=True, trials=2), Control("default"))
    spec = sharing(rehearsal_spec(layout_trials=2, x_trials=2, controls=controls), "layout", "weights")
    with Ledger.create(tmp_path / "ledger.sqlite", {}, spec.objectives) as ledger:
        for value in range(7):
            turn = Plan(spec, ledger).next()  # a new plan each time, as after an interruption
            trial = Plan(spec, ledger).suggest(turn.stage) if isinstance(turn, SuggestionDue) else turn
            assert isinstance(trial, TrialRecord)
            ledger.start(trial.number)
            ledger.report(trial.number, 1, {"valid/mrr": float(value)})
            ledger.end(trial.number, TrialState.FINISHED)
        trials = ledger.trials()
    assert [trial.stage for trial in trials] == ["controls"] * 3 + ["layout"] * 2 + ["weights"] * 2
    assert {trial.seed for trial in trials} == {shared_seed(spec)}
    assert trials[0].config != trials[1].config  # the draws differ all the same
