from __future__ import annotations

import numpy as np
import pytest
import torch

from searchplat.searchers import History, PastTrial, TrialState, make_searcher
from searchplat.searchers.pr.encoding import Kind
from searchplat.searchers.pr.searcher import Codec, PRSearcher
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Categorical, Condition, Float, Int, Layout, Space

SPACE = Space(
    (
        Layout("layout", 3, ("causal", "context"), ("serial", "parallel"), at_most={"parallel": 4}),
        Categorical("kind", ("a", 1, True, None)),
        Categorical("size", (16, 32, 64), ordered=True),
        Float("lr", 1e-5, 1e-1, log=True, when=(Condition("kind", ("a", True)),)),
        Float("share", 0.0, 1.0, step=0.3),
        Int("width", 8, 512, log=True),
        Int("heads", 2, 9, step=3, when=(Condition("size", (32, 64)),)),
        Int("many", 0, 1000, step=10),
        Bool("norm"),
        Bool("wide", when=(Condition("backbone", ("large",)),)),
        Float("fixed", 0.5, 0.5),
    )
)


@pytest.mark.parametrize("given", [{"backbone": "large"}, {"backbone": "small"}, {}])
def test_points_survive_the_codes(given: dict[str, str]) -> None:
    codec = Codec(SPACE, given)
    rng = np.random.default_rng(0)
    for _ in range(100):
        point = SPACE.sample(rng, given)
        back = codec.decode(codec.encode([point])[0])
        for name in ("lr",):  # the logarithm costs the last digits
            if name in point:
                assert back.pop(name) == pytest.approx(point.pop(name), rel=1e-12)
        assert back == point


def test_random_codes_are_points_of_the_space() -> None:
    codec = Codec(SPACE, {"backbone": "large"})
    for code in codec.encoding.random(200, torch.Generator().manual_seed(0)):
        assert SPACE.refusals(codec.decode(code), {"backbone": "large"}) == []


def test_axes_are_of_the_kinds_that_suit_them() -> None:
    axes = {axis.name: axis for axis in Codec(SPACE, {"backbone": "small"}).encoding.axes}

    assert "wide" not in axes
    assert "fixed" not in axes
    assert axes["layout.layer2.context"].layer == 2
    kinds = {name: axes[name].kind for name in ("norm", "kind", "size", "lr", "share", "width", "heads", "many")}
    assert kinds == {
        "norm": Kind.BIT,
        "kind": Kind.CATEGORICAL,
        "size": Kind.ORDINAL,
        "lr": Kind.REAL,
        "share": Kind.ORDINAL,
        "width": Kind.REAL,
        "heads": Kind.ORDINAL,
        "many": Kind.REAL,
    }


def test_a_rounded_axis_is_searched_to_its_last_value() -> None:
    space = Space((Int("n", 0, 14),))
    searcher = make_searcher(SearcherSpec("pr", {"startup": 3, "restarts": 2, "steps": 3}), space, (True,), 0)
    past: list[PastTrial] = []
    for number in range(15):
        suggestion = searcher.suggest(History(tuple(past), number), number)
        assert suggestion is not None
        past.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (-abs(suggestion.values["n"] - 9.0),)))

    assert sorted(t.values["n"] for t in past) == list(range(15))
    assert searcher.suggest(History(tuple(past), 99), 99) is None


def searched(name: str, seed: int, trials: int, options: dict[str, int] | None = None) -> float:
    """Mean noise-free value of the best observed point, on a known noisy function of a layout."""
    space = Space((Layout("layout", 6, ("causal", "context", "recommend"), ("serial", "parallel")),))
    layout = space["layout"]
    assert isinstance(layout, Layout)
    rng = np.random.default_rng(seed)
    main, weights = rng.normal(size=18), 0.5 * np.triu(rng.normal(size=(18, 18)), 1)
    weights[np.subtract.outer(range(18), range(18)) < -4] = 0  # only bits of one layer or of neighbours interact
    searcher = make_searcher(SearcherSpec(name, options or {}), space, (True,), seed)
    past: list[PastTrial] = []
    truth = []
    for number in range(trials):
        suggestion = searcher.suggest(History(tuple(past), number), number)
        assert suggestion is not None
        signs = 2.0 * layout.decode(suggestion.values["layout"]) - 1
        truth.append(float(main @ signs + signs @ weights @ signs))
        seen = truth[-1] + float(np.random.default_rng([seed, number]).normal())
        past.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (seen,)))
    return truth[int(np.argmax([t.objectives[0] for t in past if t.objectives]))]


@pytest.mark.slow
def test_beats_random_search_on_a_noisy_function() -> None:
    quick = {"restarts": 4, "samples": 16, "steps": 15}
    ours = np.array([searched("pr", seed, 22, quick) for seed in range(2)])
    random = np.array([searched("random", seed, 22) for seed in range(2)])

    assert ours.mean() > random.mean() + 3


@pytest.mark.by_hand
@pytest.mark.slow
def test_beats_random_search_on_most_of_ten_noisy_functions() -> None:
    ours = np.array([searched("pr", seed, 40) for seed in range(10)])
    random = np.array([searched("random", seed, 40) for seed in range(10)])

    assert (ours > random).sum() >= 9


def test_a_trial_stopped_by_hand_before_its_first_report_says_nothing_of_its_point() -> None:
    searcher = make_searcher(SearcherSpec("pr", {}), Space((Int("n", 0, 9),)), (True,), 0)
    assert isinstance(searcher, PRSearcher)
    states = (TrialState.FINISHED, TrialState.STOPPED, TrialState.STOPPED, TrialState.FAILED)
    values = ((1.0,), (0.5,), None, None)
    past = [PastTrial(n, {"n": n}, state, value) for n, (state, value) in enumerate(zip(states, values, strict=True))]
    known = searcher._known(History(tuple(past), 9))
    assert (len(known.scored_NA), len(known.failed_FA)) == (2, 1)
