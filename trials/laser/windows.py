"""Many targets in one pass: a window of a history, with a prefix and a suffix for each of its beginnings.

A pass of eq. 1 embeds one history. Beginnings of one history share their words, so that a pass over a window has them
once, and for each beginning j that is wanted a prefix P_j and a suffix s_j of its own:

    P_1 ... P_n, instruction, s_1 ... s_n

P_j and s_j stand where they would stand in an input of their own: the prefixes at the first positions, s_j at the
position behind item j. s_j sees P_j, the instruction up to item j and itself; words see words. With one layer that is
eq. 1 to the letter, as no layer shows a word what stands in front of it; with more it differs in that words do not see
the prefix, whose contents would differ from beginning to beginning.

Shape letters: `W` windows, `B` beginnings, `S` tokens of all windows, `L` prefix tokens, `X` suffix tokens, `T` places
of a window, `R` tokens that are read out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trials.data.preparing.dataset import IntArray
from trials.laser.instructions import Instructions
from trials.nn.attention import Plan
from trials.nn.blocks import Blocks


@dataclass(frozen=True)
class PackedWindows:
    """The inputs of a batch of windows, one after the other.

    Args:
        ids_S: Word ids; 0 at virtual tokens.
        positions_S: Position of each token in the input of its beginning.
        prefix_S: Flat index of the prefix tokens, `[B * L]`, beginning by beginning.
        suffix_S: Flat index of the suffix tokens, `[B * X]`, which are read out.
        inner: Who sees whom; None if it was not asked for.
        last: Who is seen by the suffixes.
    """

    ids_S: Tensor
    positions_S: Tensor
    prefix_S: Tensor
    suffix_S: Tensor
    inner: Plan | None
    last: Plan


def pack_windows(
    instructions: Instructions,
    windows: Sequence[IntArray],
    reads_W: IntArray,
    *,
    prefix: int,
    suffix: int,
    inner: bool,
    device: torch.device | str = "cpu",
) -> PackedWindows:
    """Lay out windows of users' histories.

    Args:
        instructions: Words.
        windows: Items of each window, oldest first.
        reads_W: How many beginnings of each are wanted, the longest, in [1, items of the window].
        prefix: Prefix tokens L.
        suffix: Suffix tokens X, >= 1.
        inner: Whether there is a layer before the last.
        device: Where the tensors are wanted.
    """
    # Of every token: the beginning that it belongs to, from 1, or 0 for words, and how many words it sees as a suffix.
    ids, positions, owners, limits, lengths = [], [], [], [], []
    for items, reads in zip(windows, reads_W.tolist(), strict=True):
        words = instructions.ids(items)
        ends = prefix + instructions.ends(items)[len(items) - reads :]
        nth = np.arange(1, reads + 1)
        none_P, none_W = np.zeros(reads * prefix, dtype=np.int64), np.zeros(len(words), dtype=np.int64)
        ids += [none_P, words, np.zeros(reads * suffix, dtype=np.int64)]
        positions += [np.tile(np.arange(prefix), reads), prefix + np.arange(len(words))]
        positions += [(ends[:, None] + np.arange(suffix)).ravel()]
        owners += [np.repeat(nth, prefix), none_W, np.repeat(nth, suffix)]
        limits += [none_P, none_W, np.repeat(ends, suffix)]
        lengths.append(reads * (prefix + suffix) + len(words))
    owner_S, limit_S = np.concatenate(owners), np.concatenate(limits)
    suffix_S = np.flatnonzero(limit_S)
    prefix_S = np.flatnonzero((owner_S > 0) & (limit_S == 0))
    blocks, reads = Blocks.of(np.array(lengths), device), Blocks.of(reads_W * suffix, device)
    rows_R = torch.from_numpy(suffix_S).to(device)
    positions_S = torch.from_numpy(np.concatenate(positions)).to(device)
    told_S3 = torch.stack(
        [positions_S, torch.from_numpy(owner_S).to(device), torch.from_numpy(limit_S).to(device)], dim=1
    )
    keys_WT3 = blocks.spread(told_S3)

    def plan(queries: Blocks, queries_WT3: Tensor) -> Plan:
        place_WT1, owner_WT1, limit_WT1 = queries_WT3.unsqueeze(2).unbind(-1)
        place_W1T, owner_W1T, _ = keys_WT3.unsqueeze(1).unbind(-1)
        own = (owner_W1T == owner_WT1) & (place_W1T <= place_WT1)
        mask = own | ((owner_W1T == 0) & (place_W1T < limit_WT1))
        if blocks.valid_MT is not None:
            mask &= blocks.valid_MT[:, None]
        if queries.valid_MT is not None:  # a query that sees nothing would be NaN, and so its gradient
            mask[..., 0] |= ~queries.valid_MT
        return Plan(queries, blocks, mask.unsqueeze(1))

    return PackedWindows(
        ids_S=torch.from_numpy(np.concatenate(ids)).to(device),
        positions_S=positions_S,
        prefix_S=torch.from_numpy(prefix_S).to(device),
        suffix_S=rows_R,
        inner=plan(blocks, keys_WT3) if inner else None,
        last=plan(reads, reads.spread(told_S3[rows_R])),
    )
