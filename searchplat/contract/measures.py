"""What is measured: every metric by name, with its formula, range and direction. `docs/measures.md` explains them.

Measures of targets are means over users, each from the ranks of the user's targets, rank 1 being best; measures of
lists look at everybody's k best items and know no target. Methods and the platform share these definitions. Shape
letters: `U` users, `M` targets of a user.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Measure:
    """A kind of metric.

    Args:
        name: Before the `@`.
        of: Whether it is made of the ranks of targets or of lists of the k best items.
        formula: In the notation of `docs/measures.md`.
        low, high: Its range; None where there is no bound.
        larger: Whether more of it is better.
        source: Where the definition comes from.
        whole: Whether it may be asked for without a cut-off, over the whole ranking.
    """

    name: str
    of: Literal["targets", "lists"]
    formula: str
    low: float
    high: float | None
    larger: bool
    source: str
    whole: bool = False


MEASURES: tuple[Measure, ...] = (
    Measure("mrr", "targets", "[r1 <= k] / r1", 0, 1, True, "Voorhees 1999", whole=True),
    Measure("recall", "targets", "h / m", 0, 1, True, "Manning et al. 2008, ch. 8"),
    Measure("ndcg", "targets", "sum over i of [ri <= k] / log2(ri + 1), over the same sum for ranks 1 to min(m, k)",
            0, 1, True, "Järvelin and Kekäläinen 2002"),
    Measure("map", "targets", "(1 / m) sum over i of [ri <= k] i / ri", 0, 1, True, "Manning et al. 2008, ch. 8"),
    Measure("precision", "targets", "h / k", 0, 1, True, "Manning et al. 2008, ch. 8"),
    Measure("coverage", "lists", "items in anybody's list / N", 0, 1, True, "Ge et al. 2010"),
    Measure("gini", "lists", "sum over j of (2 j - N - 1) cj / (N sum of c)", 0, 1, False, "Fleder and Hosanagar 2009"),
    Measure("novelty", "lists", "mean over lists of the mean of -log2(max(ui, 1) / U)", 0, None, True,
            "Zhou et al. 2010; Castells et al. 2011"),
    Measure("diversity", "lists", "mean over lists of the mean over pairs of 1 - uij / sqrt(ui uj)", 0, 1, True,
            "Smyth and McClave 2001; Ziegler et al. 2005"),
    Measure("popularity", "lists", "mean over lists of the mean of ni", 0, None, False, "Yin et al. 2012"),
    Measure("popularity_lift", "lists", "popularity / (mean over histories of the mean of ni) - 1", -1, None, False,
            "Abdollahpouri et al. 2019"),
)  # fmt: skip

BY_NAME = {one.name: one for one in MEASURES}

ITEM_GROUPS = ("cold", "warm", "tail", "torso", "head")
"""Of a target: by its training interactions. `cold` is the 35 % of all items with the fewest, `warm` the others;
`head`, `torso` and `tail` have a third of all training interactions each."""

USER_GROUPS = ("short", "medium", "long")
"""Of a user: thirds of the users, by the number of their training interactions."""

GROUPS = (*ITEM_GROUPS, *USER_GROUPS)

USERS = "users"
"""`<group>/users`: how many users a group's figures are means over."""

BEYOND = tuple(f"{one.name}@10" for one in MEASURES if one.of == "lists")
"""What a final test says of its lists whether asked or not."""

_NAME = re.compile(r"([a-z_]+)(?:@([1-9][0-9]{0,6}))?")


@dataclass(frozen=True)
class Metric:
    """A measure and its cut-off `k`, which is None for the whole ranking."""

    kind: str
    k: int | None = None

    @property
    def measure(self) -> Measure:
        """What kind of metric it is."""
        return BY_NAME[self.kind]

    def per_query(self, ranks: ArrayLike) -> Floats:
        """A measure of targets for every user, `[U]` in [0, 1]; its mean is the metric.

        Args:
            ranks: `[U]` whole numbers >= 1, one target a user; or `[U, M]`, 0 where a user has fewer than M targets.

        Raises:
            ValueError: If a rank is below 1, a user has no target, or this is a measure of lists.

        >>> parse("recall@2").per_query([1, 2, 3, 7]).tolist()
        [1.0, 1.0, 0.0, 0.0]
        >>> parse("ndcg@3").per_query([1, 2, 3, 7]).round(3).tolist()
        [1.0, 0.631, 0.5, 0.0]
        >>> parse("mrr@2").per_query([1, 2, 3, 7]).tolist()
        [1.0, 0.5, 0.0, 0.0]
        >>> parse("map@3").per_query([[1, 3], [2, 0]]).round(3).tolist()
        [0.833, 0.5]
        """
        if self.measure.of == "lists":
            raise ValueError(f"{self.kind} is made of lists, not of ranks")
        found = np.asarray(ranks, dtype=np.float64)
        several = found.ndim == 2
        if found.size and (found.max(axis=1).min() if several else found.min()) < 1:
            raise ValueError(f"ranks start at 1, got {found.min():g}; give ranks, not scores or indices")
        return _several(self.kind, self.k, found) if several else _single(self.kind, self.k, found)


