from __future__ import annotations

from typing import Any

import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from torch import nn

from trials.gru4rec import GRU4RecConfig
from trials.gru4rec.model import GRU4RecModel

TINY: dict[str, Any] = {"max_length": 4, "embedding_size": 6, "hidden_size": 8, "batch_size": 3, "dropout": 0.0}


def make(**settings: Any) -> GRU4RecModel:
    torch.manual_seed(0)
    return GRU4RecModel(GRU4RecConfig(**{**TINY, **settings}), search_data([range(5)], 20))


@pytest.mark.parametrize("num_layers", [1, 2])
def test_loss_and_scores_are_those_of_stepping_a_cell_by_hand(num_layers: int) -> None:
    made = make(num_layers=num_layers)
    encoder = made.encoder
    cells = []
    for layer in range(num_layers):
        cell = nn.GRUCell(6 if layer == 0 else 8, 8, bias=False)
        cell.weight_ih.data = getattr(encoder.gru, f"weight_ih_l{layer}").data
        cell.weight_hh.data = getattr(encoder.gru, f"weight_hh_l{layer}").data
        cells.append(cell)
    rows = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11]]
    losses = []
    for row in rows:
        states = [torch.zeros(1, 8) for _ in cells]
        for place, item in enumerate(row[:-1]):
            x = encoder.item_embedding.weight[item][None]
            for layer, cell in enumerate(cells):
                x = states[layer] = cell(x, states[layer])
            scores_N = (encoder.dense(x) @ encoder.item_embedding.weight.T)[0]
            losses.append(torch.logsumexp(scores_N, dim=0) - scores_N[row[place + 1]])
            torch.testing.assert_close(made.scores(as_queries([row[: place + 1]]))[0], scores_N)
    torch.testing.assert_close(made.loss(as_queries(rows))["next"], torch.stack(losses).mean())


def test_only_the_latest_items_are_read() -> None:
    made = make().eval()
    long, short = as_queries([[9, 9, 9, 1, 2, 3, 4], [5, 6]]), as_queries([[1, 2, 3, 4], [5, 6]])
    assert torch.equal(made.scores(long), made.scores(short))


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="GRU4Rec scores what follows an item"):
        make().scores(as_queries([[1], []]))


def test_defaults_are_those_of_recbole() -> None:
    config = GRU4RecConfig()
    assert (config.embedding_size, config.hidden_size, config.num_layers, config.dropout) == (64, 128, 1, 0.3)
    assert (config.max_length, config.learning_rate, config.weight_decay, config.schedule) == (50, 1e-3, 0, "constant")
