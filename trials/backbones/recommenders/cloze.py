"""Training BERT4Rec: hide some places of a window and predict what stood there, all hidden places at once.

Shape letters: `B` windows or queries, `L` places, `N` items, `P` hidden places of a batch, `E` items of a batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.histories import by_length, encoded, pad_right
from trials.backbones.recommenders.settings import ClozeSettings
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.recommender import Losses, Recommender
from trials.training.rows.windows import Ints, rows_of, windows


@dataclass(frozen=True)
class Cloze:
    """Windows and which of their places are hidden.

    Args:
        rows: The windows.
        hidden_E: `[E]`, aligned with the rows' items; true at one place of every window at least.
    """

    rows: Queries
    hidden_E: NDArray[np.bool_]

    def part(self, start: int, stop: int) -> Cloze:
        """Windows `start` to `stop - 1`."""
        offsets = self.rows.offsets
        return Cloze(self.rows.rows(start, stop), self.hidden_E[offsets[start] : offsets[stop]])


class ClozeModel(Recommender):
    """BERT4Rec with the cloze task and full softmax over all hidden places.

    Source: Sun et al., CIKM 2019, section 3.6: each item is hidden with chance ρ, and some examples hide the last item
    alone, as the model is asked later. As RecBole: a batch is wholly of the one kind or of the other (`ft_ratio`),
    and a hidden item is always replaced by the token. As the authors' code: the sequences are hidden anew `copies`
    times an epoch (`dupe_factor`, 10). Differs from RecBole, which makes an example of every prefix of a sequence
    and so shows a window's items some 50 times an epoch: each copy cuts the sequences anew, leaving out a number of
    latest items drawn per user, so that in time every item is the last of a window; at least one item of a window is
    hidden; and a window's first place, which RecBole's loss leaves out by mistake, and hidden places beyond
    `mask_ratio * max_length` count like any other.

    Args:
        encoder: What is trained.
        data: Whose training sequences.
        settings: Window lengths, batch size, chances.
    """

    def __init__(self, encoder: BERT4RecEncoder, data: SearchData, settings: ClozeSettings) -> None:
        super().__init__()
        self.encoder = encoder
        self._items = np.asarray(data.train_items)
        self._offsets = np.asarray(data.train_offsets, dtype=np.int64)
        self._settings = settings
        whole = len(self._cut(np.zeros(len(self._offsets) - 1, dtype=np.int64)))
        self._num_batches = -(-whole * settings.copies // settings.batch_size)

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Cloze]:
        """Windows of `copies` cuts in a new order, with places hidden, in batches of about `batch_size` windows."""
        if not self._num_batches:
            return
        windows_W2 = np.concatenate([self._cut(self._skips(rng)) for _ in range(self._settings.copies)])
        # A cut that leaves latest items out has at most as many windows as one that does not: the batches are as many
        # as ever, and a little smaller. With fewer windows than batches, some windows come again.
        order = np.resize(rng.permutation(len(windows_W2)), max(len(windows_W2), self._num_batches))
        for chosen in np.array_split(order, self._num_batches):
            rows = rows_of(self._items, windows_W2[chosen])
            yield Cloze(rows, self._hide(rows, rng))

    def num_batches(self) -> int:
        """Batches an epoch."""
        return self._num_batches

    def loss(self, batch: Cloze) -> Losses:
        """`cloze`: mean cross-entropy of the item over all hidden places of all windows."""
        rows, device = batch.rows, self.encoder.item_bias.device
        hidden_rows = np.split(batch.hidden_E.astype(np.int64), rows.offsets[1:-1])
        states, targets = [], []
        for chosen in by_length(np.diff(rows.offsets), device):
            part = rows.of(chosen)
            items_BL, lengths_B = (tensor.to(device) for tensor in pad_right(part.items, part.offsets))
            hidden = np.concatenate([hidden_rows[row] for row in chosen])
            hidden_BL = pad_right(hidden, part.offsets)[0].bool().to(device)
            states.append(self.encoder(items_BL, lengths_B, hidden_BL)[hidden_BL])
            targets.append(items_BL[hidden_BL])
        logits_PN = self.encoder.item_scores(self.encoder.predict(torch.cat(states)))
        return {"cloze": F.cross_entropy(logits_PN, torch.cat(targets))}

    def share(self, batch: Cloze, rank: int, workers: int) -> tuple[Cloze, dict[str, float]]:
        """Every worker takes a run of windows, and weighs as many hidden places as they hold."""
        count = len(batch.rows)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        if first == stop:
            return batch.part(0, 1), {"cloze": 0.0}
        part = batch.part(first, stop)
        return part, {"cloze": float(part.hidden_E.sum() / batch.hidden_E.sum())}

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of the item after each history, of which the latest `max_length - 1` items are read."""
        device = self.encoder.item_bias.device
        return self.encoder.item_scores(encoded(self.encoder.encode, queries, self._settings.max_length - 1, device))

    def _cut(self, skip_U: Ints) -> Ints:
        length = self._settings.max_length
        # `windows` counts a target beyond `max_length` inputs; here the target is one of the places.
        return windows(self._offsets, length - 1, self._settings.stride or length, skip_U)

    def _skips(self, rng: np.random.Generator) -> Ints:
        """How many latest items of every user a cut leaves out: fewer than a stride, and two items stay."""
        most_U = np.minimum(self._settings.stride or self._settings.max_length, np.diff(self._offsets) - 1)
        skip_U: Ints = rng.integers(0, np.maximum(most_U, 1))
        return skip_U

    def _hide(self, rows: Queries, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Which places of a batch are hidden, `[E]`."""
        if rng.random() < self._settings.last_only:
            return _at(rows.offsets[1:] - 1, len(rows.items))
        hidden_E = rng.random(len(rows.items)) < self._settings.mask_ratio
        lengths_B = np.diff(rows.offsets)
        spare_B = rows.offsets[:-1] + rng.integers(0, lengths_B)
        lacks_B = np.add.reduceat(hidden_E, rows.offsets[:-1]) == 0
        hidden_E[spare_B[lacks_B]] = True
        return hidden_E


def _at(places: Any, length: int) -> NDArray[np.bool_]:
    """`[length]`, true at `places`."""
    found = np.zeros(length, dtype=np.bool_)
    found[places] = True
    return found
