"""What the ranking is learnt from: a history, candidates, and which of them came next.

Shape letters: `E` examples, `K` candidates, `N` items.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries, SearchData
from trials.nn.ragged import Ragged
from trials.training.measures.best_items import best_items

_AT_ONCE = 256
"""Histories that the retriever reads at once."""


@dataclass(frozen=True)
class Examples:
    """Histories, their targets, and what each target stands among.

    Args:
        histories: `[E]` items before each target, oldest first, as many as a user has.
        targets_E: The item after each.
        candidates_EK: Best first, each row with its target; None where they are drawn anew in every epoch.
    """

    histories: Ragged
    targets_E: IntArray
    candidates_EK: IntArray | None = None

    def __len__(self) -> int:
        return len(self.targets_E)


def examples_of(data: SearchData, targets_per_user: int | None) -> Examples:
    """Every user's latest targets, with all that came before each; a user's first item is none.

    Args:
        targets_per_user: None for all.
    """
    offsets = np.asarray(data.train_offsets)
    histories, targets = [], []
    for first, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        earliest = first + 1 if targets_per_user is None else max(first + 1, stop - targets_per_user)
        for place in range(earliest, stop):
            histories.append(data.train_items[first:place])
            targets.append(data.train_items[place])
    return Examples(Ragged.of(histories), np.array(targets, dtype=np.int64))


def among_retrieved(examples: Examples, retriever: SASRecEncoder, count: int, *, rank_met: bool) -> Examples:
    """The examples whose target is among the first `count` items that the retriever retrieves, with these.

    Source: the paper examines its ranking on these. Differs: it is also trained on them, so that it learns how far the
    retriever's order is to be trusted.
    """
    kept, candidates = [], []
    for start in range(0, len(examples), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(examples)))
        part = examples.histories.take(rows)
        queries = Queries(np.full(len(rows), UNKNOWN_USER), part.values, part.offsets)
        _, found = retrieve(retriever, queries, count, rank_met=rank_met)
        found_BK = found.cpu().numpy()
        there_B = (found_BK == examples.targets_E[rows, None]).any(axis=1)
        kept.append(rows[there_B])
        candidates.append(found_BK[there_B])
    rows = np.concatenate([np.zeros(0, dtype=np.int64), *kept])
    return Examples(
        examples.histories.take(rows),
        examples.targets_E[rows],
        np.concatenate(candidates) if candidates else np.zeros((0, count), dtype=np.int64),
    )


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


@torch.no_grad()
def retrieve(retriever: SASRecEncoder, queries: Queries, count: int, *, rank_met: bool) -> tuple[Tensor, Tensor]:
    """The retriever's scores `[B, N]`, and the `[B, K]` items with the highest, best first.

    Args:
        count: K; `NO_ITEM` where there are fewer.
        rank_met: Whether what is in a history may be among them, as it may be among what is ranked.
    """
    scores_BN = retriever.item_scores(retriever.encode(queries))
    return scores_BN, best_items(scores_BN, count, None if rank_met else queries)[0]
