"""A space's axes as parameters that Tune and its searchers know, and a trial's parameters back to values.

| axis | parameter |
|---|---|
| `float`, `log` or not | `tune.loguniform`, `tune.uniform` under its name |
| `int`, `log` or not | `tune.lograndint`, `tune.randint` under its name, `high` included |
| `float` or `int` with a `step`, ordered `categorical` | `tune.randint` of the value's position, `<axis>.index` |
| `categorical`, `bool` | `tune.choice` under its name |
| `layout` | `tune.choice([0, 1])` for every bit, `<axis>.layer<l>.<role>` |
| any of a single value | that value under its name |

Positions, because Tune's own grids are multiples of the step where ours begin at `low`, and a choice has no order.
Next: `method_trainable`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ray import tune

from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.methods import load_method
from searchplat.searchers.points import constant, levels, snap
from searchplat.spec import SearchSpec, load
from searchplat.spec.errors import suggest
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout, Scalar

_BIT = re.compile(r"[^.]+\.layer([0-9]+)\.[^.]+")


def param_space(space: Path | str | SearchSpec, scale: str | None = None) -> dict[str, Any]:
    """All axes of a space, of whatever stage, as a `param_space` for `tune.Tuner`.

    Tune's spaces know no conditions: an axis with `when` has a value in every trial, which is left out where the
    condition does not hold; `optuna_space` does not ask for it there. Nor do they know a layout's `at_most`: of one
    with more bits than that the nearest layout is trained that keeps it. A space's `constraints` and `points` do not
    apply.

    Entries may be removed, replaced by a fixed value or another range, and other fields of the method added. What is
    removed is as the space says of what it does not search: its default, else the method's.

    Args:
        space: A space file, the bare name of a shipped one (`darec`), or what `searchplat.spec.load` returned.
        scale: As of `searchplat search`; None with a `SearchSpec`, which has its own.

    Raises:
        InputError: If there is no such space, or something in it breaks a rule.
    """
    found: dict[str, Any] = {}
    for domain in spec_of(space, scale).space.domains:
        known = _parameters(domain)
        found |= {one.name: one.for_tune() for one in known} if known else {domain.name: constant(domain)}
    return found


def optuna_space(space: Path | str | SearchSpec, scale: str | None = None) -> Callable[[Any], dict[str, Any]]:
    """All axes of a space as a define-by-run function for `OptunaSearch(space=...)`, in place of `param_space`.

    It asks for the same parameters, but for an axis with `when` only where the condition holds. It can be pickled, as
    Tune does to resume a run.

    Args:
        space: See `param_space`.
        scale: See `param_space`.

    Raises:
        InputError: As `param_space`.
    """
    return _DefineByRun(spec_of(space, scale))


def values_of(space: Path | str | SearchSpec, config: Mapping[str, Any], scale: str | None = None) -> Values:
    """The method's own values that a trial's config stands for, as `searchplat run --set` and `fixed:` take them.

    A config may hold, beside the parameters of `param_space`, any field of the method under its own name, axes too:
    `{"layout": "010-111"}` is as good as its six bits. Numbers are not held to their axis, for a script may have ranges
    of its own, and schedulers go beyond them; the method's own bounds hold in training. A position beyond an end counts
    as that end.

    Args:
        space: See `param_space`.
        config: A trial's.
        scale: See `param_space`.

    Raises:
        InputError: If a name is not known, a layout lacks bits, or a position or bit is not a whole number.
    """
    spec = spec_of(space, scale)
    fields = load_method(spec.method).Config.model_fields
    left = {name: value.item() if isinstance(value, np.generic) else value for name, value in config.items()}
    values = {}
    for domain in spec.space.domains:
        names = [one.name for one in _parameters(domain)]
        asked = [name for name in names if name in left]
        if not asked:
            if domain.name in left:
                values[domain.name] = left.pop(domain.name)
            continue
        if domain.name in left and domain.name not in names:
            raise InputError(f"config: {domain.name} and {asked[0]} are of the same axis; give one of the two")
        if missing := [name for name in names if name not in left]:
            raise InputError(
                f"config: must have all parameters of axis {domain.name} or none, and lacks {', '.join(missing)}; "
                f"add them, or give {domain.name} as a whole"
            )
        values[domain.name] = _value(domain, [left.pop(name) for name in names])
    if unknown := [name for name in left if name not in fields]:
        known = [*fields, *(one.name for domain in spec.space.domains for one in _parameters(domain))]
        rule = f"is neither a parameter of the space nor a field of method {spec.method}"
        raise InputError(f"config: {unknown[0]} {rule}; {suggest(unknown[0], known, 'known are')}")
    values |= left
    defaults = {
        name: field.get_default() for name, field in fields.items() if name in spec.space and not field.is_required()
    }
    seen = {**defaults, **spec.fixed, **spec.stages[-1].fixed, **values}
    for domain in spec.space.domains:
        if not spec.space.active(domain, seen):
            seen.pop(domain.name, None)
            values.pop(domain.name, None)
    return values


def layer_of(name: str) -> int | None:
    """The layer of a parameter that is a layout's bit, else None: for `PRSampler(layer_of=...)`.

    >>> layer_of("layout.layer11.causal"), layer_of("learning_rate"), layer_of("width.index")
    (11, None, None)
    """
    found = _BIT.fullmatch(name)
    return None if found is None else int(found[1])


def spec_of(space: Path | str | SearchSpec, scale: str | None) -> SearchSpec:
    """The space at a scale; see `param_space`."""
    if not isinstance(space, SearchSpec):
        return load(space, scale=scale)
    if scale is not None:
        raise InputError(f"scale: a SearchSpec has its scale already, got {scale!r} as well; give it to load")
    return space


@dataclass(frozen=True)
class _Parameter:
    """One of `choices`; without any, a number from `low` to `high`, both included."""

    name: str
    choices: tuple[Scalar, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    whole: bool = False

    def for_tune(self) -> Any:
        if self.choices:
            return tune.choice(self.choices)
        if self.whole:  # Tune leaves the upper bound out
            return (tune.lograndint if self.log else tune.randint)(self.low, self.high + 1)
        return (tune.loguniform if self.log else tune.uniform)(self.low, self.high)

    def ask(self, trial: Any) -> Any:
        """What a trial of Optuna suggests."""
        if self.choices:
            return trial.suggest_categorical(self.name, self.choices)
        suggest_number = trial.suggest_int if self.whole else trial.suggest_float
        return suggest_number(self.name, self.low, self.high, log=self.log)


def _parameters(domain: Domain) -> list[_Parameter]:
    """What stands for an axis; nothing for one of a single value."""
    name, count = domain.name, domain.size()
    if count == 1:
        return []
    match domain:
        case Float(low=low, high=high, log=log, step=None):
            return [_Parameter(name, low=low, high=high, log=log)]
        case Int(low=low, high=high, log=log, step=1):
            return [_Parameter(name, low=low, high=high, log=log, whole=True)]
        case Bool():
            return [_Parameter(name, (False, True))]
        case Layout():
            return [_Parameter(f"{name}.{bit}", (0, 1)) for bit in domain.names()]
        case Categorical(choices=choices, ordered=False):
            if len(set(choices)) == len(choices):
                return [_Parameter(name, choices)]
            return [_Parameter(f"{name}.index", tuple(range(len(choices))))]  # Optuna takes 1 and true for one
    return [_Parameter(f"{name}.index", high=int(count) - 1, whole=True)]


def _value(domain: Domain, drawn: list[Any]) -> Any:
    """The value of an axis from those of its parameters."""
    match domain:
        case Layout():
            if wrong := [bit for bit in drawn if bit not in (0, 1)]:
                raise InputError(f"config: a bit of {domain.name} must be 0 or 1, got {wrong[0]!r}; correct it")
            bits = [int(bit) for bit in drawn]
            return snap(domain, domain.encode(np.array(bits, dtype=np.int8)))
        case Bool():
            return bool(drawn[0]) if drawn[0] in (0, 1) else drawn[0]
        case Float(low=low, high=high, step=None):
            # A logarithm's exponential may miss the end that it began at.
            near = (end for end in (low, high) if _number(drawn[0]) and math.isclose(drawn[0], end, rel_tol=1e-12))
            return next(near, drawn[0])
        case Int(step=1):
            return int(drawn[0]) if isinstance(drawn[0], float) and drawn[0].is_integer() else drawn[0]
        case Categorical() if _parameters(domain)[0].name == domain.name:
            return drawn[0]
    all_values = levels(domain)
    assert all_values is not None, domain
    position, last = drawn[0], len(all_values) - 1
    if not _number(position) or not float(position).is_integer():
        rule = f"must be a whole number from 0 to {last}"
        raise InputError(f"config: {domain.name}.index {rule}, got {position!r}; correct it")
    return all_values[min(max(int(position), 0), last)]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class _DefineByRun:
    """What `optuna_space` returns."""

    def __init__(self, spec: SearchSpec) -> None:
        self._space = spec.space
        fixed = {**spec.fixed, **spec.stages[-1].fixed}
        self._given = {name: value for name, value in fixed.items() if name not in spec.space}

    def __call__(self, trial: Any) -> dict[str, Any]:
        seen, constants = dict(self._given), {}
        for domain in self._space.domains:
            if not self._space.active(domain, seen):
                continue
            if drawn := [one.ask(trial) for one in _parameters(domain)]:
                seen[domain.name] = _value(domain, drawn)
            else:
                seen[domain.name] = constants[domain.name] = constant(domain)
        return constants
