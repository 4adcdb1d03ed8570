"""Rules of early stopping: the same decisions as Ray Tune's, whatever is reported and in whatever order."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule, TrialScheduler

from searchplat.engine.judging.early_stopping import Asha, make_early_stopping
from searchplat.engine.judging.score import Score, below
from searchplat.ledger import pareto
from searchplat.spec.model import SchedulerSpec

EPOCHS = 4


def tunes(spec: SchedulerSpec, epochs: int, maximize: bool) -> TrialScheduler:
    """The rule of the same name in Ray Tune, with trials that end where it says."""
    shared: dict[str, Any] = {"time_attr": "epoch", "metric": "value", "mode": "max" if maximize else "min"}
    if spec.name == "asha":
        return AsyncHyperBandScheduler(
            **shared, max_t=max(epochs, spec.grace), grace_period=spec.grace, reduction_factor=spec.reduction
        )
    return MedianStoppingRule(
        **shared, grace_period=spec.grace, min_samples_required=spec.min_trials, min_time_slice=float("inf"),
        hard_stop=True,
    )  # fmt: skip


@given(
    name=st.sampled_from(["asha", "median"]),
    epochs=st.sampled_from([1, 2, 5, 9, 20, 27, 81]),
    grace=st.integers(1, 4),
    reduction=st.sampled_from([2, 3, 4]),
    min_trials=st.integers(1, 4),
    maximize=st.booleans(),
    ties=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_every_decision_is_ray_tunes(
    name: str, epochs: int, grace: int, reduction: int, min_trials: int, maximize: bool, ties: bool, seed: int
) -> None:
    spec = SchedulerSpec(name, grace=grace, reduction=reduction, min_trials=min_trials)
    ours, theirs = make_early_stopping(spec, epochs, maximize=maximize), tunes(spec, epochs, maximize)
    at_random = random.Random(seed)
    live = {number: SimpleNamespace(trial_id=str(number)) for number in range(20)}
    reached = dict.fromkeys(live, 0)
    seen = {number: _Hashable(one.trial_id) for number, one in live.items()}
    for one in seen.values():
        theirs.on_trial_add(None, one)  # type: ignore[arg-type]
    while live:
        number = at_random.choice(list(live))
        reached[number] += 1
        value = float(at_random.randrange(3)) if ties else at_random.gauss(0, 1)
        result = {"epoch": reached[number], "value": value, "training_iteration": reached[number]}
        decision = theirs.on_trial_result(None, seen[number], result)  # type: ignore[arg-type]
        stops = ours.stops(number, reached[number], value)
        assert stops == (decision == TrialScheduler.STOP)
        if stops or reached[number] >= epochs:
            del live[number]


class _Hashable:
    """What Tune's schedulers look at of a trial."""

    def __init__(self, trial_id: str) -> None:
        self.trial_id = trial_id


@pytest.mark.parametrize("name", ["asha", "median"])
def test_decisions_are_the_same_whether_ended_trials_are_judged_again_or_remembered(name: str) -> None:
    rng = np.random.default_rng(1)
    spec = SchedulerSpec(name, grace=1, reduction=2, min_trials=2)
    judged, remembered = (make_early_stopping(spec, EPOCHS, maximize=True) for _ in range(2))
    for trial, values in enumerate(rng.uniform(size=(20, EPOCHS))):
        for epoch, value in enumerate(values, start=1):
            stops = judged.stops(trial, epoch, value)
            remembered.remember(trial, epoch, value)
            if stops:
                break
    if isinstance(judged, Asha) and isinstance(remembered, Asha):
        assert judged.rungs == remembered.rungs
        assert [len(seen) for _, seen in judged.rungs] != [0, 0, 0]
    for trial, value in enumerate(rng.uniform(size=20), start=100):
        stopped = judged.stops(trial, 1, value)
        assert remembered.stops(trial, 1, value) == stopped
        if not stopped:
            assert judged.stops(trial, 2, value) == remembered.stops(trial, 2, value)


