from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from method_cases import CASES, Bench, as_queries, scores, with_histories

from trials.data.preparing.dataset import SearchData
from trials.itemknn import ItemKNNConfig, model
from trials.itemknn.model import find


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SearchData:
    root = tmp_path_factory.mktemp("itemknn")
    return Bench(CASES["itemknn"], root).start(root / "trial").data


def slow(data: SearchData, history: list[int], config: ItemKNNConfig) -> list[float]:
    """The papers' two steps, pair by pair."""
    users = [{u for u in range(data.num_users) if n in data.history(u)} for n in range(data.num_items)]
    total = [0.0] * data.num_items
    for i in history:
        near = {
            j: len(users[i] & users[j]) / (math.sqrt(len(users[i]) * len(users[j])) + config.shrinkage)
            for j in range(data.num_items)
            if j != i and users[i] & users[j]
        }
        kept = sorted(near, key=lambda j: (-near[j], j))[: config.neighbours]
        whole = sum(near[j] for j in kept) if config.normalise else 1.0
        for j in kept:
            total[j] += near[j] / whole
    return total


@pytest.mark.parametrize("values", [{}, {"neighbours": 3}, {"neighbours": 3, "shrinkage": 0.0, "normalise": True}])
def test_scores_equal_a_slow_count(data: SearchData, values: dict[str, object]) -> None:
    config = ItemKNNConfig.model_validate(values)
    found_BN = scores(find(config, data), as_queries([[5, 2, 9], [11]], [0, 1]))
    assert found_BN[0].tolist() == pytest.approx(slow(data, [5, 2, 9], config), rel=1e-5)
    assert found_BN[1].tolist() == pytest.approx(slow(data, [11], config), rel=1e-5)


def test_neighbours_found_block_by_block_are_the_same(data: SearchData, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = find(ItemKNNConfig(), data)
    monkeypatch.setattr(model, "CELLS", 3 * data.num_items)
    blocks = find(ItemKNNConfig(), data)
    assert torch.equal(blocks.items_NK, whole.items_NK)
    assert torch.equal(blocks.similarities_NK, whole.similarities_NK)


def test_repeated_interactions_count_once_in_similarities(data: SearchData) -> None:
    once, often = (find(ItemKNNConfig(), with_histories(data, [[0, 1], again])) for again in ([1, 2], [1, 2, 2, 1, 1]))
    assert torch.equal(once.similarities_NK, often.similarities_NK)


def test_an_empty_history_has_no_neighbours(data: SearchData) -> None:
    found_BN = scores(find(ItemKNNConfig(), data), as_queries([np.zeros(0, int), [3]], [0, 1]))
    assert (found_BN[0] == 0).all()
    assert found_BN[1].max() > 0
