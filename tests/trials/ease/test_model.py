from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from method_cases import CASES, Bench, as_queries, scores

from searchplat.errors import InputError
from trials.data.preparing.dataset import SearchData
from trials.ease import EASEConfig
from trials.ease.model import MOST_ITEMS, solve


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SearchData:
    root = tmp_path_factory.mktemp("ease")
    return Bench(CASES["ease"], root).start(root / "trial").data


def met(data: SearchData) -> np.ndarray:
    found_UN = np.zeros((data.num_users, data.num_items))
    for user in range(data.num_users):
        found_UN[user, data.history(user)] = 1
    return found_UN


def test_weights_are_the_least_squares_without_an_item_for_itself(data: SearchData) -> None:
    # Column by column: the ridge regression of an item on all others, which is what the closed form solves at once.
    weights_NN = solve(EASEConfig(l2=20.0), data).weights_NN.numpy()
    met_UN = met(data)
    for item in range(data.num_items):
        others = [n for n in range(data.num_items) if n != item]
        A, b = met_UN[:, others], met_UN[:, item]
        expected = np.linalg.solve(A.T @ A + 20.0 * np.eye(len(others)), A.T @ b)
        np.testing.assert_allclose(weights_NN[others, item], expected, atol=1e-6)
        assert weights_NN[item, item] == 0


def test_scores_add_up_the_weights_of_a_history_each_item_once(data: SearchData) -> None:
    model = solve(EASEConfig(), data)
    found_BN = scores(model, as_queries([[4, 4, 9], np.zeros(0, int), [7]], [0, 1, 2]))
    torch.testing.assert_close(found_BN[0], model.weights_NN[4] + model.weights_NN[9])
    assert (found_BN[1] == 0).all()
    torch.testing.assert_close(found_BN[2], model.weights_NN[7])


def test_too_many_items_are_refused_before_memory_is_asked_for(data: SearchData) -> None:
    with pytest.raises(InputError, match="at most 40,000 items"):
        solve(EASEConfig(), replace(data, num_items=MOST_ITEMS + 1))
