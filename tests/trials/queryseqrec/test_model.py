from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data, shake
from method_cases import as_queries
from torch.nn import functional as F

from trials.queryseqrec import QuerySeqRecConfig
from trials.queryseqrec.model import Asked, QuerySeqRecModel
from trials.queryseqrec.requests import TrainingRequests, of_histories

TINY: dict[str, Any] = {"max_length": 6, "hidden_size": 8, "inner_size": 8, "batch_size": 4, "dropout": 0.0}
ROWS = [[1, 2, 3], [4, 5]]
ASKED = np.array([-1, 0, -1, 1, 2])  # before each item; what is asked before the first is never answered


class Reader:
    """Vectors of requests `0`, `1`, ..."""

    def __init__(self, vectors_VW: torch.Tensor) -> None:
        self.vectors_VW = vectors_VW

    def vectors(self, texts: list[str]) -> torch.Tensor:
        return self.vectors_VW[[int(text) for text in texts]]


def make(**settings: Any) -> QuerySeqRecModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in (9, 3, 6, 2, 5)], num_items=30)
    torch.manual_seed(0)
    texts_NW, asked_VW = torch.randn(30, 5) + 2, torch.randn(4, 5) + 2
    rows_E = np.arange(len(data.train_items)) % 5 - 1
    config = QuerySeqRecConfig(**{**TINY, **settings})
    reader: Any = Reader(asked_VW)
    made = QuerySeqRecModel(config, data, texts_NW, TrainingRequests(rows_E, asked_VW), reader)
    shake(made, 0.3)
    return made.eval()


def by_itself(made: QuerySeqRecModel, history: list[int], request_W: torch.Tensor) -> torch.Tensor:
    """Scores of one request behind one history: SASRec's layers over both, in which only the last place looks."""
    encoder = made.encoder
    asked_D = encoder.request_projection(request_W)
    if encoder.fusion is not None:
        state_D = encoder.through_layers(encoder.item_embedding(torch.tensor([history])), None)[0, -1]
        return encoder.fusion(torch.cat([state_D, asked_D])) @ encoder.item_embedding.weight.T
    places = torch.tensor([*range(len(history)), len(history) - 1])
    items_LD = encoder.item_embedding(torch.tensor(history))
    tokens = torch.cat([items_LD, (asked_D + encoder.request_mark_D)[None]]) + encoder.position_embedding(places)
    states = encoder.norm(tokens)[None]
    mask = torch.full((len(places), len(places)), -torch.inf).triu(1)
    for layer in encoder.layers:
        q, k, v = (
            linear(states).view(1, -1, layer.num_heads, 4).transpose(1, 2)
            for linear in (layer.query, layer.key, layer.value)
        )
        weights = (q @ k.mT / 2 + mask).softmax(-1)
        states = layer.attention_norm(states + layer.output((weights @ v).transpose(1, 2).flatten(2)))
        states = layer.feed_forward_norm(states + layer.outer(F.gelu(layer.inner(states))))
    return states[0, -1] @ encoder.item_embedding.weight.T


def request_of(made: QuerySeqRecModel, history: list[int], row: int) -> torch.Tensor:
    if row >= 0:
        assert made._asked is not None
        return made._asked.vectors_VW[row] - made.centre_W
    return made.texts_NW[history[-3:]].mean(0)


@pytest.mark.parametrize("fusion", ["sequence", "concatenation"])
def test_every_request_predicts_what_follows_it(fusion: str) -> None:
    made = make(fusion=fusion, lambda_request=0.5)
    terms, alone, place = [], [], 0
    for row in ROWS:
        for at in range(1, len(row)):
            request_W = request_of(made, row[:at], int(ASKED[place + at]))
            target = torch.tensor(row[at])
            terms.append(F.cross_entropy(by_itself(made, row[:at], request_W), target))
            logits = made.encoder.request_projection(request_W) @ made.encoder.item_embedding.weight.T
            alone.append(F.cross_entropy(logits, target))
        place += len(row)
    losses = made.loss(Asked(as_queries(ROWS), ASKED))
    torch.testing.assert_close(losses["next"], torch.stack(terms).mean())
    torch.testing.assert_close(losses["request"], 0.5 * torch.stack(alone).mean())


@pytest.mark.parametrize("fusion", ["sequence", "concatenation"])
def test_answers_read_what_is_asked_or_what_the_history_asks(fusion: str) -> None:
    made = make(fusion=fusion)
    queries = as_queries([[1, 2, 3, 4], [5]])
    expected = [by_itself(made, [1, 2, 3, 4], request_of(made, [], 2)), by_itself(made, [5], request_of(made, [5], -1))]
    torch.testing.assert_close(made.scores(replace(queries, requests=["2", " "])), torch.stack(expected))
    expected[0] = by_itself(made, [1, 2, 3, 4], request_of(made, [2, 3, 4], -1))
    torch.testing.assert_close(made.scores(queries), torch.stack(expected))


def test_a_request_is_seen_by_its_own_answer_alone() -> None:
    made = make()
    items, asked = torch.tensor([[1, 2, 3]]), torch.randn(1, 3, 5)
    behind = torch.arange(3)[None]
    before = made.encoder(items, asked, behind)
    asked[0, 1] += 1
    after = made.encoder(items, asked, behind)
    changed = (before != after).any(-1)[0]
    assert changed.tolist() == [False, True, False]
    assert torch.equal(made.encoder(torch.tensor([[1, 2, 9]]), asked, behind)[0, :2], after[0, :2])


def test_a_window_has_what_was_asked_before_its_items() -> None:
    made = make()
    assert made._asked is not None
    places = {tuple(made._items[first:stop]): first for first, stop in made._windows_W2.tolist()}
    for batch in made.batches(0, np.random.default_rng(0)):
        for row in range(len(batch.windows)):
            first = places[tuple(batch.windows.history(row))]
            within = slice(*batch.windows.offsets[row : row + 2])
            np.testing.assert_array_equal(
                batch.rows[within], made._asked.rows_E[first : first + len(batch.rows[within])]
            )


def test_parts_of_a_batch_add_up() -> None:
    made = make()
    batch = next(iter(made.batches(0, np.random.default_rng(0))))
    parts = [made.share(batch, rank, 3) for rank in range(3)]
    for name, whole in made.loss(batch).items():
        torch.testing.assert_close(sum(weights[name] * made.loss(part)[name] for part, weights in parts), whole)


def test_a_history_asks_for_the_like_of_its_latest_items() -> None:
    texts = torch.tensor([[[1.0], [3.0], [5.0], [7.0]]])
    assert of_histories(texts, 2)[0, :, 0].tolist() == [1, 2, 4, 6]
    assert of_histories(texts, 9)[0, :, 0].tolist() == [1, 2, 3, 4]
