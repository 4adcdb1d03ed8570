"""A space as Optuna sees it: named distributions, and values to Optuna's parameters and back.

A layout becomes one parameter a bit, `<layout>.layer<l>.<role>`; a choice, and a step of a
float axis, are known to Optuna by their index. An axis of one value is not known to it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from searchplat.contract import Values
from searchplat.searchers.points import constant, snap
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout, Space

Params = dict[str, Any]


class OptunaSpace:
    """Translates between a `Space` and Optuna.

    Args:
        space: The axes.
        given: Values of parameters outside the space that conditions may look at.
        bits_as_ints: Make yes-or-no axes whole numbers 0 and 1, for samplers that know only numbers (CMA-ES).
    """

    def __init__(self, space: Space, given: Mapping[str, Any], bits_as_ints: bool = False) -> None:
        self.space, self.given, self._bits_as_ints = space, given, bits_as_ints
        self._distributions = {domain.name: self._of(domain) for domain in space.domains}

    def always(self) -> dict[str, BaseDistribution]:
        """Distributions of the parameters that every point has."""
        return {
            name: distribution
            for domain in self.space.domains
            if not any(c.parameter in self.space for c in domain.when) and self.space.active(domain, self.given)
            for name, distribution in self._distributions[domain.name].items()
        }

    def ask(self, trial: Trial) -> Values:
        """The point that a trial's sampler draws, axis by axis, inactive ones skipped; a layout is repaired."""
        point: Values = {}
        for domain in self.space.domains:
            if not self.space.active(domain, {**self.given, **point}):
                continue
            drawn = [_draw(trial, name, dist) for name, dist in self._distributions[domain.name].items()]
            point[domain.name] = self._decode(domain, drawn)
        return point

    def params(self, values: Mapping[str, Any]) -> tuple[Params, dict[str, BaseDistribution]]:
        """Optuna's parameters of a point, with their distributions; names the space does not know are dropped."""
        params: Params = {}
        distributions: dict[str, BaseDistribution] = {}
        for domain in self.space.domains:
            own = self._distributions[domain.name]
            if domain.name in values and own:
                params.update(zip(own, self._encode(domain, values[domain.name]), strict=True))
                distributions.update(own)
        return params, distributions

    def _of(self, domain: Domain) -> dict[str, BaseDistribution]:
        if domain.size() == 1:
            return {}
        bit = IntDistribution(0, 1) if self._bits_as_ints else CategoricalDistribution((0, 1))
        match domain:
            case Float(low=low, high=high, log=log, step=None):
                return {domain.name: FloatDistribution(low, high, log=log)}
            case Float():  # by index: in floating point Optuna finds that 0.9 is not a multiple of 0.3
                return {domain.name: IntDistribution(0, int(domain.size()) - 1)}
            case Int(low=low, high=high, log=log, step=step):
                log = log and step == 1
                return {domain.name: IntDistribution(low, high - (high - low) % step, log=log, step=step)}
            case Bool():
                return {domain.name: bit}
            case Layout():
                return {f"{domain.name}.{name}": bit for name in domain.names()}
        count = len(domain.choices)
        if domain.ordered or (self._bits_as_ints and count == 2):
            return {domain.name: IntDistribution(0, count - 1)}
        return {domain.name: CategoricalDistribution(tuple(range(count)))}

    def _encode(self, domain: Domain, value: Any) -> list[Any]:
        match domain:
            case Layout():
                return [int(bit) for bit in domain.decode(value)]
            case Bool():
                return [int(value)]
            case Categorical():
                same = (type(c) is type(value) and c == value for c in domain.choices)
                return [next(i for i, is_same in enumerate(same) if is_same)]
            case Float(low=low, step=float() | int() as step):
                return [round((snap(domain, value) - low) / step)]
        return [snap(domain, value)]

    def _decode(self, domain: Domain, drawn: list[Any]) -> Any:
        if not drawn:
            return constant(domain)
        match domain:
            case Layout():
                return snap(domain, domain.encode(np.array(drawn, dtype=np.int8)))
            case Categorical():
                return domain.choices[int(drawn[0])]
            case Float(low=low, step=float() | int() as step):
                return snap(domain, low + step * drawn[0])
        return snap(domain, drawn[0])


def _draw(trial: Trial, name: str, distribution: BaseDistribution) -> Any:
    match distribution:
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_float(name, low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return trial.suggest_int(name, low, high, log=log, step=step)
        case CategoricalDistribution(choices=choices):
            return trial.suggest_categorical(name, choices)
    raise AssertionError(f"no such distribution here: {distribution}")
