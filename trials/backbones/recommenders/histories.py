"""Ragged histories as padded rows: what encoders of sequences read. Shape letters: `B` histories, `L` places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.data.preparing.dataset import Queries

Ints = NDArray[np.integer[Any]]


def pad_right(items: Ints, offsets: Ints) -> tuple[Tensor, Tensor]:
    """Lay ragged rows out as `[B, L]`, where L is the longest row; return it and the lengths `[B]`.

    Padding stands on the right and holds item 0. What reads from left to right (a causal mask, a GRU) never meets it
    before a real place, so that it needs no mask and no row of the item table, and the oldest item always has
    position 0: a history's states are the same whatever it is batched with. (RecBole pads on the right too; the
    authors' code of SASRec on the left.)
    """
    lengths = np.diff(offsets)
    valid = np.arange(lengths.max(initial=0)) < lengths[:, None]
    padded = np.zeros(valid.shape, dtype=np.int64)
    padded[valid] = items
    return torch.from_numpy(padded), torch.from_numpy(lengths.astype(np.int64))


def by_length(lengths_B: Ints, device: torch.device) -> list[NDArray[np.int64]]:
    """Rows of about the same length together, so that each part is padded to its own longest row.

    The rows of up to 2, 4, 8, ... items are a part each, in their order. Where histories differ much in length, most
    places of a batch are padding, and on a CPU they cost what real ones do. A GPU takes several small parts no sooner
    than one large one, so there, and where less than a third would be saved, all rows are one part.

    Args:
        lengths_B: Items of each row.
        device: Where the encoder is.
    """
    whole = [np.arange(len(lengths_B))]
    if device.type != "cpu" or not len(lengths_B):
        return whole
    classes_B = np.ceil(np.log2(np.maximum(lengths_B, 2))).astype(np.int64)
    parts = [np.flatnonzero(classes_B == one) for one in np.unique(classes_B)]
    places = sum(len(rows) * int(lengths_B[rows].max()) for rows in parts)
    return parts if 3 * places <= 2 * len(lengths_B) * int(lengths_B.max()) else whole


def encoded(encode: Callable[[Queries], Tensor], queries: Queries, max_length: int, device: torch.device) -> Tensor:
    """What `encode` says of each history, `[B, D]`, with histories of about the same length read together.

    Args:
        encode: Reads the latest `max_length` items of each.
    """
    parts = by_length(np.minimum(np.diff(queries.offsets), max_length), device)
    states_BD = torch.cat([encode(queries.of(rows)) for rows in parts])
    return states_BD if len(parts) == 1 else states_BD[torch.from_numpy(np.argsort(np.concatenate(parts))).to(device)]


def latest(queries: Queries, count: int) -> tuple[Ints, Ints]:
    """The latest `count` items of every history: all of them one after the other, and their offsets `[B + 1]`."""
    lengths = np.diff(queries.offsets)
    recent = np.minimum(lengths, count)
    kept = np.arange(len(queries.items)) >= np.repeat(queries.offsets[1:] - recent, lengths)
    return queries.items[kept], np.concatenate([[0], np.cumsum(recent)])


def at_last_places(states_BLD: Tensor, lengths_B: Tensor) -> Tensor:
    """The state `[B, D]` at the last real place of every row; each has one."""
    return states_BLD[torch.arange(len(lengths_B), device=lengths_B.device), lengths_B - 1]


def refuse_empty(offsets: Ints, model: str) -> None:
    """Refuse histories without an item, for models that have no way to say what comes first.

    Raises:
        ValueError: If a history is empty.
    """
    if len(offsets) > 1 and np.diff(offsets).min() < 1:
        raise ValueError(f"{model} scores what follows an item, but a history is empty; leave such queries out")
