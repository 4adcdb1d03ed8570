"""What a space's axes are to Ray Tune and Optuna, and what a trial's config stands for."""

from __future__ import annotations

import doctest
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from ray.tune.search.optuna import OptunaSearch
from ray.tune.search.sample import Domain as TuneDomain
from searches import rehearsal_spec

from searchplat.engine.planning.configuration import full_config
from searchplat.errors import InputError
from searchplat.spec import SearchSpec, load, shipped_spaces
from searchplat.spec.space import Bool, Categorical, Condition, Domain, Float, Int, Layout, Space
from searchplat.tune import layer_of, optuna_space, param_space, parameters, values_of

LAYOUT = Layout("layout", 3, ("causal", "context"), ("serial", "parallel"))
CONDITIONS = st.sampled_from(
    [(), (Condition("kind", ("b",)),), (Condition("kind", ("b",)), Condition("epochs", (2, 3)))]
)


def spec_of(*domains: Domain, **fixed: Any) -> SearchSpec:
    """A space of fields of the rehearsal method."""
    return replace(rehearsal_spec(fixed), space=Space(domains))


@st.composite
def floats(draw: st.DrawFn, name: str) -> Float:
    low, width = draw(st.floats(1e-6, 1e3)), draw(st.floats(0, 1e3))
    when, how = draw(CONDITIONS), draw(st.sampled_from(["plain", "log", "step"]))
    if how == "step":
        step = draw(st.sampled_from([0.1, 0.3, 1.0]))
        return Float(name, -low, -low + step * draw(st.integers(0, 9)), step=step, when=when)
    return Float(name, low, low + width, log=how == "log", when=when)


@st.composite
def ints(draw: st.DrawFn, name: str) -> Int:
    low, count, step = draw(st.integers(1, 50)), draw(st.integers(0, 20)), draw(st.integers(1, 4))
    return Int(name, low, low + count * step, log=step == 1 and draw(st.booleans()), step=step, when=draw(CONDITIONS))


@st.composite
def specs(draw: st.DrawFn) -> SearchSpec:
    choices = tuple(draw(st.sets(st.sampled_from([1, 2, 4.0, "x", None]), min_size=1)))
    role_limit = draw(st.sampled_from([{}, {"parallel": 2}, {"serial": 0}]))
    return spec_of(
        Categorical("kind", ("a", "b"), ordered=draw(st.booleans())),
        Int("epochs", 1, 3),
        draw(floats("x")),
        draw(floats("noise")),
        draw(ints("ballast_bytes")),
        Categorical("fault_above", (*choices, True), ordered=draw(st.booleans()), when=draw(CONDITIONS)),
        Bool("peek", when=draw(CONDITIONS)),
        replace(LAYOUT, at_most=role_limit, when=draw(CONDITIONS)),
    )


def drawn_by_tune(space: dict[str, Any], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {n: d.sample(random_state=rng) if isinstance(d, TuneDomain) else d for n, d in space.items()}


def drawn_by_optuna(space: Callable[[Any], dict[str, Any]], seed: int) -> dict[str, Any]:
    trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed)).ask()
    return {**space(trial), **trial.params}


def on_grid(domain: Domain, value: Any) -> bool:
    if not isinstance(domain, Float) or domain.step is None:
        return True
    return abs((steps := (value - domain.low) / domain.step) - round(steps)) < 1e-6


@settings(max_examples=150)
@given(specs(), st.integers(0, 2**32 - 1))
def test_whatever_tune_or_optuna_draws_is_a_point_of_the_space(spec: SearchSpec, seed: int) -> None:
    for config in (drawn_by_tune(param_space(spec), seed), drawn_by_optuna(optuna_space(spec), seed)):
        values = values_of(spec, config)
        assert spec.space.refusals(values) == []
        assert all(on_grid(spec.space[name], value) for name, value in values.items())
        assert values_of(spec, values) == values  # values themselves are a config


