from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder, search_data, shake
from method_cases import as_queries, scores
from torch.nn import functional as F

from trials.backbones.encoders.text_encoder import load_text_encoder
from trials.backbones.recommenders.histories import by_length
from trials.blair import BLaIRConfig
from trials.blair.model import BLaIRModel
from trials.blair.tuning import TunableEncoder

TINY: dict[str, Any] = {"max_length": 6, "hidden_size": 8, "inner_size": 8, "batch_size": 4, "dropout": 0.0}
TINY |= {"experts": 3, "adaptor_dropout": 0.0, "text_encoder": "random-bert"}
TITLES = [f"film {item}" for item in range(30)]


def make(**settings: Any) -> BLaIRModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in (9, 3, 6, 2, 5)], num_items=30)
    config = BLaIRConfig(**{**TINY, **settings})
    torch.manual_seed(0)
    frozen = load_text_encoder("random-bert", Folder(), texts=TITLES)
    tunable = TunableEncoder(frozen, config, "cpu", None)
    shake(tunable)
    made = BLaIRModel(
        config, data, tunable.read(TITLES), tunable.weights(), lambda: TunableEncoder(frozen, config, "cpu", None)
    )
    shake(made, 0.3)
    return made.eval()


def whole(texts: torch.Tensor) -> torch.Tensor:
    """Centred, at a unit variance."""
    return (texts - texts.mean(0)) / (texts - texts.mean(0)).pow(2).mean() ** 0.5


def followed(made: BLaIRModel, table: torch.Tensor, history: list[int]) -> torch.Tensor:
    state = made.encoder.layers.through_layers(table[history][None], None)[0, -1]
    return F.cosine_similarity(state[None], table)


def test_next_items_are_told_by_their_cosine_among_all() -> None:
    made = make(item_ids=True)
    assert made.encoder.item_embedding is not None
    table = made.encoder.adaptor(whole(made.encoder.texts_NW)) + made.encoder.item_embedding.weight
    rows = [[1, 2, 3], [4, 5]]
    terms = [
        F.cross_entropy(followed(made, table, row[:place]) / 0.07, torch.tensor(row[place]))
        for row in rows
        for place in range(1, len(row))
    ]
    torch.testing.assert_close(made.loss(as_queries(rows))["next"], torch.stack(terms).mean(), rtol=1e-4, atol=1e-4)


def test_the_gates_noise_is_drawn_once_a_step_however_many_parts_a_batch_has(monkeypatch: pytest.MonkeyPatch) -> None:
    made = make(adaptor_dropout=0.5).train()
    tables: list[torch.Tensor] = []
    table = made.encoder.table
    monkeypatch.setattr(made.encoder, "table", lambda: tables.append(table()) or tables[-1])
    rows = as_queries([[1, 2, 3, 4, 5, 6, 7], [4, 5], [7, 8], [9, 1]])
    assert len(by_length(np.diff(rows.offsets), torch.device("cpu"))) == 2
    for steps in (1, 2):
        made.loss(rows)["next"].backward()
        assert len(tables) == steps
    made.eval()
    assert not torch.equal(made.scores(as_queries([[3, 4]])), made.train().scores(as_queries([[3, 4]])))


def test_what_is_asked_counts_beside_what_follows() -> None:
    made = make(request_weight=0.25)
    texts = made.encoder.texts_NW
    table = made.encoder.adaptor(whole(texts))
    queries = as_queries([[1, 2, 3, 4], [5]])
    asked = [F.cosine_similarity(texts[2:5].mean(0)[None], texts), F.cosine_similarity(texts[5][None], texts)]
    expected = [0.25 * asked[b] + 0.75 * followed(made, table, row) for b, row in enumerate(([1, 2, 3, 4], [5]))]
    torch.testing.assert_close(scores(made, queries) * 0.07, torch.stack(expected), rtol=1e-4, atol=1e-4)
    # A request in an item's own words is that item's vector, by the weights that travel with the model.
    expected[1] += 0.25 * (F.cosine_similarity(texts[9][None], texts) - asked[1])
    found = scores(made, replace(queries, requests=["", "film 9"]))
    torch.testing.assert_close(found * 0.07, torch.stack(expected), rtol=1e-4, atol=1e-4)


def test_the_encoder_is_frozen_and_the_rest_learns() -> None:
    made = make(request_weight=0.25, item_ids=True).train()
    made.loss(next(iter(made.batches(0, np.random.default_rng(0)))))["next"].backward()
    assert all(p.grad is not None for p in made.parameters())
    assert {name for name, _ in made.named_buffers()} >= {"encoder.texts_NW", "tuned-head-weight", "tuned-head-bias"}


def test_training_follows_items_that_were_fixed_for_an_evaluation() -> None:
    made = make()
    before = scores(made, as_queries([[1, 2]]))
    next(iter(made.batches(0, np.random.default_rng(0))))
    shake(made, 0.5)
    made.eval()
    assert not torch.equal(scores(made, as_queries([[1, 2]])), before)
