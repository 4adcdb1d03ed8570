"""What a model must offer to be trained and evaluated by the one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from torch import Tensor, nn

from trials.data.preparing.dataset import IntArray, Queries

Losses = dict[str, Tensor]
"""Named scalar parts, already weighted; their sum is what the optimiser sees."""


class Recommender(nn.Module):
    """Base of all models: an `nn.Module` with the three things the loop needs.

    Only parameters that require a gradient are trained and kept in checkpoints, together with persistent
    buffers; a frozen backbone must therefore have `requires_grad` False and no persistent buffers.
    """

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Any]:
        """Yield the training batches of one epoch, in an order drawn from `rng`.

        A batch is whatever `loss` takes. Its number of examples weighs nothing: the method averages.
        """
        raise NotImplementedError(f"{type(self).__name__}.batches")

    def num_batches(self) -> int:
        """Batches an epoch, for the learning-rate schedule."""
        raise NotImplementedError(f"{type(self).__name__}.num_batches")

    def loss(self, batch: Any) -> Losses:
        """Named scalar losses of one batch."""
        raise NotImplementedError(f"{type(self).__name__}.loss")

    def share(self, batch: Any, rank: int, workers: int) -> tuple[Any, dict[str, float]]:
        """One worker's part of a global batch, for training by several workers; optional.

        Returns:
            The part, as `loss` takes it, never empty; and for every named loss of the *global* batch its weight:
            the share of the loss's examples that lie in the part, so that the weighted losses of all workers'
            parts add up to the loss of the global batch. A worker whose part has none of them gives weight 0.
        """
        raise NotImplementedError(f"{type(self).__name__}.share")

    def scores(self, queries: Queries) -> Tensor:
        """Score every item for every query: `[B, N]`, higher is better, without gradient.

        Called in evaluation mode under `torch.inference_mode()`. Depends on a query's own history only,
        not on the other queries of the batch.
        """
        raise NotImplementedError(f"{type(self).__name__}.scores")

    def rate_factors(self) -> Mapping[str, float]:
        """By the names of trained parameters, factors on the learning rate; those without a factor have 1.

        For a pretrained part that must learn more slowly than what is new.
        """
        return {}

    def decay_factors(self) -> Mapping[str, float]:
        """By the names of trained parameters, factors on the weight decay; those without a factor have 1."""
        return {}

    def start_evaluation(self) -> None:
        """Called once before a round of `scores`: the place to encode all items once, say."""

    def after_validation(self, epoch: int, ranks_U: IntArray, metrics: Mapping[str, float]) -> None:
        """Told how an epoch's validation went, the same in every worker: the place to remember the best epoch, say.

        Args:
            epoch: From 0.
            ranks_U: `[U]` rank of every user's validation item.
            metrics: By name without a prefix, e.g. `mrr`.
        """

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Told after a round of `scores` of which several workers did a part each.

        A model that counts in evaluation, for `diagnostics`, passes its sums to `add`, which puts the sums of all
        workers into them, so that every worker's diagnostics are of all queries.
        """

    def diagnostics(self) -> dict[str, float]:
        """Further metrics to report after an epoch, e.g. a gate's load per layer; `valid/...` are the loop's."""
        return {}
