"""Candidates of training as the authors' code draws them: each target among random items.

Shape letters: `B` examples, `K` candidates.
"""

from __future__ import annotations

import numpy as np

from trials.backbones.recommenders.retrieved import Examples
from trials.data.preparing.dataset import IntArray


def drawn(examples: Examples, rows: IntArray, count: int, num_items: int, rng: np.random.Generator) -> IntArray:
    """Each target among random items that are not in its history, in random order: `[B, K]`.

    Source: the authors' code. With so few items that a history leaves less, some are there twice.
    """
    made = []
    for row in rows.tolist():
        target = examples.targets_E[row]
        others = np.delete(np.arange(num_items), np.append(examples.histories.row(row), target))
        if not len(others):
            others = np.delete(np.arange(num_items), target)
        negatives = rng.choice(others, size=count - 1, replace=len(others) < count - 1)
        made.append(rng.permutation(np.append(negatives, target)))
    return np.stack(made)
