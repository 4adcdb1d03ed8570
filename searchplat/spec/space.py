"""The typed form of a search space: axes, and what follows from them alone: membership, size, sampling.

All classes are frozen. Parsing, defaults and errors live in the neighbouring files.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.spec.expression import WrongKindError, parse
from searchplat.spec.prior import Prior

DRAWS = 20_000
"""Points that are drawn in search of one that keeps the constraints, of which `load` asks that 1 in 1,000 does."""

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Condition:
    """A parameter is active only while another one (`parameter`) has one of `values`."""

    parameter: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Float:
    """A real axis, both ends included. `log` searches its logarithm; `step` makes a grid from `low`.

    `prior` is what its user believes of good values, here as on all axes.
    """

    name: str
    low: float
    high: float
    log: bool = False
    step: float | None = None
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not on this axis, or None if it is."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return "must be a finite number"
        return None if self.low <= value <= self.high else f"must lie in [{self.low}, {self.high}]"

    def size(self) -> float:
        """Number of distinct values; infinite without a step, unless the ends are one value."""
        if self.low == self.high:
            return 1
        return math.inf if self.step is None else math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def level(self, index: int) -> float:
        """The value at a place of the grid, from 0; never beyond `high`, which 0.1 + 6 * 0.1 would be of 0.7."""
        assert self.step is not None
        return min(float(self.low + self.step * index), self.high)

    def sample(self, rng: np.random.Generator) -> float:
        """One value, uniform on the axis (of its logarithm under `log`)."""
        if self.log:
            return float(np.clip(np.exp(rng.uniform(np.log(self.low), np.log(self.high))), self.low, self.high))
        if self.step is not None:
            return self.level(int(rng.integers(int(self.size()))))
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Int:
    """A whole-number axis, both ends included."""

    name: str
    low: int
    high: int
    log: bool = False
    step: int = 1
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not on this axis, or None if it is."""
        if isinstance(value, bool) or not isinstance(value, int):
            return "must be a whole number"
        if not self.low <= value <= self.high:
            return f"must lie in [{self.low}, {self.high}]"
        return None if (value - self.low) % self.step == 0 else f"must be {self.low} plus a multiple of {self.step}"

    def size(self) -> float:
        """Number of distinct values."""
        return (self.high - self.low) // self.step + 1

    def sample(self, rng: np.random.Generator) -> int:
        """One value, uniform on the axis (of its logarithm under `log`)."""
        if self.log:
            value = round(math.exp(rng.uniform(math.log(self.low), math.log(self.high))))
            return int(min(max(value, self.low), self.high))
        return int(self.low + self.step * rng.integers(int(self.size())))


@dataclass(frozen=True)
class Categorical:
    """An axis without order (`ordered=False`), or with the order of its choices."""

    name: str
    choices: tuple[Scalar, ...]
    ordered: bool = False
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not on this axis, or None if it is."""
        if any(type(value) is type(choice) and value == choice for choice in self.choices):
            return None
        return f"must be one of {', '.join(map(str, self.choices))}"

    def size(self) -> float:
        """Number of distinct values."""
        return len(self.choices)

    def sample(self, rng: np.random.Generator) -> Scalar:
        """One choice, uniform."""
        return self.choices[int(rng.integers(len(self.choices)))]


@dataclass(frozen=True)
class Bool:
    """A yes-or-no axis."""

    name: str
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not on this axis, or None if it is."""
        return None if isinstance(value, bool) else "must be true or false"

    def size(self) -> float:
        """Number of distinct values."""
        return 2

    def sample(self, rng: np.random.Generator) -> bool:
        """One value, uniform."""
        return bool(rng.integers(2))


