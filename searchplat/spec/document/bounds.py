"""`outcomes:` in a space file: bounds on what trials measure, such as `time/train_seconds <= 60`.

What a trial measures is known only once it has trained, so a bound keeps no trial from running: it says which trials
count. How they rank is `ledger.ranking`'s to say.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN
from searchplat.spec.errors import Problems

FORM = "METRIC <= NUMBER or METRIC >= NUMBER"
FAMILIES = ("valid", "train", "time", "memory")
"""What the names of metrics begin with, as a rule; a method may have others."""

_BOUND = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_./@-]*)\s*(<=|>=)\s*([-+]?\.?[0-9][0-9._]*([eE][-+]?[0-9]+)?)\s*")


@dataclass(frozen=True)
class Bound:
    """A limit on one metric.

    Args:
        metric: Its name, as trials report it.
        upper: Whether values may not be above the limit; else not below it.
        limit: Finite; a value that equals it keeps the bound.
    """

    metric: str
    upper: bool
    limit: float

    @property
    def text(self) -> str:
        """As a space file has it.

        >>> Bound("parameters", True, 1e6).text
        'parameters <= 1000000'
        """
        number = str(int(self.limit)) if self.limit.is_integer() and abs(self.limit) < 1e15 else repr(self.limit)
        return f"{self.metric} {'<=' if self.upper else '>='} {number}"

    def excess(self, value: float) -> float:
        """By how much a value breaks the bound, in shares of the limit (of 1, if that is 0); at most 0 if it does not.

        Shares, so that seconds and bytes can be added. A metric that was not measured, NaN, is infinitely far off.

        >>> Bound("time/train_seconds", True, 60.0).excess(75.0), Bound("valid/mrr", False, 0.1).excess(0.1)
        (0.25, 0.0)
        """
        if math.isnan(value):
            return math.inf
        beyond = value - self.limit if self.upper else self.limit - value
        return beyond / (abs(self.limit) or 1.0)


class BoundError(ValueError):
    """A text is no bound.

    Args:
        rule: What must hold.
        remedy: What to do.
    """

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}; {remedy}")
        self.rule, self.remedy = rule, remedy


def parse_bound(text: str) -> Bound:
    """Read a bound.

    >>> parse_bound("valid/ndcg@10 >= 0.05")
    Bound(metric='valid/ndcg@10', upper=False, limit=0.05)

    Raises:
        BoundError: If the text is none, or names a metric of the test split.
    """
    found = _BOUND.fullmatch(text)
    if found is None:
        raise BoundError(f"a bound on an outcome is written {FORM}", _hint(text))
    metric, way, number, _ = found.groups()
    if metric.lower().startswith("test"):
        raise BoundError("no search sees the test split", "bound a metric of validation: valid/...")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise BoundError("a limit is a finite number", f"correct {number}")
    return Bound(metric, way == "<=", limit)


def is_bound(text: str) -> bool:
    """Whether a text is a bound on a metric with a name like the platform's own, such as `time/train_seconds`."""
    try:
        return "/" in parse_bound(text).metric
    except BoundError:
        return False


def bounds_of(texts: Iterable[str]) -> tuple[Bound, ...]:
    """The bounds of a resolved space, which were read before."""
    return tuple(map(parse_bound, texts))


def read_outcomes(
    root: Node, read: Mapping[str, Any], axes: Collection[str], problems: Problems, *, families: bool = True
) -> tuple[Bound, ...]:
    """The bounds of a file.

    Args:
        root: The document.
        read: What the grammar read from it.
        axes: Names of searched parameters.
        problems: Takes what is wrong.
        families: Whether names of metrics are the platform's, which begin with `FAMILIES`.
    """
    texts = read.get("outcomes", [])
    bounds: list[Bound] = []
    for index, text in enumerate(texts if texts is not BROKEN else []):
        if text is BROKEN:
            continue
        node, key = root.fields["outcomes"].items[index], f"outcomes[{index}]"
        try:
            bound = parse_bound(text)
        except BoundError as error:
            problems.add(node, key, error.rule, value=text, remedy=error.remedy)
            continue
        wrong = _misnamed(bound, axes) if families else None
        if wrong := wrong or clashes(bound, bounds):
            problems.add(node, key, wrong[0], value=text, remedy=wrong[1])
        else:
            bounds.append(bound)
    return tuple(bounds)


def clashes(bound: Bound, others: Iterable[Bound]) -> tuple[str, str] | None:
    """Which rule a bound breaks together with another one, and what to do; None if there is none."""
    for other in others:
        if other.metric != bound.metric:
            continue
        if other.upper == bound.upper:
            return f"a metric has one bound of each kind, and there is {other.text}", "remove one of the two"
        low, high = sorted((bound, other), key=lambda one: one.upper)
        if low.limit > high.limit:
            return f"no value keeps both this and {other.text}", "correct one of the two"
    return None


def _misnamed(bound: Bound, axes: Collection[str]) -> tuple[str, str] | None:
    """Why a name cannot be a metric's, and what to do; None if it can."""
    if bound.metric in axes:
        return "an outcome is a metric that trials report, not a parameter", "put it under constraints"
    family, _, rest = bound.metric.partition("/")
    near = difflib.get_close_matches(family, FAMILIES, n=1, cutoff=0.7) if rest else []
    if near and near[0] != family:
        return f"no metric's name begins with {family}/", f"did you mean {near[0]}/{rest}?"
    return None


def _hint(text: str) -> str:
    """What to do about a text that is no bound."""
    compared = re.findall(r"<=|>=|==|!=|=<|=>|<|>|=", text)
    if len(compared) > 1:
        return "give each side of the range a line of its own"
    if compared and compared[0] not in ("<=", ">="):
        right = {"<": "<=", "=<": "<=", ">": ">=", "=>": ">="}.get(compared[0])
        return f"write {right} for {compared[0]}" if right else "write <= or >="
    if re.match(r"\s*[-+]?[0-9]", text):
        return "write the metric first: time/train_seconds <= 60"
    if re.search(r"[-+*(]|\s/\s", text.split("<=")[0].split(">=")[0]):
        return "a bound has one metric and no arithmetic: time/train_seconds <= 60"
    return "write it like time/train_seconds <= 60"
