"""Collaborative embeddings C of a frozen ID-based recommender (section 4.2).

Shape letters: `B` histories, `W` windows of them, `P` places of a history (the paper's N), `C` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.frozen import carried
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries

Encoder = BERT4RecEncoder | SASRecEncoder


@dataclass(frozen=True)
class Reading:
    """What the M-Former reads of each of `B` histories, of which several may be the beginnings of one.

    Args:
        states_WPC: Collaborative embeddings, padded.
        row_B: Which row each history has; None if each has its own.
        seen_BP: Which places it has of that row.
    """

    states_WPC: Tensor
    row_B: Tensor | None
    seen_BP: Tensor


class Collaborator(nn.Module):
    """A copy of a frozen recommender: states of the last layer at every item of a history.

    For a user these are the states of the items' sequence, for an item those of the item alone: the paper's "when
    encoding item embeddings, it processes only the item's ID (N = 1)" means the recommender's output, since a table's
    rows would be the same in both cases.

    Its weights are persistent buffers and not parameters: nothing trains them, and a checkpoint or a served model
    carries them (N rows of a narrow table), and so needs neither the training sequences nor the cache they came from.

    Args:
        encoder: The frozen recommender, without dropout; left as it is.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = carried(encoder)
        self.silent = False
        """Give zeros in place of states: what there is to say of items that nobody has interacted with."""

    @property
    def max_length(self) -> int:
        """Items of a history that the recommender reads at most."""
        return self.encoder.max_length

    @property
    def width(self) -> int:
        """C."""
        weight = self.encoder.item_embedding.weight
        return int(weight.shape[1])

    @torch.no_grad()
    def forward(self, histories: Sequence[IntArray]) -> tuple[Tensor, Tensor]:
        """C of each history's latest `max_length` items, `[B, P, C]` padded, and which places hold an item, `[B, P]`.

        Raises:
            ValueError: If a history is empty.
        """
        lengths = np.array([len(items) for items in histories], dtype=np.int64)
        if lengths.min(initial=1) < 1:
            raise ValueError("Laser reads what a user has interacted with, but a history is empty")
        queries = Queries(
            np.full(len(histories), UNKNOWN_USER, dtype=np.int64),
            np.concatenate(histories),
            np.concatenate([[0], np.cumsum(lengths)]),
        )
        states_BPC, lengths_B = self.encoder.states(queries)
        valid_BP = torch.arange(states_BPC.shape[1], device=states_BPC.device) < lengths_B[:, None]
        # Padding's states mean nothing, and must not be able to spread.
        if self.silent:
            return torch.zeros_like(states_BPC), valid_BP
        return states_BPC.masked_fill(~valid_BP.unsqueeze(-1), 0.0), valid_BP

    def beginnings(self, windows: Sequence[IntArray], reads_W: IntArray) -> Reading:
        """C of the beginnings of windows of histories: of the whole window, of all but its last item, and so on.

        A recommender that reads from left to right (SASRec) gives them all at once; one that reads in both directions
        (BERT4Rec) reads each beginning by itself, since its states would tell what comes after.

        Args:
            windows: Items, oldest first.
            reads_W: How many beginnings of each, in [1, items of the window]; they come shortest first.
        """
        lengths_W = np.array([len(items) for items in windows], dtype=np.int64)
        row_B = np.repeat(np.arange(len(windows)), reads_W)
        nth_B = np.arange(len(row_B)) - np.repeat(np.cumsum(reads_W) - reads_W, reads_W)
        count_B = (lengths_W - reads_W)[row_B] + nth_B + 1
        if not isinstance(self.encoder, SASRecEncoder) or lengths_W.max(initial=0) > self.max_length:
            states_BPC, seen_BP = self([windows[w][:n] for w, n in zip(row_B.tolist(), count_B.tolist(), strict=True)])
            return Reading(states_BPC, None, seen_BP)
        states_WPC, _ = self(windows)
        places_P = torch.arange(states_WPC.shape[1], device=states_WPC.device)
        count_B1 = torch.from_numpy(count_B).to(states_WPC.device).unsqueeze(1)
        return Reading(states_WPC, torch.from_numpy(row_B).to(states_WPC.device), places_P < count_B1)