@dataclass(frozen=True)
class Layout:
    """`layers x roles` named bits, e.g. which design each adapter of each layer has.

    A value is text: one group of bits a layer, layers joined by `-`, e.g. `010-000-111` for 3 layers of
    3 roles. Bit 0 is the first of the two choices. A single bit is named `layer<l>.<role>`, layers from 0.

    Args:
        layers: Number of layers.
        roles: Names of a layer's bits, in order.
        choices: The meanings of 0 and 1.
        at_most: Constraint: for a choice, the largest number of bits that may have it.
    """

    name: str
    layers: int
    roles: tuple[str, ...]
    choices: tuple[str, str]
    at_most: Mapping[str, int] = field(default_factory=dict)
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    @property
    def bits(self) -> int:
        """Number of bits."""
        return self.layers * len(self.roles)

    def encode(self, bits: np.ndarray[Any, Any]) -> str:
        """Text of a 0/1 vector `[layers * roles]`, layer by layer."""
        flat = "".join(str(int(b)) for b in bits)
        width = len(self.roles)
        return "-".join(flat[i : i + width] for i in range(0, len(flat), width))

    def decode(self, text: str) -> np.ndarray[Any, Any]:
        """0/1 vector `[layers * roles]` of int8, layer by layer."""
        return np.array([int(c) for c in text.replace("-", "")], dtype=np.int8)

    def uniform(self, choice: str) -> str:
        """Text of the layout in which every bit has `choice`."""
        return self.encode(np.full(self.bits, self.choices.index(choice)))

    def names(self) -> tuple[str, ...]:
        """Names of all bits in order: `layer0.causal`, `layer0.context`, ..."""
        return tuple(f"layer{layer}.{role}" for layer in range(self.layers) for role in self.roles)

    def refusal(self, value: Any) -> str | None:
        """Why `value` is not on this axis, or None if it is."""
        example = "-".join(["0" * len(self.roles)] * self.layers)
        if not isinstance(value, str) or [len(g) for g in value.split("-")] != [len(self.roles)] * self.layers:
            return f"must be {self.layers} groups of {len(self.roles)} bits, such as {example}"
        if set(value) - set("01-"):
            return "may hold only the bits 0 and 1 and the separator -"
        for choice, most in self.at_most.items():
            count = value.count(str(self.choices.index(choice)))
            if count > most:
                return f"may have at most {most} bits {choice}, got {count}"
        return None

    def size(self) -> float:
        """Number of layouts that keep the constraints."""
        low, high = self.count_range()
        return float(sum(math.comb(self.bits, ones) for ones in range(low, high + 1)))

    def count_range(self) -> tuple[int, int]:
        """Smallest and largest allowed number of ones."""
        zeros_most = self.at_most.get(self.choices[0], self.bits)
        ones_most = self.at_most.get(self.choices[1], self.bits)
        return max(0, self.bits - zeros_most), min(self.bits, ones_most)

    def sample(self, rng: np.random.Generator) -> str:
        """One layout, uniform over those that keep the constraints."""
        low, high = self.count_range()
        counts = np.arange(low, high + 1)
        weights = np.array([math.comb(self.bits, int(n)) for n in counts], dtype=float)
        ones = int(rng.choice(counts, p=weights / weights.sum()))
        bits = np.zeros(self.bits, dtype=np.int8)
        bits[rng.permutation(self.bits)[:ones]] = 1
        return self.encode(bits)


Domain = Float | Int | Categorical | Bool | Layout


