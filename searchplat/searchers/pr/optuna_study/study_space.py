"""The parameters of an Optuna study as axes: rows of codes from trials' parameters, and back. Next: `sampler`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from searchplat.arguments import whole
from searchplat.searchers.pr.encoding import Axis, Encoding, Kind
from searchplat.searchers.pr.optuna_study.conditions import conditions
from searchplat.spec.scale import at_share, share_of

Params = dict[str, Any]

_MOST_LEVELS = 12  # an integer axis with more levels is searched as a real one and rounded


class StudySpace:
    """The parameters of a search space that can vary, in a study's trials.

    Args:
        space: Distributions by name.
        layer_of: The number of a layout bit's layer by its name, else None.
        trials: What is known of when the objective asks for what; see `conditions`.
    """

    def __init__(
        self,
        space: Mapping[str, BaseDistribution],
        layer_of: Callable[[str], int | None],
        trials: Sequence[FrozenTrial],
    ) -> None:
        whole = [trial.state == TrialState.COMPLETE for trial in trials]
        had = Counter(name for t, w in zip(trials, whole, strict=True) if w for name in t.params)
        names = sorted((name for name, d in space.items() if not d.single()), key=lambda name: (-had[name], name))
        self._space = {name: space[name] for name in names}
        self._axes = [_axis(name, d, _layer(name, layer_of)) for name, d in self._space.items()]
        self._codes = [_coder(d, axis) for axis, d in zip(self._axes, self._space.values(), strict=True)]
        when = conditions(self._axes, self._raw([t.params for t in trials]), torch.tensor(whole, dtype=torch.bool))
        self.encoding = Encoding([replace(axis, when=w) for axis, w in zip(self._axes, when, strict=True)])

    def knows(self, params: Params) -> bool:
        """Whether any of the parameters is one of these."""
        return not self._space.keys().isdisjoint(params)

    def codes(self, points: Sequence[Params]) -> Tensor:
        """Codes `[M, A]`: 0 on inactive axes, NaN where a point lacks a parameter all the same.

        Numbers beyond a range that has changed count as its end.
        """
        codes_MA = self._raw(points)
        active_MA = self.encoding.active(codes_MA)
        return codes_MA if active_MA is None else torch.where(active_MA == 0, 0.0, codes_MA)

    def params(self, code_A: Tensor) -> Params:
        """The parameters of one row without NaN, but for those on inactive axes."""
        active_MA = self.encoding.active(code_A[None])
        active = [True] * len(code_A) if active_MA is None else active_MA[0].bool().tolist()
        rows = zip(self._axes, self._space.items(), code_A.tolist(), active, strict=True)
        return {name: _value(distribution, axis, code) for axis, (name, distribution), code, on in rows if on}

    def internal(self, params: Params) -> dict[str, float]:
        """Numbers that stand for parameters: Optuna's own, by which choices of any type can be compared and stored."""
        return {name: self._space[name].to_internal_repr(value) for name, value in params.items()}

    def external(self, internal: Mapping[str, float]) -> Params:
        """The parameters that `internal` gave numbers for; names that are not searched are dropped."""
        return {n: self._space[n].to_external_repr(number) for n, number in internal.items() if n in self._space}

    def key(self, code_A: Tensor) -> tuple[tuple[str, float], ...]:
        """What two rows share that stand for one point, as numbers that are rounded to the same."""
        return tuple(self.internal(self.params(code_A)).items())

    def among(self, code_A: Tensor, codes_NA: Tensor) -> bool:
        """Whether a row stands for the same point as one of others, of which those with NaN stand for none."""
        discrete_A = self.encoding.discrete
        alike_N = (codes_NA == code_A)[:, discrete_A].all(1) & ~codes_NA.isnan().any(1)
        if bool(discrete_A.all()):
            return bool(alike_N.any())
        own = self.key(code_A)  # numbers of many values: other codes may be rounded to the same
        return any(self.key(other_A) == own for other_A in codes_NA[alike_N])

    def _raw(self, points: Sequence[Params]) -> Tensor:
        columns = [
            [code(point[name]) if name in point else math.nan for point in points]
            for name, code in zip(self._space, self._codes, strict=True)
        ]
        return torch.tensor(columns, dtype=torch.float64).reshape(len(columns), len(points)).T.contiguous()


def _axis(name: str, distribution: BaseDistribution, layer: int | None) -> Axis:
    count = _levels(distribution)
    if count == 2:
        return Axis(name, Kind.BIT, 2, layer)
    if isinstance(distribution, CategoricalDistribution):
        return Axis(name, Kind.CATEGORICAL, len(distribution.choices))
    return Axis(name, Kind.ORDINAL, int(count)) if count <= _MOST_LEVELS else Axis(name, Kind.REAL, 0)


def _layer(name: str, layer_of: Callable[[str], int | None]) -> int | None:
    layer = layer_of(name)
    return None if layer is None else whole(f"layer_of({name!r})", layer, 0)


def _levels(distribution: BaseDistribution) -> float:
    """Number of values; infinite for numbers that are not spaced evenly."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if distribution.step is None or distribution.log:
        return math.inf
    return 1 + round((distribution.high - distribution.low) / distribution.step)


def _coder(distribution: BaseDistribution, axis: Axis) -> Callable[[Any], float]:
    """The code of a value. Of thousands of trials' values most are seen again, and are remembered."""
    known: dict[Any, float] = {}

    def remembered(value: Any) -> float:
        try:
            code = known.get(value)
        except TypeError:  # a choice that cannot be a key, such as a list
            return _code(distribution, axis, value)
        if code is None:
            code = known[value] = _code(distribution, axis, value)
        return code

    return remembered


def _code(distribution: BaseDistribution, axis: Axis, value: Any) -> float:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.to_internal_repr(value)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, value = distribution.low, distribution.high, float(value)
    if axis.kind is Kind.REAL:
        return share_of(value, low, high, distribution.log)
    assert distribution.step is not None
    return float(round((min(max(value, low), high) - low) / distribution.step))


def _value(distribution: BaseDistribution, axis: Axis, code: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(code)]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if axis.kind is not Kind.REAL:
        assert step is not None
        value = low + step * round(code)
    else:
        value = at_share(code, low, high, distribution.log)
        if step is not None:
            value = low + step * round((value - low) / step)
    value = min(max(value, low), high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)
