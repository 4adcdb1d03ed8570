"""What comes next: stages in order, budgets, inheritance, controls, interruptions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from searches import LAYOUT, one_stage, rehearsal_spec

from searchplat.engine.planning.budgets import budgets
from searchplat.engine.planning.epochs import most_epochs
from searchplat.engine.planning.plan import Plan, SuggestionDue, Turn
from searchplat.engine.planning.seeds import derive_seed, shared_seed
from searchplat.errors import SearchFailedError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.ranking import Ranking
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Control, Objective, RepeatsSpec, SearcherSpec, SearchSpec, StageFrom, StageSpec
from searchplat.spec.space import Categorical, Int, Space


def open_ledger(tmp_path: Path, spec: SearchSpec) -> Ledger:
    return Ledger.create(tmp_path / "ledger.sqlite", {}, spec.objectives)


def finish(ledger: Ledger, trial: TrialRecord, value: float | None = None, seconds: float = 0.0) -> None:
    score = trial.config["layout"].count("1") if value is None else value
    ledger.start(trial.number)
    ledger.report(trial.number, 1, {"valid/mrr": score, "time/train_seconds": seconds})
    ledger.end(trial.number, TrialState.FINISHED)


def run(plan: Plan, most: int = 100, seconds: float = 0.0) -> list[TrialRecord]:
    """Play the whole plan, one trial at a time."""
    for _ in range(most):
        turn = plan.next()
        if turn is Turn.DONE:
            return plan.ledger.trials()
        assert turn is not Turn.WAIT
        if isinstance(turn, SuggestionDue):
            plan.suggest(turn.stage)
        elif isinstance(turn, TrialRecord):
            finish(plan.ledger, turn, seconds=seconds)
    raise AssertionError("the plan does not end")


def test_stages_run_in_order_and_the_second_builds_on_the_best_of_the_first(tmp_path: Path) -> None:
    spec = rehearsal_spec({"epochs": 2}, layout_trials=4, x_trials=3)
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
        best = Ranking.of(ledger).of_stage("layout")[0]
    assert [trial.stage for trial in trials] == ["layout"] * 4 + ["weights"] * 3
    for trial in trials[4:]:
        assert trial.config["layout"] == best.config["layout"]
        assert set(trial.values) == {"x"}
        assert trial.config["epochs"] == 2


def test_what_could_be_at_work_are_open_trials_controls_and_stages_that_can_go_on(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2, x_trials=5, controls=(Control("default", trials=2),))
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        seen = [plan.ready()]
        while (turn := plan.next()) is not Turn.DONE:
            if isinstance(turn, SuggestionDue):
                plan.suggest(turn.stage)
            else:
                assert isinstance(turn, TrialRecord)
                assert plan.ready() == seen[-1], "a trial is counted before and after it was suggested"
                finish(ledger, turn)
                seen.append(plan.ready())
    assert seen == [4, 3, 2, 1, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("by", ["value", "model"])
def test_by_a_model_a_stage_builds_on_what_is_good_and_not_on_what_was_lucky(tmp_path: Path, by: str) -> None:
    spec = rehearsal_spec({"epochs": 2}, layout_trials=30, x_trials=1)
    second = replace(spec.stages[1], start_from=StageFrom("layout", by=by))
    spec = replace(spec, stages=(spec.stages[0], second), controls=())
    with open_ledger(tmp_path, spec) as ledger:
        plan, noise = Plan(spec, ledger), np.random.default_rng(0)
        for _ in range(30):
            trial = plan.suggest(spec.stages[0])
            assert isinstance(trial, TrialRecord)
            bits = trial.config["layout"].count("1")
            # The more bits, the better, but for one that was lucky.
            finish(ledger, trial, 7.9 if trial.number == 0 else bits + float(noise.normal()))
        chosen = plan.sources(second)[0]
        assert Plan(spec, ledger).sources(second)[0] == chosen
        counts = {trial.number: trial.config["layout"].count("1") for trial in ledger.trials()}
    assert (chosen.number == 0) == (by == "value")
    assert by == "value" or counts[chosen.number] >= max(counts.values()) - 1


def test_a_stage_without_axes_trains_the_best_again_on_more_users(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=6)
    rungs = [
        replace(spec.stages[0], data_fraction=0.1),
        StageSpec("third", (), SearcherSpec("grid"), 9, 0.33, start_from=StageFrom("layout", 3)),
        StageSpec("all", (), SearcherSpec("grid"), 1, 1.0, start_from=StageFrom("third")),
    ]
    spec = replace(spec, space=Space((LAYOUT,)), stages=tuple(rungs))
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
        first, second = (Ranking.of(ledger).of_stage(name) for name in ("layout", "third"))
    assert [trial.data_fraction for trial in trials] == [0.1] * 6 + [0.33] * 3 + [1.0]
    assert {t.config["layout"] for t in second} == {t.config["layout"] for t in first[:3]}
    assert trials[-1].config["layout"] == second[0].config["layout"]


def test_the_second_stage_waits_for_open_trials_of_the_first(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=1)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        turn = plan.next()
        assert isinstance(turn, SuggestionDue)
        trial = plan.suggest(turn.stage)
        assert trial is not None
        ledger.start(trial.number)
        assert plan.next() is Turn.WAIT
        assert plan.ahead(8) is None  # what the next stage builds on is not known
        ledger.end(trial.number, TrialState.FAILED, "a bug")
        asked = plan.next()
        assert isinstance(asked, SuggestionDue)
        with pytest.raises(SearchFailedError, match="none of its trials ended with a value"):
            plan.suggest(asked.stage)


def test_suggestions_are_made_ahead_up_to_a_number_and_never_beyond_the_stage(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=3)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        assert plan.ahead(0) is None
        for expected in (True, True, False):
            turn = plan.ahead(2)
            assert (turn is not None) == expected
            if turn is not None:
                plan.suggest(turn.stage)
        assert len(ledger.trials()) == 2
        for _ in range(2):
            waiting = plan.waiting()
            assert waiting is not None
            ledger.start(waiting.number)
        assert plan.waiting() is None
        turn = plan.ahead(2)
        assert turn is not None
        plan.suggest(turn.stage)
        assert plan.ahead(2) is None


def test_a_searcher_that_can_makes_several_suggestions_at_once_within_the_budget(tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec(), 7, "pr")
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        first = plan.suggest(spec.stages[0], count=5)
        assert first == ledger.trial(0)
        plan.suggest(spec.stages[0], count=5)
        trials = ledger.trials()
    assert len(trials) == 7
    assert len({trial.config["x"] for trial in trials}) == 7
    assert {trial.based_on for trial in trials[:5]} == {0}


def test_the_plan_says_when_nothing_comes_after_the_open_trials(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=1, x_trials=1)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        for last in (False, True):
            turn = plan.next()
            assert isinstance(turn, SuggestionDue)
            trial = plan.suggest(turn.stage)
            assert trial is not None
            ledger.start(trial.number)
            assert plan.next() is (Turn.LAST if last else Turn.WAIT)
            ledger.report(trial.number, 1, {"valid/mrr": 1.0})
            ledger.end(trial.number, TrialState.FINISHED)
        assert plan.next() is Turn.DONE


def test_waiting_trials_come_first_after_an_interruption(tmp_path: Path) -> None:
    spec = rehearsal_spec()
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        turn = plan.next()
        assert isinstance(turn, SuggestionDue)
        suggested = plan.suggest(turn.stage)
        again = Plan(spec, ledger).next()
    assert again == suggested


def test_controls_run_first_never_guide_and_have_their_own_values(tmp_path: Path) -> None:
    controls = (
        Control("default"),
        Control("all-parallel", values={"layout": "111-111-111"}),
        Control("random", random=True, trials=2),
    )
    spec = rehearsal_spec({"epochs": 2}, controls=controls)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        assert plan.planned_trials == 3 + 3 + 4
        trials = run(plan)
        best = Ranking.of(ledger).of_stage("layout")[0]
    assert [trial.control for trial in trials[:5]] == ["default", "all-parallel", "random", "random", None]
    assert trials[1].config["layout"] == "111-111-111"
    assert trials[2].config != trials[3].config
    # All ones score highest, yet the stage builds on the best of its own.
    assert trials[-1].config["layout"] == best.config["layout"] != "111-111-111"


@pytest.mark.parametrize(
    ("total", "expected"),
    [(None, (3, 6)), (9, (3, 6)), (20, (3, 17)), (3, (1, 2)), (2, (1, 1)), (6, (2, 4))],
)
def test_a_total_is_shared_out_in_proportion_and_more_goes_to_the_last_stage(
    tmp_path: Path, total: int | None, expected: tuple[int, int]
) -> None:
    spec = rehearsal_spec(layout_trials=3, x_trials=6)
    with open_ledger(tmp_path, spec) as ledger:
        assert tuple(Plan(spec, ledger, total).budgets.values()) == expected


def test_a_total_that_gives_small_stages_more_than_their_share_is_kept_nevertheless() -> None:
    spec = rehearsal_spec(layout_trials=1, x_trials=1)
    numbers = {"a": 1, "b": 1, "c": 1, "d": 27}
    spec = replace(spec, stages=tuple(replace(spec.stages[0], name=n, trials=t) for n, t in numbers.items()))
    assert [tuple(budgets(spec, total).values()) for total in (4, 5, 29)] == [(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 1, 26)]


def test_fewer_than_were_had_are_as_many_as_were_had(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2, x_trials=4)
    with open_ledger(tmp_path, spec) as ledger:
        run(Plan(spec, ledger))
        plan = Plan(spec, ledger, 2)
        assert plan.planned_trials == len(ledger.trials()) == 6
        assert plan.done


def test_a_finished_search_is_extended_in_its_last_stage_only(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2, x_trials=2)
    with open_ledger(tmp_path, spec) as ledger:
        run(Plan(spec, ledger, 2))
        trials = run(Plan(spec, ledger, 7))
    assert [trial.stage for trial in trials] == ["layout", "weights", *["weights"] * 4]


def test_top_two_makes_the_choice_between_them_an_axis(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=4, x_trials=8)
    first, second = spec.stages
    spec = replace(spec, stages=(first, replace(second, start_from=StageFrom("layout", top=2))))
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
        ranked = Ranking.of(ledger).of_stage("layout")
    for trial in trials[4:]:
        assert trial.config["layout"] == ranked[trial.values["from"] - 1].config["layout"]
    assert {trial.values["from"] for trial in trials[4:]} == {1, 2}


def test_a_stage_whose_points_are_exhausted_ends_early_also_after_a_resume(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2, x_trials=9)
    first, second = spec.stages
    grid = replace(second, searcher=SearcherSpec("grid"))
    stepped = replace(spec.space["x"], step=0.5)  # type: ignore[type-var]
    spec = replace(spec, stages=(first, grid), space=type(spec.space)((spec.space["layout"], stepped)))
    with open_ledger(tmp_path, spec) as ledger:
        trials = run(Plan(spec, ledger))
        assert sorted(trial.values["x"] for trial in trials[2:]) == [0.0, 0.5, 1.0]
        assert Plan(spec, ledger).next() is Turn.DONE


def test_a_stage_ends_once_its_trials_took_their_hours_and_the_next_begins(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=9, x_trials=9)
    first, second = spec.stages
    spec = replace(spec, stages=(replace(first, hours=1.0), replace(second, gpu_hours=0.5)))
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        plan.gpu_shares = {"weights": 0.25}
        trials = run(plan, seconds=1500.0)
        # 3 times 25 minutes are more than an hour; 5 times 25 minutes on a quarter of a GPU more than half a GPU hour.
        assert [trial.stage for trial in trials] == ["layout"] * 3 + ["weights"] * 5
        assert Plan(spec, ledger).next() is Turn.DONE


def test_stages_that_are_independent_go_on_side_by_side_by_priority(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2, x_trials=2)
    first, second = spec.stages
    other = StageSpec("other", ("x",), SearcherSpec("random"), 3)
    spec = replace(spec, stages=(first, second, other))
    for priority, order in ((0, "layout layout other weights weights"), (1, "other other other layout layout")):
        spec = replace(spec, stages=(first, second, replace(other, priority=priority)))
        (tmp_path / str(priority)).mkdir()
        with open_ledger(tmp_path / str(priority), spec) as ledger:
            plan, handed, stages = Plan(spec, ledger), [], []
            while len(stages) < 5:
                turn = plan.next()
                if isinstance(turn, SuggestionDue):
                    plan.suggest(turn.stage)
                elif isinstance(turn, TrialRecord):
                    ledger.start(turn.number)
                    stages.append(turn.stage)
                    handed.append(turn)
                    # One slot stays with a trial of the first stage until the other stage has begun.
                    if len(stages) == 3:
                        for trial in handed:
                            ledger.report(trial.number, 1, {"valid/mrr": 0.5})
                            ledger.end(trial.number, TrialState.FINISHED)
                        handed = []
            assert " ".join(stages) == order


def test_a_waiting_trial_of_a_more_important_stage_comes_first(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=2)
    first, second = spec.stages
    spec = replace(spec, stages=(first, second, StageSpec("other", ("x",), SearcherSpec("random"), 3, priority=-1)))
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        plan.suggest(spec.stages[2])
        plan.suggest(first)
        waiting = plan.waiting()
        assert waiting is not None
        assert waiting.stage == "layout"


def test_equal_seeds_give_equal_searches_and_trials_differ_in_their_seeds(tmp_path: Path) -> None:
    def trials(folder: str, seed: int) -> list[tuple[object, ...]]:
        (tmp_path / folder).mkdir()
        spec = rehearsal_spec(seed=seed)
        with open_ledger(tmp_path / folder, spec) as ledger:
            return [(trial.values, trial.seed) for trial in run(Plan(spec, ledger))]

    assert trials("a", 1) == trials("b", 1) != trials("c", 2)
    assert len({seed for _, seed in trials("d", 1)}) == 6


def test_derived_seeds_fit_everywhere_and_differ() -> None:
    seeds = {derive_seed(0, "trial", number) for number in range(1000)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_stage_that_others_build_on_already_is_planned_no_larger_than_it_is(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=6, x_trials=2)
    with open_ledger(tmp_path, spec) as ledger:
        run(Plan(spec, ledger, 4))
        plan = Plan(spec, ledger)  # as large as the file says, after all
        assert [plan.planned(stage) for stage in spec.stages] == [3, 2]
        run(plan)
        assert plan.planned_trials == len(ledger.trials()) == 5


def test_of_several_objectives_a_stage_builds_on_the_front_each_configuration_once(tmp_path: Path) -> None:
    spec = rehearsal_spec(layout_trials=5)
    first, second = spec.stages
    objectives = (Objective("valid/mrr", True), Objective("valid/loss", False))
    second = replace(second, over=(), searcher=SearcherSpec("grid"), trials=9, start_from=StageFrom("layout", 3))
    spec = replace(spec, objectives=objectives, space=Space((LAYOUT,)), stages=(first, second))
    layouts = ["000-000-001", "000-000-011", "000-000-111", "000-000-011", "000-001-111"]
    values = [(0.9, 9.0), (0.8, 2.0), (0.1, 1.0), (0.85, 2.0), (0.5, 8.0)]
    with open_ledger(tmp_path, spec) as ledger:
        for layout, (mrr, loss) in zip(layouts, values, strict=True):
            trial = ledger.suggest(
                stage="layout", method="rehearsal", values={"layout": layout}, config={"layout": layout},
                data_fraction=1.0, seed=0,
            )  # fmt: skip
            ledger.report(trial.number, 1, {"valid/mrr": mrr, "valid/loss": loss})
            ledger.end(trial.number, TrialState.FINISHED)
        plan = Plan(spec, ledger)
        for _ in range(3):
            plan.suggest(second)
        taken = {trial.values["from"]: trial.config["layout"] for trial in ledger.trials()[5:]}
    assert taken == {1: layouts[3], 2: layouts[2], 3: layouts[0]}


@pytest.mark.parametrize(
    ("axis", "own", "expected"),
    [
        (Int("epochs", 2, 40), ("epochs",), 40),
        (Categorical("epochs", (5, 20, 10)), ("epochs",), 20),
        (Int("epochs", 2, 40), ("x",), 7),
    ],
)
def test_the_epochs_of_a_stage_are_the_most_that_its_trials_may_have(
    axis: Int | Categorical, own: tuple[str, ...], expected: int
) -> None:
    spec = rehearsal_spec({"epochs": 7})
    first, second = spec.stages
    spec = replace(spec, space=Space((LAYOUT, *spec.space.domains[1:], axis)))
    earlier = replace(first, over=own)
    spec = replace(spec, stages=(earlier, second))
    assert most_epochs(spec, earlier) == expected
    assert most_epochs(spec, second) == expected  # what it takes over counts as what it searches


def repeating(spec: SearchSpec, share: float, top: int, seeds: str = "own") -> SearchSpec:
    stages = (replace(spec.stages[0], repeats=RepeatsSpec(share, top), seeds=seeds), *spec.stages[1:])
    return replace(spec, stages=stages)


@pytest.mark.parametrize("seeds", ["own", "shared"])
@pytest.mark.parametrize("searcher", ["random", "tpe", "pr"])
def test_every_so_often_one_of_the_best_configurations_is_trained_again(
    tmp_path: Path, searcher: str, seeds: str
) -> None:
    spec = rehearsal_spec(layout_trials=12, x_trials=1)
    spec = replace(spec, stages=(replace(spec.stages[0], searcher=SearcherSpec(searcher)), *spec.stages[1:]))
    spec = repeating(spec, 0.25, 2, seeds)
    with open_ledger(tmp_path, spec) as ledger:
        for _ in range(100):  # a new plan each time, as after an interruption
            turn = Plan(spec, ledger).next()
            if turn is Turn.DONE:
                break
            trial = Plan(spec, ledger).suggest(turn.stage) if isinstance(turn, SuggestionDue) else turn
            assert isinstance(trial, TrialRecord)
            finish(ledger, trial)
        trials = [trial for trial in ledger.trials() if trial.stage == "layout"]
        names = [stage.name for stage in spec.stages]
        for count in (3, 7, 11):
            again, before = trials[count], trials[:count]
            first = trials[again.info["repeats"]]
            assert (again.values, again.config, again.info["route"]) == (first.values, first.config, "repeat")
            best = Ranking(before, spec.objectives, names).configurations(2, stage="layout")
            assert first.number in [one.number for one in best]
            training = sum(t.number == first.number or t.info.get("repeats") == first.number for t in before)
            assert again.info["training"] == training
            expected = shared_seed(spec, training) if seeds == "shared" else derive_seed(spec.seed, "trial", count)
            assert again.seed == expected
        assert len({trial.config["layout"] for trial in trials}) == 9
        assert len(Ranking.of(ledger).of_stage("layout")) == 9


def test_a_resumed_plan_repeats_what_an_uninterrupted_one_does(tmp_path: Path) -> None:
    spec = repeating(rehearsal_spec(layout_trials=10, x_trials=3), 0.3, 3)
    points = []
    for way in ("whole", "resumed"):
        (tmp_path / way).mkdir()
        with open_ledger(tmp_path / way, spec) as ledger:
            if way == "resumed":
                with pytest.raises(AssertionError, match="does not end"):
                    run(Plan(spec, ledger), most=9)
            points.append([(t.values, t.seed, t.info.get("repeats")) for t in run(Plan(spec, ledger))])
    assert points[0] == points[1]


def test_nothing_is_repeated_before_there_is_a_value(tmp_path: Path) -> None:
    spec = repeating(rehearsal_spec(layout_trials=6), 0.5, 1)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        found = [plan.suggest(spec.stages[0]) for _ in range(4)]
        assert all(trial is not None and "repeats" not in trial.info for trial in found)
        assert found[0] is not None
        finish(ledger, found[0])
        plan.suggest(spec.stages[0])
        again = plan.suggest(spec.stages[0])
        assert again is not None
        assert (again.info["repeats"], again.values) == (0, found[0].values)


def test_a_later_stage_builds_on_the_mean_of_repeats(tmp_path: Path) -> None:
    spec = repeating(rehearsal_spec(layout_trials=4, x_trials=1), 0.25, 1)
    with open_ledger(tmp_path, spec) as ledger:
        plan = Plan(spec, ledger)
        for value in (0.9, 0.8, 0.5, 0.1):  # the last repeats the first
            trial = plan.suggest(spec.stages[0])
            assert trial is not None
            finish(ledger, trial, value)
        assert trial.info["repeats"] == 0
        assert [one.number for one in plan.sources(spec.stages[1])] == [1]
