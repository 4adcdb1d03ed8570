"""An order of all layouts of nine bits whose beginnings are good designs: what is left out costs the least.

The first 128 are a quarter of all, the 2^(9-2) fraction of resolution VI with the defining words 123458 and 123679:
main effects and pairs are aliased with nothing below interactions of four (Montgomery, Design and Analysis of
Experiments, 8th ed., table 8.14). The three other quarters follow. No 64 of nine bits are of resolution V, so within a
quarter the order is greedy: the next run adds most to what main effects and pairs are known by (Bayesian D-optimality:
DuMouchel and Jones 1994), pairs being believed to be three times as small. All-serial and all-parallel come first.

Shape letters: `R` runs, `B` bits, `E` effects.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

BITS = 9
WORDS = ((0, 1, 2, 3, 4, 7), (0, 1, 2, 5, 6, 8))
"""Bits whose sum is even in the first quarter."""
_PAIRS_ARE_SMALLER = 3.0
_PRIOR = 0.1
"""Of a main effect, in runs' worth of information."""


def effects(bits_RB: Array) -> Array:
    """`[R, E]` columns in {-1, 1}: the mean, each bit, each pair of bits."""
    signs_RB = 2.0 * bits_RB - 1
    pairs = [signs_RB[:, i] * signs_RB[:, j] for i, j in itertools.combinations(range(signs_RB.shape[1]), 2)]
    return np.column_stack([np.ones(len(signs_RB)), signs_RB, *pairs])


def order() -> Array:
    """`[512, 9]` all layouts' bits, quarter after quarter, each in greedy order."""
    every_RB = np.array(list(itertools.product((0, 1), repeat=BITS)), dtype=int)
    quarter_R = sum(2**place * (every_RB[:, word].sum(1) % 2) for place, word in enumerate(WORDS))
    chosen: list[int] = [0, len(every_RB) - 1]
    columns_RE = effects(every_RB)
    own = np.full(columns_RE.shape[1], _PRIOR * _PAIRS_ARE_SMALLER**2)
    own[: BITS + 1] = _PRIOR
    inverse_EE = np.diag(1 / own)
    for row in chosen:
        inverse_EE = _with(inverse_EE, columns_RE[row])
    for quarter in range(4):
        left = [int(row) for row in np.flatnonzero(quarter_R == quarter) if row not in chosen]
        while left:
            rows_RE = columns_RE[left]
            gain_R = ((rows_RE @ inverse_EE) * rows_RE).sum(1)  # det(M + xx') = det(M) (1 + x' M^-1 x)
            best = left.pop(int(gain_R.round(9).argmax()))
            inverse_EE = _with(inverse_EE, columns_RE[best])
            chosen.append(best)
    return every_RB[chosen]


def _with(inverse_EE: Array, row_E: Array) -> Array:
    """The inverse after one more run (Sherman and Morrison)."""
    moved_E = inverse_EE @ row_E
    updated_EE: Array = inverse_EE - np.outer(moved_E, moved_E) / (1 + row_E @ moved_E)
    return updated_EE
