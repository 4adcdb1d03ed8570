from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch

from searchplat.searchers import History, PastTrial, SourceTask, TrialState, make_searcher
from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.models.surrogate import fit
from searchplat.searchers.pr.searcher import Codec
from searchplat.searchers.pr.sources import prior_means
from searchplat.searchers.transfer import SourceTrial
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Categorical, Condition, Float, Layout, Space

SPACE = Space(
    (Layout("layout", 4, ("a", "b"), ("serial", "parallel")), Float("x", 0.0, 1.0), Categorical("k", (1, 2, 3)))
)
CODEC = Codec(SPACE, {})
UP = torch.tensor([1.0], dtype=torch.float64)


def good(values: Mapping[str, Any]) -> float:
    bits = np.array([int(c) for c in values["layout"].replace("-", "")])
    return float(bits @ np.array([3, -2, 1, 1, -1, 0, 2, -3]) + 4 * values.get("x", 0.5) + (values.get("k") == 2))


def source(of: Callable[[Mapping[str, Any]], float], count: int = 60, without: tuple[str, ...] = ()) -> SourceTask:
    rng = np.random.default_rng(5)
    points = [SPACE.sample(rng) for _ in range(count)]
    kept = [{name: v for name, v in point.items() if name not in without} for point in points]
    return SourceTask("other", "search", tuple(SourceTrial(n, p, (of(p),)) for n, p in enumerate(kept)))


def asked(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    points = [SPACE.sample(rng) for _ in range(count)]
    values = torch.tensor([good(point) for point in points], dtype=torch.float64)
    return CODEC.encoding.features(CODEC.encode(points)), (values - values.mean()) / values.std(correction=0)


def trust(task: SourceTask, count: int = 12) -> float:
    (means,) = prior_means(CODEC, SPACE, [task], UP, PROptions())
    features, target = asked(7, count)
    models = fit(CODEC.encoding, features, target, "full", sources=means)
    return sum(model.weight * float(model.trust_S.sum()) for model in models)


def test_a_past_that_agrees_is_trusted_and_one_that_does_not_is_shut_off() -> None:
    shuffled = np.random.default_rng(0).permutation(60)
    own = source(good)
    values = [trial.objectives for trial in own.trials]
    unrelated = SourceTask(
        "o", "s", tuple(SourceTrial(n, t.values, values[shuffled[n]]) for n, t in enumerate(own.trials))
    )
    assert trust(source(lambda v: 1e-6 * good(v) - 40)) > 0.7  # another level and range say nothing
    assert trust(unrelated, 30) < 0.3
    assert trust(source(lambda v: -good(v)), 30) < 0.05


def test_a_model_with_a_past_knows_points_that_were_never_tried_here() -> None:
    (means,) = prior_means(CODEC, SPACE, [source(good)], UP, PROptions())
    features, target = asked(7, 6)
    elsewhere, truth = asked(8, 200)
    errors = []
    for sources in ([], means):
        model = fit(CODEC.encoding, features, target, "full", sources=sources)[0]
        errors.append(float(torch.corrcoef(torch.stack([model.posterior(elsewhere)[0], truth]))[0, 1]))
        mean, variance = model.posterior(elsewhere[:5])
        joint_mean, covariance = model.joint(elsewhere[:5])
        assert torch.allclose(mean, joint_mean)
        assert torch.allclose(mean, model.mean(elsewhere[:5]))
        assert torch.allclose(variance, covariance.diagonal())
        assert torch.allclose(model.believing(elsewhere[:3]).mean(elsewhere[:5]), mean)
    assert errors[1] > 0.9 > errors[0] + 0.1


def test_an_axis_that_the_past_does_not_vary_is_none_of_its_business() -> None:
    for task in (source(good, without=("x", "k")), source(lambda v: good(v), without=("k",))):
        (means,) = prior_means(CODEC, SPACE, [task], UP, PROptions())
        rng = np.random.default_rng(1)
        points = [SPACE.sample(rng) for _ in range(20)]
        others = [{**point, "k": 1 + point["k"] % 3} for point in points]
        here, there = (means[0](CODEC.encoding.features(CODEC.encode(one))) for one in (points, others))
        assert torch.allclose(here, there)
        assert float(here.std()) > 0.1


def test_a_past_of_equal_values_or_without_an_axis_says_nothing() -> None:
    flat, one_point = source(lambda _: 3.0), source(good, count=1)
    assert prior_means(CODEC, SPACE, [flat, one_point], UP, PROptions()) == [[]]


def test_minimised_objectives_have_their_sign() -> None:
    (means,) = prior_means(CODEC, SPACE, [source(lambda v: -good(v))], -UP, PROptions())
    features, target = asked(9, 100)
    assert float(torch.corrcoef(torch.stack([means[0](features), target]))[0, 1]) > 0.8


@pytest.mark.parametrize("acquisition", ["ei", "ucb", "thompson"])
def test_every_acquisition_looks_where_the_past_was_good(acquisition: str) -> None:
    options = {"acquisition": acquisition, "restarts": 4, "steps": 15}
    with_past = make_searcher(SearcherSpec("pr", options), SPACE, (True,), 0, {}, [source(good)])
    trials: list[PastTrial] = []
    for number in range(6):
        suggestion = with_past.suggest(History(tuple(trials), number), number)
        assert suggestion is not None
        trials.append(PastTrial(number, suggestion.values, TrialState.FINISHED, (good(suggestion.values),)))
    assert suggestion is not None
    assert suggestion.info["route"] == "pr"
    assert suggestion.info["past"]["other/search"] > 0.1
    assert max(good(trial.values) for trial in trials) > max(good(t.values) for t in source(good).trials) - 1


CONDITIONAL = Space(
    (
        Categorical("optimizer", ("adam", "sgd")),
        Float("momentum", 0.0, 1.0, when=(Condition("optimizer", ("sgd",)),)),
        Float("x", 0.0, 1.0),
    )
)


@pytest.mark.parametrize("space", [CONDITIONAL, Space((Float("momentum", 0.0, 1.0), Float("x", 0.0, 1.0)))])
@pytest.mark.parametrize("parent", [True, False])
def test_what_a_past_trial_lacks_is_unknown_and_not_the_lowest_value(space: Space, parent: bool) -> None:
    # Half of the trials had no momentum and were bad; of the others those were best that had little of it.
    momenta = np.linspace(0, 1, 20)
    trials = [({"optimizer": "sgd", "momentum": float(m), "x": 0.5}, 2.0 - abs(m - 0.05)) for m in momenta]
    trials += [({"optimizer": "adam", "x": 0.5}, 0.0 + 0.001 * n) for n in range(20 if parent else 0)]
    kept = [
        ({k: v for k, v in values.items() if k in space and (parent or k != "optimizer")}, y) for values, y in trials
    ]
    task = SourceTask("other", "search", tuple(SourceTrial(n, values, (y,)) for n, (values, y) in enumerate(kept)))
    codec = Codec(space, {})
    ((mean,),) = prior_means(codec, space, [task], UP, PROptions())
    points = [{"optimizer": "sgd", "momentum": m, "x": 0.5} for m in (0.05, 0.3, 0.6, 1.0)]
    said = mean(codec.encoding.features(codec.encode(points)))
    assert said.tolist() == sorted(said.tolist(), reverse=True)
    assert float(said[0] - said[-1]) > 0.5
