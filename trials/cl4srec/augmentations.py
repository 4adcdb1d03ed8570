"""What CL4SRec does to sequences, whose copies should still be told to be of the same user. Loads no torch.

Source: Xie et al., ICDE 2022, section III.C. Shape letter: `S` items of a sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from trials.cl4srec.config import CL4SRecConfig

MASK = -1
"""Stands where an item is masked."""

Items = NDArray[np.int64]
Operator = Callable[[Items, np.random.Generator], Items]


def crop(items_S: Items, rng: np.random.Generator, ratio: float) -> Items:
    """A run of `floor(ratio * S)` items that begins anywhere, at least one (eq. 7)."""
    length = _part(items_S, ratio)
    first = rng.integers(0, len(items_S) - length + 1)
    return items_S[first : first + length]


def mask(items_S: Items, rng: np.random.Generator, ratio: float) -> Items:
    """`floor(ratio * S)` items, anywhere, give way to `MASK` (eq. 8)."""
    found = items_S.copy()
    found[rng.choice(len(items_S), int(ratio * len(items_S)), replace=False)] = MASK
    return found


def reorder(items_S: Items, rng: np.random.Generator, ratio: float) -> Items:
    """A run of `floor(ratio * S)` items that begins anywhere is shuffled (eq. 9)."""
    length = int(ratio * len(items_S))
    first = rng.integers(0, len(items_S) - length + 1)
    found = items_S.copy()
    rng.shuffle(found[first : first + length])
    return found


def operators(config: CL4SRecConfig) -> list[Operator]:
    """Those that a config names, with their ratios."""
    every: dict[str, Operator] = {
        "crop": partial(crop, ratio=config.crop_ratio),
        "mask": partial(mask, ratio=config.mask_ratio),
        "reorder": partial(reorder, ratio=config.reorder_ratio),
    }
    return [every[name] for name in config.augmentations]


def two_views(items_S: Items, rng: np.random.Generator, choices: Sequence[Operator]) -> tuple[Items, Items]:
    """Two copies of a sequence, each distorted by an operator of its own drawing; they may be of one kind."""
    first, second = rng.integers(0, len(choices), 2)
    return choices[first](items_S, rng), choices[second](items_S, rng)


def _part(items_S: Items, ratio: float) -> int:
    return max(1, int(ratio * len(items_S)))
