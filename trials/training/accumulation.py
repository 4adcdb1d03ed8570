"""The gradient of one batch, taken whole or, where that does not fit into memory, in parts that add up to it."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from trials.training.recommender import Losses, Recommender

MOST_PARTS = 64
"""Parts into which a batch is taken at most before running out of memory is final."""


def backward(model: Recommender, batch: Any, parts: int, rank: int = 0, workers: int = 1) -> dict[str, float]:
    """Add the gradients of one batch, or of one worker's part of it, to the parameters, unless a loss is not finite.

    Args:
        parts: Into how many what this worker takes is divided by the model's `share`; 1 takes it whole.
        rank, workers: Which worker's part it is, and how many there are.

    Returns:
        `train/loss`, and `train/<part>` for each named loss: of the whole batch, or the summands of this worker.

    Raises:
        ValueError: If a loss has no weight, or has the name of the sum.
    """
    named: dict[str, float] = {}
    for number in range(rank * parts, (rank + 1) * parts):
        part, weights = (batch, None) if parts * workers == 1 else model.share(batch, number, parts * workers)
        if weights is not None:
            for name in weights:
                named.setdefault(f"train/{name}", 0.0)
            if not any(weights.values()):  # fewer examples than parts
                continue
        losses = _losses(model, part)
        if weights is not None:
            if unknown := losses.keys() - weights.keys():
                raise ValueError(
                    f"{type(model).__name__}.share: every part of the loss needs a weight, {sorted(unknown)} has none"
                )
            losses = {name: weights[name] * loss for name, loss in losses.items()}
        total: Tensor = torch.stack(list(losses.values())).sum()
        for name, loss in losses.items():
            named[f"train/{name}"] = named.get(f"train/{name}", 0.0) + float(loss.detach())
        named["train/loss"] = named.get("train/loss", 0.0) + float(total.detach())
        if not math.isfinite(named["train/loss"]):
            break
        total.backward()  # type: ignore[no-untyped-call]
    named.setdefault("train/loss", 0.0)
    return named


def _losses(model: Recommender, batch: Any) -> Losses:
    losses = model.loss(batch)
    if "loss" in losses:
        raise ValueError(
            f"{type(model).__name__}.loss: a part must not be called 'loss', which is their sum; "
            "name it for what it measures"
        )
    return losses
