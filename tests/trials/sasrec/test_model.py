from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries

from trials.sasrec import SASRecConfig
from trials.sasrec.model import SASRecModel

TINY: dict[str, Any] = {"max_length": 4, "hidden_size": 8, "inner_size": 8, "batch_size": 3, "dropout": 0.0}


def make(lengths: list[int], **settings: Any) -> SASRecModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in lengths], num_items=30)
    torch.manual_seed(0)
    return SASRecModel(SASRecConfig(**{**TINY, **settings}), data)


def test_an_epoch_visits_every_window_in_an_order_of_its_own() -> None:
    made = make([9, 3, 6, 2])
    epochs = [list(made.batches(epoch, np.random.default_rng(epoch))) for epoch in range(2)]
    rows = [sorted(tuple(b.history(i)) for b in batches for i in range(len(b))) for batches in epochs]
    assert rows[0] == rows[1]
    assert len(epochs[0]) == made.num_batches() == 2
    assert any((a.items.shape != b.items.shape) or (a.items != b.items).any() for a, b in zip(*epochs, strict=True))


def test_the_loss_is_the_mean_cross_entropy_of_every_next_item() -> None:
    made = make([5])
    rows = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11]]
    expected = []
    for row in rows:
        for cut in range(1, len(row)):
            with torch.no_grad():
                scores_N = made.scores(as_queries([row[:cut]]))[0].double().numpy()
            expected.append(math.log(np.exp(scores_N).sum()) - scores_N[row[cut]])
    assert made.loss(as_queries(rows))["next"].item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_only_the_latest_items_are_read() -> None:
    made = make([5]).eval()
    long, short = as_queries([[9, 9, 9, 1, 2, 3, 4], [5, 6]]), as_queries([[1, 2, 3, 4], [5, 6]])
    assert torch.equal(made.scores(long), made.scores(short))


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="a history is empty; leave such queries out"):
        make([5]).scores(as_queries([[1], []]))


def test_without_a_sequence_of_two_items_there_is_nothing_to_train_on() -> None:
    made = make([1, 1])
    assert made.num_batches() == 0
    assert list(made.batches(0, np.random.default_rng(0))) == []
