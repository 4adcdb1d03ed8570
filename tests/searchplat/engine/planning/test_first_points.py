"""Points that a stage tries first, and constraints, through the plan: order, seeds, resuming, what is taken over."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest
from searches import LAYOUT, X, one_stage, rehearsal_spec

from searchplat.engine.planning.plan import RANK, Plan, SuggestionDue, Turn
from searchplat.engine.resuming.fork import copy_trials
from searchplat.errors import InputError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers import SEARCHERS
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import Control, Objective, RepeatsSpec, SearcherSpec, SearchSpec, StageFrom
from searchplat.spec.space import Categorical, Constraint, Float, Space

POINTS = ({"x": 0.25}, {"x": 0.75})


def pointed(spec: SearchSpec, *points: dict[str, object], stage: int = 0) -> SearchSpec:
    stages = list(spec.stages)
    stages[stage] = replace(stages[stage], points=points)
    return replace(spec, stages=tuple(stages))


def open_ledger(path: Path, spec: SearchSpec) -> Ledger:
    file = path / "ledger.sqlite"
    return (
        Ledger.open(file, spec.objectives) if file.exists() else Ledger.create(file, to_document(spec), spec.objectives)
    )


def finish(ledger: Ledger, trial: TrialRecord) -> None:
    ledger.start(trial.number)
    ledger.report(trial.number, 1, {"valid/mrr": trial.config["x"] + trial.config["layout"].count("1")})
    ledger.end(trial.number, TrialState.FINISHED)


def run(plan: Plan, most: int = 200) -> list[TrialRecord]:
    """Play the plan, at most so many turns."""
    for _ in range(most):
        turn = plan.next()
        if turn is Turn.DONE:
            break
        assert not isinstance(turn, Turn)
        if isinstance(turn, SuggestionDue):
            plan.suggest(turn.stage)
        else:
            finish(plan.ledger, turn)
    return plan.ledger.trials()


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_points_come_after_controls_and_before_the_searcher_and_each_once(tmp_path: Path, searcher: str) -> None:
    spec = replace(one_stage(rehearsal_spec(), 6, searcher), controls=(Control("default"),))
    spec = pointed(spec, *POINTS)
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
    assert [trial.control for trial in trials] == ["default"] + [None] * (len(trials) - 1)
    assert [trial.values["x"] for trial in trials[1:3]] == [0.25, 0.75]
    assert [trial.info.get("point") for trial in trials] == [None, 1, 2] + [None] * (len(trials) - 3)
    assert len({trial.values["x"] for trial in trials[1:]}) == len(trials) - 1 == (6 if searcher != "grid" else 5)
    assert len({trial.seed for trial in trials}) == len(trials)


@pytest.mark.parametrize("searcher", ["tpe", "cmaes", "nsga2", "pr"])
def test_a_search_interrupted_anywhere_goes_on_the_same(tmp_path: Path, searcher: str) -> None:
    spec = pointed(one_stage(rehearsal_spec(), 6, searcher), *POINTS)
    with open_ledger(tmp_path, spec) as ledger:
        whole = [trial.values for trial in run(Plan(spec, ledger))]
    (tmp_path / "again").mkdir()
    for turns in (1, 1, 1, 2, 3, 1, 100):  # a new process each
        with open_ledger(tmp_path / "again", spec) as ledger:
            again = [trial.values for trial in run(Plan(spec, ledger), turns)]
    assert again == whole


@pytest.mark.parametrize(
    ("searcher", "options"),
    [("tpe", {"startup": 1}), ("gp", {"startup": 1}), ("pr", {"startup": 1, "restarts": 2, "samples": 4, "steps": 2})],
)
def test_the_searcher_hears_what_points_came_to(tmp_path: Path, searcher: str, options: dict[str, object]) -> None:
    found = []
    for maximize in (True, False):
        (folder := tmp_path / str(maximize)).mkdir()
        spec = replace(one_stage(rehearsal_spec(), 3), objectives=(Objective("valid/mrr", maximize),))
        stage = replace(spec.stages[0], searcher=SearcherSpec(searcher, options), points=POINTS)
        spec = replace(spec, stages=(stage,))
        with open_ledger(folder, spec) as ledger:
            found.append(run(Plan(spec, ledger))[2].values["x"])
    assert found[0] > 0.5 > found[1]  # of the two points the one with the larger x has the larger value


def test_what_a_point_leaves_out_has_its_default_or_is_drawn(tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec({"layout": "010-000-000"}), 4)
    y = Categorical("kind", ("a", "b"))
    stage = replace(spec.stages[0], over=("layout", "x", "kind"), points=({"x": 0.5}, {"kind": "b"}, {}))
    spec = replace(spec, space=Space((LAYOUT, X, y)), stages=(stage,))
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
    assert [trial.values["layout"] for trial in trials[:3]] == ["010-000-000"] * 3
    assert trials[0].values["x"] == 0.5
    assert trials[1].values["kind"] == "b"
    assert [trial.info.get("point") for trial in trials] == [1, 2, 3, None]


def test_a_point_of_a_stage_that_builds_on_the_best_few_builds_on_the_best(tmp_path: Path) -> None:
    spec = pointed(rehearsal_spec(), {"x": 0.5}, stage=1)
    second = replace(spec.stages[1], start_from=StageFrom("layout", 3))
    spec = replace(spec, stages=(spec.stages[0], second))
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
    assert trials[3].values == {"x": 0.5, RANK: 1}


def test_points_and_repeats_share_a_stage(tmp_path: Path) -> None:
    spec = pointed(one_stage(rehearsal_spec(), 6), *POINTS)
    spec = replace(spec, stages=(replace(spec.stages[0], repeats=RepeatsSpec(0.5, 1)),))
    with open_ledger(tmp_path, spec) as ledger:
        routes = [trial.info["route"] for trial in run(Plan(spec, ledger))]
    assert routes[:2] == ["points", "points"]
    assert "repeat" in routes


def test_a_fork_tries_no_point_again(tmp_path: Path) -> None:
    spec = pointed(one_stage(rehearsal_spec(), 3), POINTS[0])
    wider = pointed(one_stage(rehearsal_spec(), 5), *POINTS)
    with open_ledger(tmp_path, spec) as old:
        run(Plan(spec, old))
        (tmp_path / "fork").mkdir()
        with open_ledger(tmp_path / "fork", wider) as ledger:
            copy_trials(old, "old", ledger, wider)
            trials = run(Plan(wider, ledger))
    assert [trial.values["x"] for trial in trials].count(0.25) == 1
    assert trials[3].values == {"x": 0.75}


def constrained(spec: SearchSpec, *texts: str) -> SearchSpec:
    return replace(spec, space=replace(spec.space, constraints=tuple(map(Constraint, texts))))


def test_a_fork_takes_no_trial_that_breaks_a_constraint(tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec(), 6)
    narrow = constrained(spec, "x < 0.5")
    with open_ledger(tmp_path, spec) as old:
        before = [trial.values["x"] for trial in run(Plan(spec, old))]
        (tmp_path / "fork").mkdir()
        with open_ledger(tmp_path / "fork", narrow) as ledger:
            copy_trials(old, "old", ledger, narrow)
            taken = [trial.values["x"] for trial in ledger.trials()]
    assert taken == [x for x in before if x < 0.5]
    assert 0 < len(taken) < 6


@pytest.mark.parametrize("searcher", SEARCHERS)
def test_what_is_taken_over_counts_in_constraints_whichever_of_the_best_it_is(tmp_path: Path, searcher: str) -> None:
    """Each of the best three has its own number of ones, and so its own bound on x."""
    spec = constrained(rehearsal_spec(layout_trials=4, x_trials=8), "x * 10 < count(layout, '1')")
    second = replace(spec.stages[1], start_from=StageFrom("layout", 3), searcher=SearcherSpec(searcher))
    spec = replace(spec, stages=(spec.stages[0], second))
    with open_ledger(tmp_path, spec) as ledger:
        trials = [trial for trial in run(Plan(spec, ledger)) if trial.stage == "weights"]
    assert trials
    for trial in trials:
        assert trial.config["x"] * 10 < trial.config["layout"].count("1")


def test_the_methods_defaults_count_in_constraints(tmp_path: Path) -> None:
    spec = constrained(one_stage(rehearsal_spec(), 5), "x < 1 / epochs", "layout == '000-000-000'")
    with open_ledger(tmp_path, spec) as ledger:
        assert all(trial.config["x"] < 1 / 3 for trial in run(Plan(spec, ledger)))


def test_random_controls_keep_constraints_with_their_values(tmp_path: Path) -> None:
    controls = (Control("random", {"x": 0.5}, random=True, trials=5),)
    spec = constrained(rehearsal_spec(controls=controls), "x * 10 < count(layout, '1')")
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        for _ in range(5):
            trial = plan.next()
            assert isinstance(trial, TrialRecord)
            assert trial.config["layout"].count("1") > 5
            assert trial.config["x"] == 0.5
            finish(ledger, trial)


def test_a_stage_that_is_left_no_point_ends_the_search_with_a_sentence(tmp_path: Path) -> None:
    spec = constrained(rehearsal_spec(), "x > 0.5 or layout == '111-111-111'")
    spec = replace(spec, space=Space((LAYOUT, Float("x", 0.0, 0.4)), spec.space.constraints))
    first = replace(spec.stages[0], fixed={"x": 0.6})
    spec = replace(spec, stages=(first, spec.stages[1]))
    with open_ledger(tmp_path, spec) as ledger, pytest.raises(InputError, match=r"stage 'weights': with the values"):
        run(Plan(spec, ledger))


def test_a_point_that_does_not_go_with_what_is_taken_over_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spec = constrained(rehearsal_spec({"x": 0.1}, layout_trials=1), "x < 0.5 or layout == '111-111-111'")
    spec = pointed(spec, {"x": 0.75}, {"x": 0.25}, stage=1)
    with open_ledger(tmp_path, spec) as ledger, caplog.at_level(logging.WARNING):
        trials = run(Plan(spec, ledger))
    assert [trial.info.get("point") for trial in trials[1:]] == [2, None, None]
    assert (
        "point 1 of stage weights is not tried: with what the stage takes over it breaks the constraint" in caplog.text
    )
