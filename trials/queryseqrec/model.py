"""Query-SeqRec as a recommender.

Shape letters: `B` windows or queries, `L` places, `D` width, `N` items, `W` width of texts, `P` places with a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.encoders.request_encoder import UNASKED, FrozenRequests, distinct
from trials.backbones.recommenders.histories import latest, pad_right, refuse_empty
from trials.backbones.recommenders.next_item import NextItemModel
from trials.data.preparing.dataset import Queries, SearchData
from trials.queryseqrec.config import QuerySeqRecConfig
from trials.queryseqrec.encoder import RequestAwareEncoder
from trials.queryseqrec.requests import Ints, TrainingRequests, of_histories
from trials.training.recommender import Losses
from trials.training.rows.windows import rows_of


@dataclass(frozen=True)
class Asked:
    """Windows, and what was asked before their items.

    Args:
        windows: `[B]`.
        rows: Rows of requests, aligned with the windows' items; `UNASKED` where the history makes one.
    """

    windows: Queries
    rows: Ints


class QuerySeqRecModel(NextItemModel):
    """Query-SeqRec with full softmax cross-entropy at the request before each item of a window.

    Source: He et al., CIKM 2022. Its second part lets the model learn from which requests and items go together; here
    that is `request`, an item's cross-entropy from its request alone (ours). Differs besides: the request encoder is a
    frozen sentence encoder and a linear layer; where nothing was asked, the history makes a request, as in CRAMER,
    appendix B.1.

    Args:
        config: Sizes, window lengths and batch size, requests.
        data: Whose training sequences.
        texts_NW: Of all items.
        asked: What was asked in training; None if the histories make all requests.
        reader: Reads what is asked when answering; None if histories make all requests.
    """

    encoder: RequestAwareEncoder
    texts_NW: Tensor
    centre_W: Tensor

    def __init__(
        self,
        config: QuerySeqRecConfig,
        data: SearchData,
        texts_NW: Tensor,
        asked: TrainingRequests | None,
        reader: FrozenRequests | None,
    ) -> None:
        super().__init__(RequestAwareEncoder(data.num_items, texts_NW.shape[1], config), data, config)
        # Vectors of one encoder point almost the same way: without what they share the rest can be told apart.
        self.register_buffer("centre_W", texts_NW.mean(0), persistent=False)
        self.register_buffer("texts_NW", texts_NW - texts_NW.mean(0), persistent=False)
        self._config = config
        self._asked = asked
        self._reader = reader

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Asked]:  # type: ignore[override]
        """Windows in a new order, `batch_size` at a time, with what was asked in them."""
        order = rng.permutation(len(self._windows_W2))
        for start in range(0, len(order), self._batch_size):
            chosen_B2 = self._windows_W2[order[start : start + self._batch_size]]
            windows = rows_of(self._items, chosen_B2)
            rows = np.full(len(windows.items), UNASKED)
            if self._asked is not None:
                rows = np.concatenate([self._asked.rows_E[first:stop] for first, stop in chosen_B2])
            yield Asked(windows, rows)

    def loss(self, batch: Asked) -> Losses:  # type: ignore[override]
        """`next`, the item behind each request from request and history; `request`, from the request alone times λ."""
        items_BL, lengths_B = self._on_device(*pad_right(batch.windows.items, batch.windows.offsets))
        histories_BL, length = items_BL[:, :-1], items_BL.shape[1] - 1
        places_L = torch.arange(length, device=items_BL.device)
        has_target_BL = places_L < (lengths_B - 1)[:, None]
        requests_BLW = of_histories(self.texts_NW[histories_BL], self._config.request_items)
        if self._asked is not None:
            # A request stands before its item: that of place l + 1 is asked behind place l.
            rows_BL = torch.from_numpy(_padded(batch.rows, batch.windows.offsets)[:, 1:])
            requests_BLW = self._with_own(requests_BLW, rows_BL, self._asked.vectors_VW)
        states_BLD = self.encoder(histories_BL, requests_BLW, places_L.expand(len(items_BL), -1))
        targets_P = items_BL[:, 1:][has_target_BL]
        losses = {"next": F.cross_entropy(self.encoder.item_scores(states_BLD[has_target_BL]), targets_P)}
        if self._config.lambda_request:
            alone_PN = self.encoder.item_scores(self.encoder.projected(requests_BLW[has_target_BL]))
            losses["request"] = self._config.lambda_request * F.cross_entropy(alone_PN, targets_P)
        return losses

    def share(self, batch: Asked, rank: int, workers: int) -> tuple[Asked, dict[str, float]]:  # type: ignore[override]
        """Every worker takes a run of windows, and weighs as many targets as they hold."""
        part, weights = super().share(batch.windows, rank, workers)
        first, stop = len(batch.windows) * rank // workers, len(batch.windows) * (rank + 1) // workers
        offsets = batch.windows.offsets
        rows = batch.rows[offsets[first] : offsets[stop if first < stop else first + 1]]
        if first == stop:
            rows = batch.rows[: offsets[1]]
        return Asked(part, rows), weights | ({"request": weights["next"]} if self._config.lambda_request else {})

    def scores(self, queries: Queries) -> Tensor:
        """Scores `[B, N]` of what answers each request behind its history, whose latest `max_length` items are read.

        Raises:
            ValueError: If a history is empty.
        """
        items, offsets = latest(queries, self._config.max_length)
        refuse_empty(offsets, "Query-SeqRec")
        items_BL, lengths_B = self._on_device(*pad_right(items, offsets))
        last_B1 = (lengths_B - 1)[:, None]
        made_BLW = of_histories(self.texts_NW[items_BL], self._config.request_items)
        requests_B1W = made_BLW.gather(1, last_B1[..., None].expand(-1, -1, made_BLW.shape[-1]))
        if self._reader is not None and queries.requests is not None:
            texts, rows_B = distinct(queries.requests)
            if texts:
                own_VW = self._reader.vectors(texts)
                requests_B1W = self._with_own(requests_B1W, torch.from_numpy(rows_B)[:, None], own_VW)
        return self.encoder.item_scores(self.encoder(items_BL, requests_B1W, last_B1)[:, 0])

    def _with_own(self, made_BLW: Tensor, rows_BL: Tensor, own_VW: Tensor) -> Tensor:
        """What was asked, where anything was, in place of what histories make."""
        own_BLW = own_VW[rows_BL.clamp(min=0)].to(made_BLW.device) - self.centre_W
        return torch.where((rows_BL == UNASKED).to(made_BLW.device)[..., None], made_BLW, own_BLW)

    def _on_device(self, items_BL: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        return items_BL.to(self._device()), lengths_B.to(self._device())


def _padded(rows: Ints, offsets: Ints) -> Ints:
    """Rows of requests as the items that they stand before: `[B, L]`, `UNASKED` behind the last."""
    lengths_B = np.diff(offsets)
    valid_BL = np.arange(lengths_B.max(initial=0)) < lengths_B[:, None]
    padded_BL = np.full(valid_BL.shape, UNASKED)
    padded_BL[valid_BL] = rows
    return padded_BL
