from __future__ import annotations

import logging
from typing import Any

import numpy as np
import optuna
import pytest

from searchplat.searchers import History, PastTrial, TrialState, make_searcher
from searchplat.searchers.optuna_adapter import OptunaSearcher
from searchplat.searchers.optuna_space import OptunaSpace
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Condition, Float, Int, Layout, Space

SPACE = Space(
    (
        Layout("layout", 2, ("causal", "context"), ("serial", "parallel"), at_most={"parallel": 2}),
        Float("lr", 1e-4, 1e-1, log=True),
        Float("grid", 0.0, 1.0, step=0.3),
        Int("n", 1, 8, step=3),
        Categorical("kind", ("a", 1, True, None)),
        Categorical("size", (16, 32, 64), ordered=True),
        Bool("wide", when=(Condition("kind", ("a",)),)),
    )
)


def test_each_bit_of_a_layout_is_a_named_parameter() -> None:
    params, distributions = OptunaSpace(SPACE, {}).params({"layout": "01-10"})

    assert params == {
        "layout.layer0.causal": 0,
        "layout.layer0.context": 1,
        "layout.layer1.causal": 1,
        "layout.layer1.context": 0,
    }
    assert set(distributions) == set(params)


def test_points_survive_the_translation() -> None:
    rng = np.random.default_rng(0)
    for bits_as_ints in (False, True):
        translation = OptunaSpace(SPACE, {}, bits_as_ints)
        for _ in range(30):
            point = SPACE.sample(rng)
            params, _ = translation.params(point)
            study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
            study.enqueue_trial(params)
            assert translation.ask(study.ask()) == point


def test_axes_of_every_point_are_sampled_jointly() -> None:
    names = set(OptunaSpace(SPACE, {}).always())

    assert "wide" not in names
    assert {"lr", "n", "layout.layer1.context"} <= names


def test_asks_are_repaired_to_the_constraint() -> None:
    searcher = make_searcher(SearcherSpec("tpe", {"startup": 2}), SPACE, (True,), 0)
    # Good trials at the constraint's edge pull the model over it.
    past = tuple(
        PastTrial(i, {**SPACE.sample(np.random.default_rng(i)), "layout": text}, TrialState.FINISHED, (float(i),))
        for i, text in enumerate(["00-01", "01-01", "11-00", "10-10", "01-10", "00-11"])
    )
    for number in range(6, 30):
        suggestion = searcher.suggest(History(past, 0), number)
        assert suggestion is not None
        assert SPACE.refusals(suggestion.values) == []


def studied(searcher: Any) -> optuna.Study:
    assert isinstance(searcher, OptunaSearcher)
    return searcher._mirror._study


def test_states_enter_the_study_as_documented() -> None:
    searcher = make_searcher(SearcherSpec("tpe"), SPACE, (False,), 0)
    rng = np.random.default_rng(0)
    states = list(TrialState)
    past = tuple(
        PastTrial(i, SPACE.sample(rng), s, (0.5,) if s.scored or not s.final else None) for i, s in enumerate(states)
    )

    searcher.suggest(History(past, 0), 20)

    got = {s: t.state.name for s, t in zip(states, studied(searcher).trials, strict=False)}
    assert got == {
        TrialState.WAITING: "RUNNING",
        TrialState.RUNNING: "RUNNING",
        TrialState.FINISHED: "COMPLETE",
        TrialState.STOPPED: "COMPLETE",
        TrialState.DIVERGED: "FAIL",
        TrialState.INFEASIBLE: "FAIL",
        TrialState.TIMEOUT: "FAIL",
        TrialState.FAILED: "FAIL",
    }
    assert studied(searcher).direction == optuna.study.StudyDirection.MINIMIZE


def test_a_growing_history_reuses_the_study_and_another_does_not() -> None:
    searcher = make_searcher(SearcherSpec("tpe"), SPACE, (True,), 0)
    rng = np.random.default_rng(0)
    past = [PastTrial(i, SPACE.sample(rng), TrialState.FINISHED, (float(i),)) for i in range(5)]
    searcher.suggest(History(tuple(past), 5), 5)
    study = studied(searcher)

    past.append(PastTrial(5, SPACE.sample(rng), TrialState.RUNNING))
    searcher.suggest(History(tuple(past), 6), 6)
    assert studied(searcher) is study

    searcher.suggest(History(tuple(past[1:]), 7), 6)
    assert studied(searcher) is not study


def test_open_trials_push_tpe_away() -> None:
    """Constant liar: with one good region fully pending, fewer suggestions fall into it."""
    space = Space((Float("x", 0.0, 1.0),))
    past = [PastTrial(i, {"x": i / 20}, TrialState.FINISHED, (-abs(i / 20 - 0.5),)) for i in range(20)]
    pending = [PastTrial(20 + i, {"x": 0.45 + i / 200}, TrialState.RUNNING) for i in range(20)]
    near = []
    for trials in (past, past + pending):
        searcher = make_searcher(SearcherSpec("tpe", {"startup": 5}), space, (True,), 0)
        found = [searcher.suggest(History(tuple(trials), 0), 40 + k) for k in range(30)]
        near.append(sum(0.44 < s.values["x"] < 0.56 for s in found if s is not None))
    assert near[1] < near[0]


@pytest.mark.parametrize("name", ["cmaes", "nsga2"])
def test_samplers_with_a_state_get_ahead(name: str) -> None:
    """After some generations points lie near the optimum: the replayed state is really used."""
    space = Space(tuple(Float(axis, -1.0, 1.0) for axis in "uvwxyz"))
    searcher = make_searcher(SearcherSpec(name, {"population": 6}), space, (False,), 0)
    past: list[PastTrial] = []
    for number in range(120):
        suggestion = searcher.suggest(History(tuple(past), 2 * number), number)
        assert suggestion is not None
        loss = sum((v - 0.3) ** 2 for v in suggestion.values.values())
        seq = 2 * number
        past.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (loss,), 0.0, seq + 1, seq, seq + 2))

    losses = [t.objectives[0] for t in past if t.objectives]
    assert np.mean(losses[-12:]) < 0.4 * np.mean(losses[:12])


def test_optuna_is_quiet_during_a_suggestion_and_unchanged_after(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("optuna")
    before = logger.level
    make_searcher(SearcherSpec("tpe", {"group": True}), SPACE, (True,), 0).suggest(History(), 0)

    assert logger.level == before
    assert not caplog.records
