"""What a search copies of others at its start, and that it goes on from the copy alone."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from searches import X, one_stage, rehearsal_spec

from searchplat.engine.planning.past import at_start, gather, keep, past_of, with_past
from searchplat.engine.planning.plan import Plan, SuggestionDue
from searchplat.engine.resuming.opening import open_ledger
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.searchers.transfer import SourceTask, SourceTrial
from searchplat.spec import diff, from_document, to_document
from searchplat.spec.model import Control, Objective, SearcherSpec, SearchSpec
from searchplat.spec.space import Float, Space

THERE = rehearsal_spec(layout_trials=6, x_trials=3, controls=(Control("serial", {"layout": "000-000-000"}),))


def play(ledger: Ledger, plan: Plan, metrics: Mapping[str, float] = {"valid/other": 5.0, "test/mrr": 9.0}) -> None:
    """Run whatever the plan holds; a trial's best epoch is its first."""
    while not plan.done:
        turn = plan.next()
        if isinstance(turn, SuggestionDue):
            plan.suggest(turn.stage)
            continue
        trial = ledger.open_trials()[0]
        value = trial.config["layout"].count("1") + trial.config.get("x", 0.0)
        ledger.start(trial.number)
        ledger.report(trial.number, 1, {"valid/mrr": value, **metrics})
        ledger.report(trial.number, 2, {"valid/mrr": value - 1, **metrics})
        ledger.end(trial.number, TrialState.FINISHED)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of searches with `there` in it: trial 1 was stopped early, trial 2 failed."""
    folder = SearchFolder(tmp_path / "runs", "there")
    folder.path.mkdir(parents=True)
    with open_ledger(folder, THERE) as ledger:
        plan = Plan(THERE, ledger)
        for state in (TrialState.STOPPED, TrialState.FAILED):
            trial = plan.suggest(THERE.stages[0])
            assert trial is not None
            ledger.start(trial.number)
            ledger.report(trial.number, 1, {"valid/mrr": 100.0})
            ledger.end(trial.number, state)
        play(ledger, plan)
    return folder.path.parent


def here(*past: object, searcher: str = "pr", **changes: object) -> SearchSpec:
    spec = rehearsal_spec(layout_trials=6, x_trials=2, seed=1)
    layout = replace(spec.stages[0], searcher=SearcherSpec(searcher, {"past": list(past)}))
    return replace(spec, stages=(layout, *spec.stages[1:]), **changes)  # type: ignore[arg-type]


def test_only_completed_trials_of_the_stage_that_is_alike_are_taken_with_their_best_epoch(runs: Path) -> None:
    (task,) = gather(here("there"), runs)["layout"]
    assert task.name == "there/layout"
    assert len(task.trials) == 4
    assert all(trial.objectives == (trial.values["layout"].count("1") + trial.values["x"],) for trial in task.trials)
    (task,) = gather(here({"search": "there", "stage": "weights"}), runs)["layout"]
    assert len(task.trials) == 3


def test_the_search_goes_on_from_its_copy_when_the_other_has_gone(runs: Path) -> None:
    spec = here("there")
    folder = SearchFolder(runs, "here")
    folder.path.mkdir()
    said: list[str] = []
    known = at_start(spec, folder, said.append)
    assert said == ["stage layout learns from 4 of the 4 completed trials of there/layout"]
    with open_ledger(folder, spec, partial(lambda past, ledger: keep(ledger, past), known)) as ledger:
        assert past_of(ledger, "layout") == known["layout"]
        assert past_of(ledger, "weights") == ()
        first = Plan(spec, ledger).suggest(spec.stages[0])
        assert first is not None
        best = max(known["layout"][0].trials, key=lambda trial: trial.objectives)
        assert first.values == {"layout": best.values["layout"]}
        assert first.info["route"] == "past"
        assert from_document(ledger.document()) == spec
    shutil.rmtree(runs / "there")
    with open_ledger(folder, spec) as ledger:
        plan = Plan(spec, ledger)
        routes = [one.info["route"] for _ in range(4) if (one := plan.suggest(spec.stages[0])) is not None]
        assert routes[0] == "past"  # of four trials the better two are tried, and one was
        assert "past" not in routes[1:]


def test_another_metric_of_the_same_trials_may_be_the_objective_but_never_one_that_they_lack(runs: Path) -> None:
    (task,) = gather(here("there", objectives=(Objective("valid/other", False),)), runs)["layout"]
    assert {trial.objectives for trial in task.trials} == {(5.0,)}
    message = refusal(runs, here("there", objectives=(Objective("valid/ndcg@10", True),)))
    assert "none of its 4 completed trials reported valid/ndcg@10" in message
    assert "they have valid/mrr, valid/other; leave it out" in message
    assert "test/" not in message


def refusal(runs: Path, spec: SearchSpec) -> str:
    with pytest.raises(InputError) as caught:
        gather(spec, runs)
    return str(caught.value)


def test_what_cannot_be_learned_from_is_said(runs: Path) -> None:
    assert "stage 'layout', past: search 'gone' does not exist in" in refusal(runs, here("gone"))
    assert "has no stage 'x'; its stages are layout, weights" in refusal(runs, here({"search": "there", "stage": "x"}))
    far = one_stage(here(), 3, "pr")
    far = replace(
        far,
        space=Space((Float("y", 0.0, 1.0),)),
        stages=(replace(far.stages[0], over=("y",), searcher=SearcherSpec("pr", {"past": ["there"]})),),
    )
    assert "none of its stages (layout, weights) searches a parameter of this one (y)" in refusal(runs, far)
    away = replace(
        far,
        space=Space((replace(X, low=5.0, high=6.0),)),
        stages=(replace(far.stages[0], over=("x",)),),
    )
    message = refusal(runs, away)
    assert "none of its 3 completed trials lies in the space of this stage (trial " in message
    assert "x: must lie in [5.0, 6.0], got " in message


def test_a_ledger_without_a_past_opens_as_ever(runs: Path) -> None:
    with SearchFolder(runs, "there").read() as ledger:
        assert ledger.meta("past") is None
        assert past_of(ledger, "layout") == ()


def test_a_fork_and_a_wider_space_keep_the_copy(runs: Path) -> None:
    spec = here("there")
    folder = SearchFolder(runs, "here")
    folder.path.mkdir()
    known = at_start(spec, folder, print)
    with open_ledger(folder, spec, partial(lambda past, ledger: keep(ledger, past), known)):
        pass
    shutil.rmtree(runs / "there")
    assert at_start(spec, folder, print) == known
    with pytest.raises(InputError, match="'there' does not exist"):
        at_start(here("there", objectives=(Objective("valid/other", True),)), folder, print)


def test_the_option_adds_to_what_the_space_says(runs: Path) -> None:
    spec = with_past(here("there", searcher="pr"), ["there", "third/layout"])
    assert spec.stages[0].searcher.options["past"] == ["there", {"search": "third", "stage": "layout"}]
    assert spec.stages[1].searcher == here("there").stages[1].searcher
    assert diff(to_document(here("there", searcher="pr")), to_document(spec)) != []
    with pytest.raises(InputError, match="only the searcher pr learns from other searches"):
        with_past(rehearsal_spec(), ["there"])
    for wrong in ("No Name", "there/layout/x", ""):
        with pytest.raises(InputError, match=f"--past: must be SEARCH or SEARCH/STAGE, got '{wrong}'"):
            with_past(here(), [wrong])


def test_the_option_adds_to_a_past_however_it_is_written() -> None:
    for own in ("there", {"search": "there"}, ["there"]):
        layout = SearcherSpec("pr", {"past": own})
        spec = here()
        spec = replace(spec, stages=(replace(spec.stages[0], searcher=layout), *spec.stages[1:]))
        assert with_past(spec, ["third", "there"]).stages[0].searcher.options["past"] == ["there", "third"]


def test_a_source_that_is_named_as_a_search_and_as_its_stage_counts_once(runs: Path) -> None:
    assert len(gather(here("there", {"search": "there", "stage": "layout"}), runs)["layout"]) == 1


def test_values_that_json_has_no_number_for_are_kept(tmp_path: Path) -> None:
    task = SourceTask("there", "layout", (SourceTrial(0, {"clip": math.inf, "layout": "000"}, (1.0,)),))
    with Ledger.create(tmp_path / "ledger.sqlite", {}, [Objective("valid/mrr", True)]) as ledger:
        keep(ledger, {"layout": (task,)})
        assert past_of(ledger, "layout") == (task,)
