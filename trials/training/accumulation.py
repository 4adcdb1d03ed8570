"""The gradient of one batch, taken whole or, where that does not fit into memory, in parts that add up to it."""

from __future__ import annotations

import gc
import math
from typing import Any

import torch
from torch import Tensor

from trials.training.recommender import Losses, Recommender

MOST_PARTS = 64
"""Parts into which a batch is taken at most before running out of memory is final."""


def backward(model: Recommender, batch: Any, parts: int) -> dict[str, float]:
    """Add the gradients of one batch to the parameters, unless a loss is not finite.

    Args:
        parts: Into how many the batch is divided by the model's `share`; 1 takes it whole.

    Returns:
        `train/loss`, and `train/<part>` for each named loss, of the whole batch.
    """
    named: dict[str, float] = {}
    for number in range(parts):
        part, weights = (batch, None) if parts == 1 else model.share(batch, number, parts)
        if weights is not None and not any(weights.values()):  # fewer examples than parts
            continue
        losses = _losses(model, part)
        if weights is not None:
            losses = {name: weights[name] * loss for name, loss in losses.items()}
        total: Tensor = torch.stack(list(losses.values())).sum()
        for name, loss in losses.items():
            named[f"train/{name}"] = named.get(f"train/{name}", 0.0) + float(loss.detach())
        named["train/loss"] = named.get("train/loss", 0.0) + float(total.detach())
        if not math.isfinite(named["train/loss"]):
            break
        total.backward()  # type: ignore[no-untyped-call]
    return named


def release(device: torch.device) -> None:
    """Give back what an attempt that ran out of memory has left."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _losses(model: Recommender, batch: Any) -> Losses:
    losses = model.loss(batch)
    if "loss" in losses:
        raise ValueError(
            f"{type(model).__name__}.loss: a part must not be called 'loss', which is their sum; "
            "name it for what it measures"
        )
    return losses
