from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from searchplat.searchers import History, PastTrial, TrialState, make_searcher
from searchplat.searchers.beliefs import first_by_belief
from searchplat.searchers.pr.belief import Belief
from searchplat.searchers.pr.searcher import Codec
from searchplat.spec.model import SearcherSpec
from searchplat.spec.prior import Prior
from searchplat.spec.space import Bool, Categorical, Condition, Constraint, Float, Int, Layout, Space

SPACE = Space(
    (
        Float("rate", 1e-5, 1e-1, log=True, prior=Prior(1e-3, 3.0)),
        Int("width", 8, 512, prior=Prior(64.0, 16.0)),
        Categorical("kind", ("a", "b", "c"), prior=Prior(weights=(1, 8, 1))),
        Categorical("size", (1, 2, 3), ordered=True, prior=Prior(weights=(1, 1, 4))),
        Bool("norm", prior=Prior(weights=(9, 1))),
        Layout("layout", 3, ("x",), ("serial", "parallel"), prior=Prior(weights=(1, 3))),
        Float("slope", 0.0, 1.0, when=(Condition("kind", ("a",)),), prior=Prior(0.5)),
        Float("free", 0.0, 1.0),
    )
)
BEST = {"rate": 1e-3, "width": 64, "kind": "b", "size": 3, "norm": False, "layout": "1-1-1"}


def run(name: str, space: Space, count: int, seed: int = 0) -> list[PastTrial]:
    searcher = make_searcher(SearcherSpec(name), space, (True,), seed)
    trials: list[PastTrial] = []
    for number in range(count):
        suggestion = searcher.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        assert not space.refusals(suggestion.values)
        if number == 0:
            assert suggestion.info["route"] == "belief"
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (float(number % 3),)))
    return trials


@pytest.mark.parametrize("name", ["pr", "tpe"])
def test_the_first_trial_is_what_is_believed_best_and_the_next_are_drawn_around_it(name: str) -> None:
    trials = [trial for seed in range(25) for trial in run(name, SPACE, 4, seed)]
    first = {key: value for key, value in trials[0].values.items() if key != "free"}
    assert first.pop("rate") == pytest.approx(BEST["rate"])
    assert first == {key: value for key, value in BEST.items() if key != "rate"}
    drawn = [trial.values for trial in trials if trial.number]
    logs = np.log([values["rate"] for values in drawn])
    assert logs.mean() == pytest.approx(math.log(1e-3), abs=0.5)
    assert logs.std() == pytest.approx(math.log(3), rel=0.3)
    assert np.mean([values["kind"] == "b" for values in drawn]) == pytest.approx(0.8, abs=0.15)
    assert np.mean([values["norm"] for values in drawn]) < 0.3
    assert np.mean([values["layout"].count("1") for values in drawn]) == pytest.approx(2.25, abs=0.4)


@pytest.mark.parametrize("name", ["pr", "tpe"])
def test_beliefs_keep_to_the_constraints(name: str) -> None:
    for trial in run(name, Space(SPACE.domains, (Constraint("width != 64"), Constraint("kind != 'b'"))), 4):
        assert trial.values["width"] != 64
        assert trial.values["kind"] != "b"


def test_the_factor_is_the_density_of_the_belief_and_fades() -> None:
    codec = Codec(SPACE, {})

    def worth(power: float, **changes: object) -> float:
        point = {**BEST, "free": 0.3, **changes}
        return float(Belief(codec.encoding, codec.beliefs, power)(codec.encoding.features(codec.encode([point])))[0])

    assert worth(1.0) == pytest.approx(0.0, abs=1e-9)
    assert worth(1.0, free=0.9) == pytest.approx(0.0, abs=1e-9)
    assert worth(1.0, rate=9e-3) == pytest.approx(-2.0)  # two factors of three
    assert worth(1.0, width=96) == pytest.approx(-2.0)
    assert worth(1.0, kind="c") == pytest.approx(-math.log(8))
    assert worth(1.0, kind="a", slope=0.5) == pytest.approx(-math.log(8))
    assert worth(1.0, kind="a", slope=1.0) == pytest.approx(-math.log(8) - 2.0)
    assert worth(1.0, size=1) == pytest.approx(-math.log(4))
    assert worth(1.0, norm=True) == pytest.approx(-math.log(9))
    assert worth(1.0, layout="1-0-1") == pytest.approx(-math.log(3))
    assert worth(0.1, norm=True, layout="0-0-1") == pytest.approx(-0.1 * (math.log(9) + 2 * math.log(3)))


def test_the_factor_has_a_finite_gradient_also_where_an_axis_is_not_there() -> None:
    codec = Codec(SPACE, {})
    codes = codec.encoding.random(40, torch.Generator().manual_seed(0)).requires_grad_()
    (gradient,) = torch.autograd.grad(
        Belief(codec.encoding, codec.beliefs, 1.0)(codec.encoding.features(codes)).sum(), codes
    )
    assert bool(torch.isfinite(gradient).all())
    assert float(gradient.abs().sum()) > 0


def test_two_levels_of_a_numeric_axis_are_weighed_too() -> None:
    space = Space((Int("n", 1, 2, prior=Prior(2.0)), Float("x", 0.0, 1.0, step=0.25, prior=Prior(0.75, 0.25))))
    codec = Codec(space, {})
    points = [{"n": 2, "x": 0.75}, {"n": 1, "x": 0.75}, {"n": 2, "x": 0.25}]
    factor = Belief(codec.encoding, codec.beliefs, 1.0)(codec.encoding.features(codec.encode(points)))
    assert factor.tolist() == pytest.approx([0.0, -8.0, -2.0])


def test_a_wrong_belief_is_left_behind() -> None:
    wrong = replace(SPACE["free"], name="x", prior=Prior(0.1, 0.2))
    space = Space((wrong, Float("y", 0.0, 1.0)))
    searcher = make_searcher(SearcherSpec("pr"), space, (True,), 0)
    trials: list[PastTrial] = []
    for number in range(16):
        suggestion = searcher.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        value = -((suggestion.values["x"] - 0.9) ** 2)
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (value,)))
    assert max(trial.values["x"] for trial in trials[:4]) < 0.5
    assert max(trial.values["x"] for trial in trials) > 0.6  # 2.5 standard deviations from what is believed best


def test_a_belief_that_is_wider_than_the_axis_is_no_belief() -> None:
    space = Space((Float("x", 0.0, 1.0, prior=Prior(center=0.5, spread=1000.0)),))
    history = History((PastTrial(0, {"x": 0.5}, TrialState.FINISHED, (1.0,)),), 1)
    drawn = [first_by_belief(space, history, n, 1, 99, set(), 0, {})[0].values["x"] for n in range(1, 60)]
    assert len(set(drawn)) > 50
