"""What a program says: from a line of text, or the figures of a report, to metrics by the platform's names."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

EPOCH = "epoch"
"""The key, or the group, that says which epoch a line is of."""

TEST = "test/"
"""Before the names of figures that no search gets to see."""

_SPLITS = {
    "valid": "valid", "val": "valid", "validation": "valid", "dev": "valid", "eval": "valid",
    "train": "train", "training": "train", "test": "test", "testing": "test",
}  # fmt: skip
_SPLIT = re.compile(rf"({'|'.join(_SPLITS)})[/_.\-:\s]+(?=.)", re.IGNORECASE)
_TESTED = re.compile(r"((?<![A-Za-z])([Tt]est|TEST)|(?<=[a-z])Test)(ing)?(?![a-z])")
"""The word by itself, or as a part of a name in camel case."""
_UNFIT = re.compile(r"[^A-Za-z0-9_./@\-]+")
_OWN = ("time/", "memory/")


@dataclass(frozen=True)
class Said:
    """One thing that a program says.

    Args:
        metrics: By our names, see `metric_name`.
        epoch: The program's own number of the epoch that it is of; None if it gives none.
        seconds: Since it said something before, or began.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    epoch: float | None = None
    seconds: float = 0.0


class Reader:
    """Reads lines.

    Args:
        pattern: A regular expression that is looked for in a line, with a named group for each figure; None reads
            JSON objects that are a line of their own.

    Raises:
        ValueError: If the pattern is none, or names no group.
    """

    def __init__(self, pattern: str | None = None) -> None:
        self._pattern = None if pattern is None else compiled(pattern)

    def read(self, line: str) -> Said | None:
        """What a line says; None if it is no report."""
        if self._pattern is not None:
            found = self._pattern.search(line)
            return None if found is None else said({n: _number(t) for n, t in found.groupdict().items()})
        line = line.strip()
        if not (line.startswith("{") and line.endswith("}")):
            return None
        try:
            content = json.loads(line)
        except (ValueError, RecursionError):
            return None
        return said(content) if isinstance(content, dict) else None


def compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression.

    Raises:
        ValueError: If it is none, or names no group.
    """
    try:
        found = re.compile(pattern)
    except re.error as error:
        raise ValueError(f"must be a regular expression, got {pattern!r} ({error}); mend it") from error
    if not set(found.groupindex) - {EPOCH}:
        raise ValueError(f"must name a group for each figure, got {pattern!r}; write (?P<ndcg>\\S+), say")
    return found


def said(figures: Mapping[str, Any], seconds: float = 0.0) -> Said | None:
    """Figures of a report; what is no number is passed over, of mappings within it each figure is taken.

    Returns:
        None if there is no figure.
    """
    epoch = figures.get(EPOCH)
    flat = _flat({name: value for name, value in figures.items() if name != EPOCH})
    metrics: dict[str, float] = {}
    for name, value in flat.items():
        named = metric_name(name)
        if named == name or named not in metrics:  # a name that is ours already counts
            metrics[named] = value
    label = float(epoch) if epoch is not None and _is_number(epoch) else math.nan
    return Said(metrics, label if math.isfinite(label) else None, seconds) if metrics else None


def metric_name(name: str) -> str:
    """The platform's name of a figure: `valid/...` unless it says that it is of training, of a test, or a time.

    >>> metric_name("ndcg"), metric_name("val_ndcg@10"), metric_name("train/loss"), metric_name("Test NDCG")
    ('valid/ndcg', 'valid/ndcg@10', 'train/loss', 'test/NDCG')
    >>> metric_name("best_test_mrr"), metric_name("time/epoch_seconds"), metric_name("cold/mrr")
    ('test/best_test_mrr', 'time/epoch_seconds', 'valid/cold/mrr')
    """
    found = _SPLIT.match(name)
    if found is not None:
        rest = name[found.end() :]
        split = "test" if _TESTED.search(rest) else _SPLITS[found[1].lower()]
    else:
        rest, split = name, "test" if _TESTED.search(name) else "valid"
    rest = _UNFIT.sub("_", rest).strip("/") or "value"
    return rest if found is None and split == "valid" and rest.startswith(_OWN) else f"{split}/{rest}"


def _flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    found: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}/")
        elif _is_number(value):
            found[f"{prefix}{name}"] = float(value)
    return found


def _is_number(value: Any) -> bool:
    """Numbers of NumPy and of Torch without a dimension too; truth values are none."""
    if isinstance(value, (bool, str, bytes)) or value is None:
        return False
    if isinstance(value, (int, float)):
        return True
    return getattr(value, "shape", None) == () and hasattr(value, "__float__")


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.rstrip("%,;"))
    except ValueError:
        return None
