"""The base of models that are complete when they are built."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from trials.training.recommender import Losses, Recommender


class Counted(Recommender):
    """A recommender that is complete when it is built; what it counted are persistent buffers, no parameters."""

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[None]:
        """No batches: there is nothing to train."""
        return iter(())

    def num_batches(self) -> int:
        """0."""
        return 0

    def loss(self, batch: None) -> Losses:
        """Never asked for: the loop trains nothing without parameters."""
        return {}