@dataclass(frozen=True)
class Constraint:
    """What must hold between the values of a point: an expression (see `expression`) that must be true.

    Args:
        text: The expression.
        choice: An axis whose value, from 1, says which of `chosen` come with it; empty for none.
        chosen: Further values that it may name.
    """

    text: str
    choice: str = ""
    chosen: tuple[Mapping[str, Any], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters that it names."""
        return tuple(parse(self.text).names)

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether the values keep it, which they do where one that it names is absent."""
        try:
            return self.works_out(values)
        except WrongKindError:
            return False

    def works_out(self, values: Mapping[str, Any]) -> bool:
        """As `holds`, but values of a kind that an operation does not take are an error.

        Raises:
            WrongKindError: If there are such.
        """
        if self.choice in values:
            others = {name for one in self.chosen for name in one}
            values = {name: value for name, value in values.items() if name not in others}
            values |= self.chosen[values[self.choice] - 1]
        expression = parse(self.text)
        return any(name not in values for name in expression.names) or expression.holds(values)


class NoPointError(InputError):
    """No point that keeps the constraints could be drawn."""


@dataclass(frozen=True)
class Space:
    """Named axes, in an order where a condition's parameter comes before the parameters it governs.

    Args:
        domains: The axes.
        constraints: What every point keeps; they may name parameters outside this space, too.
    """

    domains: tuple[Domain, ...]
    constraints: tuple[Constraint, ...] = ()

    def __getitem__(self, name: str) -> Domain:
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    def __contains__(self, name: object) -> bool:
        return any(domain.name == name for domain in self.domains)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the axes in order."""
        return tuple(domain.name for domain in self.domains)

    def only(self, names: tuple[str, ...]) -> Space:
        """The axes of `names`, in this space's order, and all constraints."""
        return Space(tuple(domain for domain in self.domains if domain.name in names), self.constraints)

    def active(self, domain: Domain, values: Mapping[str, Any]) -> bool:
        """Whether the conditions of `domain` hold under `values`."""
        return all(
            c.parameter in values  # an inactive parameter has no value, which is not the value null
            and any(type(values[c.parameter]) is type(v) and values[c.parameter] == v for v in c.values)
            for c in domain.when
        )

    def size(self) -> float:
        """Upper bound on the number of distinct points (conditions and constraints ignored)."""
        return math.prod(domain.size() for domain in self.domains)

    def broken(self, values: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> list[Constraint]:
        """The constraints that a point breaks. An axis that is not in `values` is absent.

        Args:
            given: Values of parameters outside this space that constraints may name.
        """
        if not self.constraints:
            return []
        names = self.names
        seen = {**{name: value for name, value in (given or {}).items() if name not in names}, **values}
        return [constraint for constraint in self.constraints if not constraint.holds(seen)]

    def sample(self, rng: np.random.Generator, given: Mapping[str, Any] | None = None) -> Values:
        """One point: every active axis has a value, inactive ones are absent, and the constraints hold.

        Args:
            given: Values of parameters outside this space that conditions and constraints may look at.

        Raises:
            NoPointError: If none of 20,000 points drawn keeps the constraints.
        """
        for _ in range(DRAWS):
            point = self.draw(rng, given)
            if not self.broken(point, given):
                return point
        kept = "; ".join(constraint.text for constraint in self.constraints)
        raise NoPointError(f"none of {DRAWS:,} points drawn keeps the constraints ({kept}); loosen them")

    def draw(
        self,
        rng: np.random.Generator,
        given: Mapping[str, Any] | None = None,
        known: Mapping[str, Any] | None = None,
    ) -> Values:
        """One point as `sample`, whether it keeps the constraints or not.

        Args:
            known: Values of axes that are not drawn.
        """
        seen: Values = dict(given or {})
        point: Values = {}
        for domain in self.domains:
            value = domain.sample(rng)  # drawn also when inactive or known, so that the stream of draws stays aligned
            if known is not None and domain.name in known:
                value = known[domain.name]
            if self.active(domain, seen):
                seen[domain.name] = point[domain.name] = value
        return point

    def refusals(self, values: Mapping[str, Any], given: Mapping[str, Any] | None = None) -> list[str]:
        """Every reason why `values` is not a point of this space; empty if it is one."""
        seen = {**(given or {}), **values}
        found = [f"{name}: is not a parameter of this space" for name in values if name not in self.names]
        for domain in self.domains:
            if not self.active(domain, seen):
                if domain.name in values:
                    found.append(f"{domain.name}: is inactive under these values")
            elif domain.name not in values:
                found.append(f"{domain.name}: has no value")
            elif reason := domain.refusal(values[domain.name]):
                found.append(f"{domain.name}: {reason}, got {values[domain.name]!r}")
        return found + [f"{constraint.text}: does not hold" for constraint in self.broken(values, given)]
