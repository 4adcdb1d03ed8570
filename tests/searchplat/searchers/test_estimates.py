"""What trials are worth without their noise: on functions whose noise is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from searchplat.contract import Values
from searchplat.searchers.contract import History, PastTrial, TrialState
from searchplat.searchers.estimates import estimates
from searchplat.spec.space import Bool, Float, Layout, Space

SPACE = Space((Layout("layout", 4, ("causal", "context", "recommend"), ("serial", "parallel")), Float("x", 0.0, 1.0)))
NOISE = 0.5


def truth(values: Values) -> float:
    bits = [int(bit) for bit in values["layout"].replace("-", "")]
    return float(np.dot(bits, np.linspace(-1.0, 1.0, len(bits)))) - (values["x"] - 0.5) ** 2


def past(seed: int, count: int = 40, sign: float = 1.0) -> list[PastTrial]:
    rng = np.random.default_rng(seed)
    points = [SPACE.sample(rng) for _ in range(count)]
    return [
        PastTrial(n, point, TrialState.FINISHED, (sign * truth(point) + NOISE * float(rng.normal()),), 1.0, n)
        for n, point in enumerate(points)
    ]


def test_what_is_chosen_is_better_than_what_was_lucky_and_errors_are_as_large_as_said() -> None:
    gained, errors = [], []
    for seed in range(6):
        trials = past(seed)
        found = estimates(SPACE, True, History(tuple(trials), 99), {})
        assert found is not None
        assert found.keys() == {trial.number for trial in trials}
        lucky = max(trials, key=lambda trial: trial.objectives or ())
        chosen = trials[max(found, key=lambda number: found[number].mean)]
        gained.append(truth(chosen.values) - truth(lucky.values))
        errors += [(one.mean - truth(trials[n].values)) / one.sd for n, one in found.items()]
    assert np.mean(gained) > 0.1
    assert min(gained) > -NOISE
    assert 0.5 < np.std(errors) < 1.6


def test_less_is_more_turned_round_and_what_failed_has_no_estimate() -> None:
    trials = past(1)
    ups = estimates(SPACE, True, History(tuple(trials), 99), {})
    downs = [replace(trial, objectives=(-(trial.objectives or (0.0,))[0],)) for trial in trials]
    downs[3] = replace(downs[3], state=TrialState.DIVERGED, objectives=None)
    ups_without = estimates(SPACE, True, History((*trials[:3], *trials[4:]), 99), {})
    turned = estimates(SPACE, False, History(tuple(downs), 99), {})
    assert ups is not None
    assert ups_without is not None
    assert turned is not None
    assert 3 not in turned
    assert {n: -one.mean for n, one in turned.items()} == pytest.approx({n: one.mean for n, one in ups_without.items()})
    assert all(one.sd >= 0 for one in turned.values())


def test_repeats_of_a_point_have_one_estimate_between_them() -> None:
    trials = past(2, 12)
    low, high = (replace(trials[0], number=n, objectives=(value,)) for n, value in ((12, -1.0), (13, 3.0)))
    found = estimates(SPACE, True, History((*trials, low, high), 99), {})
    assert found is not None
    assert found[12].mean == pytest.approx(found[13].mean)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        past(1, 1),
        [replace(trial, objectives=(0.5,)) for trial in past(1, 9)],
        [replace(trial, state=TrialState.FAILED, objectives=None) for trial in past(1, 9)],
    ],
    ids=["none", "one", "equal", "failed"],
)
def test_where_nothing_tells_trials_apart_there_is_none(trials: list[PastTrial]) -> None:
    assert estimates(SPACE, True, History(tuple(trials), 99), {}) is None


def test_a_space_of_one_point_has_none() -> None:
    space = Space((Bool("deep", when=SPACE.domains[0].when),)).only(())
    assert estimates(space, True, History(tuple(replace(t, values={}) for t in past(1, 5)), 99), {}) is None