def parse(name: str) -> Metric:
    """Read a metric's name, without what says of whom it is.

    Raises:
        ValueError: If it is not known.

    >>> parse("ndcg@10")
    Metric(kind='ndcg', k=10)
    """
    found = _NAME.fullmatch(name)
    measure = BY_NAME.get(found[1]) if found is not None else None
    if found is None or measure is None or (found[2] is None and not measure.whole):
        names = [one for each in MEASURES for one in ([each.name] if each.whole else []) + [f"{each.name}@k"]]
        raise ValueError(
            f"metric {name!r} is not known; known are {', '.join(names[:-1])} and {names[-1]}, such as ndcg@10"
        )
    return Metric(measure.name, None if found[2] is None else int(found[2]))


def split_group(name: str) -> tuple[str | None, str]:
    """A metric's group, if it is over one, and the rest of its name.

    >>> split_group("cold/mrr"), split_group("mrr"), split_group("sampled/mrr")
    (('cold', 'mrr'), (None, 'mrr'), (None, 'sampled/mrr'))
    """
    group, slash, rest = name.partition("/")
    return (group, rest) if slash and group in GROUPS else (None, name)


def check(name: str) -> Metric:
    """Read a metric's name as `metrics:` may have it, with a group before it.

    Raises:
        ValueError: If it is not known, or asks for lists of a group.
    """
    group, rest = split_group(name)
    metric = parse(rest)
    if group is not None and metric.measure.of == "lists":
        raise ValueError(f"metric {name!r}: {metric.kind} is of everybody's lists, not of a group; write {rest!r}")
    return metric


def unasked(name: str) -> bool:
    """Whether a figure is one of those that a final test has whether asked or not, if it is not asked for.

    >>> unasked("tail/mrr"), unasked("gini@10"), unasked("mrr"), unasked("sampled/mrr")
    (True, True, False, False)
    """
    return split_group(name)[0] is not None or name in BEYOND


def larger_is_better(name: str) -> bool:
    """Whether more of a metric is better; of one that is not known, such as a program's own, it is taken to be.

    >>> larger_is_better("cold/mrr"), larger_is_better("gini@10"), larger_is_better("rmse")
    (True, False, True)
    """
    measure = BY_NAME.get(name.rpartition("/")[2].partition("@")[0])
    return measure is None or measure.larger


def of_targets(name: str) -> bool:
    """Whether a name without group is that of a measure of targets.

    >>> of_targets("mrr"), of_targets("gini@10"), of_targets("rmse")
    (True, False, False)
    """
    measure = BY_NAME.get(name.partition("@")[0])
    return measure is not None and measure.of == "targets"


def _single(kind: str, k: int | None, ranks_U: Floats) -> Floats:
    """With one target a user recall@k is the hit rate, map@k is mrr@k, and the ideal DCG is 1."""
    if kind in ("mrr", "map"):
        value = 1 / ranks_U
    elif kind == "ndcg":
        value = 1 / np.log2(ranks_U + 1)
    elif kind == "precision":
        assert k is not None
        value = np.full_like(ranks_U, 1 / k)
    else:
        value = np.ones_like(ranks_U)
    return value if k is None else np.where(ranks_U <= k, value, 0.0)


def _several(kind: str, k: int | None, ranks_UM: Floats) -> Floats:
    there_UM = ranks_UM > 0
    targets_U = there_UM.sum(axis=1)
    ranks_UM = np.sort(np.where(there_UM, ranks_UM, np.inf), axis=1)
    hit_UM = np.isfinite(ranks_UM) if k is None else ranks_UM <= k
    places_M = np.arange(1, ranks_UM.shape[1] + 1)
    found: Floats
    if kind == "mrr":
        found = np.where(hit_UM[:, 0], 1 / ranks_UM[:, 0], 0.0)
    elif kind == "recall":
        found = hit_UM.sum(axis=1) / targets_U
    elif kind == "precision":
        assert k is not None
        found = hit_UM.sum(axis=1) / k
    elif kind == "map":
        found = np.where(hit_UM, places_M / ranks_UM, 0.0).sum(axis=1) / targets_U
    else:
        gains_M = np.cumsum(1 / np.log2(places_M + 1))
        ideal_U = gains_M[np.minimum(targets_U, targets_U if k is None else k) - 1]
        found = np.where(hit_UM, 1 / np.log2(ranks_UM + 1), 0.0).sum(axis=1) / ideal_U
    return found