def test_median_stopping_stops_what_is_worse_than_the_median_and_minimising_works() -> None:
    rule = make_early_stopping(SchedulerSpec("median", grace=1, min_trials=2), 5, maximize=False)
    for trial, value in enumerate([1.0, 1.1]):
        assert not rule.stops(trial, 1, value)
        assert not rule.stops(trial, 2, value)
    assert rule.stops(2, 2, 1.2)
    assert not rule.stops(3, 2, 0.1)


def test_no_rule_stops_nothing() -> None:
    rule = make_early_stopping(SchedulerSpec("none"), 5, maximize=True)
    assert not any(rule.stops(0, epoch, -1e9) for epoch in range(1, 6))


SPECS = [SchedulerSpec("asha", reduction=2), SchedulerSpec("asha", reduction=3), SchedulerSpec("median", min_trials=1)]


@given(spec=st.sampled_from(SPECS), ties=st.booleans(), seed=st.integers(0, 10_000))
def test_a_score_of_one_objective_decides_as_its_number_does(spec: SchedulerSpec, ties: bool, seed: int) -> None:
    numbers, scores = (make_early_stopping(spec, 9, maximize=True) for _ in range(2))
    at_random = random.Random(seed)
    live = dict.fromkeys(range(15), 0)
    while live:
        number = at_random.choice(list(live))
        live[number] += 1
        value = float(at_random.randrange(3)) if ties else at_random.gauss(0, 1)
        stops = numbers.stops(number, live[number], value)
        assert stops == scores.stops(number, live[number], Score((value,)))
        if stops or live[number] >= 9:
            del live[number]


@given(seed=st.integers(0, 10_000), objectives=st.integers(1, 3), share=st.sampled_from([0.5, 2 / 3, 0.75]))
def test_who_is_below_is_who_comes_late_in_the_order_of_the_ranking(seed: int, objectives: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    gains_NJ = rng.normal(size=(int(rng.integers(2, 25)), objectives))
    violations = rng.choice([0.0, 0.0, 0.5, 1.0], len(gains_NJ))
    scores = [Score(tuple(row), float(v)) for row, v in zip(gains_NJ.tolist(), violations, strict=True)]
    value, others = scores[0], scores[1:]
    groups = [np.flatnonzero(violations == v) for v in sorted(set(violations))]
    order = [int(rows[n]) for rows in groups for n in pareto.order(gains_NJ[rows])]
    behind = len(others) - order.index(0)
    if objectives > 1 or violations.any():
        assert below(value, others, share) == (behind <= (len(others) - 1) * share)
    if order[0] == 0:
        assert not below(value, others, share)
    if order[-1] == 0:
        assert below(value, others, share) or len(others) == 0


@pytest.mark.parametrize("spec", SPECS)
def test_with_two_objectives_who_is_ahead_in_one_goes_on_and_who_is_behind_in_both_stops(spec: SchedulerSpec) -> None:
    rule = make_early_stopping(spec, 9, maximize=True)
    for number in range(6):
        rule.stops(number, 1, Score((number / 10, 1 - number / 10)))  # a front
    assert not rule.stops(10, 1, Score((2.0, 0.05)))
    assert not rule.stops(11, 1, Score((0.05, 3.0)))
    assert rule.stops(12, 1, Score((0.05, 0.1)))
    assert rule.stops(13, 1, Score((3.0, 4.0), violation=0.1))  # better in both, and breaks a bound


def test_what_was_remembered_counts_as_if_it_had_been_asked() -> None:
    rng = np.random.default_rng(0)
    rows = [(n, Score(tuple(rng.normal(size=2)), float(rng.choice([0.0, 0.3])))) for n in range(30)]
    for spec in SPECS:
        asked, remembered = (make_early_stopping(spec, 9, maximize=True) for _ in range(2))
        for number, score in rows:
            asked.stops(number, 1, score)
            remembered.remember(number, 1, score)
        last = Score((0.3, 0.3))
        assert asked.stops(99, 1, last) == remembered.stops(99, 1, last)