@pytest.mark.parametrize("name", shipped_spaces())
def test_every_shipped_space_is_drawn_and_its_method_takes_what_comes(name: str) -> None:
    spec = load(name, scale="smoke")
    for seed in range(10):
        values = values_of(name, drawn_by_tune(param_space(name, "smoke"), seed), "smoke")
        assert spec.space.refusals(values, spec.fixed) == []
        full_config(spec.method, {**spec.fixed, **spec.stages[-1].fixed, **values})


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Float("x", 0.0, 1.0), {"x": FloatDistribution(0.0, 1.0)}),
        (Float("x", 1e-4, 0.1, log=True), {"x": FloatDistribution(1e-4, 0.1, log=True)}),
        (Float("x", 0.1, 0.5, step=0.1), {"x.index": IntDistribution(0, 4)}),
        (Int("x", 2, 9), {"x": IntDistribution(2, 9)}),
        (Int("x", 2, 9, log=True), {"x": IntDistribution(2, 9, log=True)}),
        (Int("x", 3, 15, step=4), {"x.index": IntDistribution(0, 3)}),
        (Categorical("x", ("a", None, 2)), {"x": CategoricalDistribution(("a", None, 2))}),
        (Categorical("x", (16, 32, 64), ordered=True), {"x.index": IntDistribution(0, 2)}),
        (Categorical("x", (1, True)), {"x.index": CategoricalDistribution((0, 1))}),
        (Bool("x"), {"x": CategoricalDistribution((False, True))}),
        (Int("x", 3, 3), {}),
        (
            Layout("x", 2, ("a", "b"), ("s", "p")),
            {f"x.layer{layer}.{role}": CategoricalDistribution((0, 1)) for layer in (0, 1) for role in ("a", "b")},
        ),
    ],
)
def test_ranges_logs_steps_and_orders_reach_optuna_either_way(
    domain: Domain, expected: dict[str, BaseDistribution]
) -> None:
    assert OptunaSearch.convert_search_space(param_space(spec_of(domain))) == expected
    trial = optuna.create_study().ask()
    optuna_space(spec_of(domain))(trial)
    assert trial.distributions == expected


def test_an_axis_that_is_not_active_is_left_out_and_optuna_is_not_asked_for_it() -> None:
    spec = spec_of(Categorical("kind", ("a", "b")), Float("x", 0.0, 1.0, when=(Condition("kind", ("b",)),)))
    assert values_of(spec, {"kind": "a", "x": 0.3}) == {"kind": "a"}
    assert values_of(spec, {"kind": "b", "x": 0.3}) == {"kind": "b", "x": 0.3}
    assert values_of(spec, {"x": 0.3}) == {}  # the method's own kind is a
    assert values_of(replace(spec, fixed={"kind": "b"}), {"x": 0.3}) == {"x": 0.3}
    configs = [drawn_by_optuna(optuna_space(spec), seed) for seed in range(8)]
    assert {(config["kind"], "x" in config) for config in configs} == {("a", False), ("b", True)}


def test_numbers_may_come_as_numpy_has_them_or_from_beyond_the_axis() -> None:
    spec = spec_of(Int("epochs", 1, 3), Float("x", 0.1, 0.7, log=True), Float("noise", 0.0, 0.4, step=0.2))
    config = {"epochs": np.int64(2), "x": np.float32(0.5), "noise.index": np.float64(1.0)}
    assert json.dumps(values_of(spec, config)) == '{"epochs": 2, "x": 0.5, "noise": 0.2}'
    beyond = values_of(spec, {"epochs": 9, "x": 0.84, "noise.index": 3})
    assert beyond == {"epochs": 9, "x": 0.84, "noise": 0.4}  # positions have an end, the method's own bounds hold
    assert values_of(spec, {"x": np.nextafter(0.1, 0)}) == {"x": 0.1}


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"y": 1}, r"config: y is neither a parameter of the space nor a field of method rehearsal; .*x.*"),
        ({"noise.indx": 1}, r"config: noise.indx is neither .*did you mean noise.index\?"),
        ({"noise.index": 0.5}, r"config: noise.index must be a whole number from 0 to 2, got 0.5; correct it"),
        ({"noise.index": float("nan")}, "must be a whole number"),
        ({"noise.index": "1"}, "must be a whole number"),
        ({"layout.layer0.causal": 1}, r"lacks layout.layer0.context, .*or give layout as a whole"),
        ({"layout": "00-00-00", "layout.layer0.causal": 1}, "are of the same axis; give one of the two"),
        (dict.fromkeys(param_space(spec_of(LAYOUT)), 2), "a bit of layout must be 0 or 1, got 2"),
    ],
)
def test_a_wrong_config_is_refused_in_a_sentence(config: dict[str, Any], error: str) -> None:
    spec = spec_of(LAYOUT, Float("x", 0.0, 1.0), Float("noise", 0.0, 0.4, step=0.2))
    with pytest.raises(InputError, match=error):
        values_of(spec, config)


def test_a_spec_has_its_scale_already() -> None:
    with pytest.raises(InputError, match="a SearchSpec has its scale already, got 'smoke' as well"):
        param_space(spec_of(LAYOUT), "smoke")


def test_layers_are_read_from_the_names_of_bits() -> None:
    assert doctest.testmod(parameters).failed == 0
    names = param_space(spec_of(LAYOUT, Float("x", 0.0, 1.0), Float("noise", 0.0, 0.4, step=0.2)))
    assert [layer_of(name) for name in names] == [0, 0, 1, 1, 2, 2, None, None]
