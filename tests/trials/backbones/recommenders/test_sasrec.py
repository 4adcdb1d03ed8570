from __future__ import annotations

import numpy as np
import pytest
import torch

from trials.backbones.recommenders.histories import pad_right
from trials.backbones.recommenders.sasrec import SASRecEncoder


def encoder(**sizes: int) -> SASRecEncoder:
    torch.manual_seed(0)
    made = {"max_length": 6, "num_layers": 2, "num_heads": 2, "hidden_size": 8, "inner_size": 12, **sizes}
    return SASRecEncoder(10, dropout=0.5, **made).eval()


def test_rows_are_padded_on_the_right() -> None:
    items_BL, lengths_B = pad_right(np.array([4, 5, 6, 7], dtype=np.int32), np.array([0, 1, 1, 4]))
    assert items_BL.tolist() == [[4, 0, 0], [0, 0, 0], [5, 6, 7]]
    assert lengths_B.tolist() == [1, 0, 3]


@pytest.mark.parametrize("place", range(6))
def test_a_state_depends_on_items_up_to_its_place_only(place: int) -> None:
    model = encoder()
    items_BL = torch.tensor([[1, 2, 3, 4, 5, 6]])
    changed = items_BL.clone()
    changed[0, place] = 9
    same = (model(items_BL) - model(changed)).abs().amax(dim=-1)[0]
    assert (same[:place] == 0).all()
    assert (same[place:] > 0).all()


def test_the_order_of_items_matters() -> None:
    model = encoder()
    one, other = model(torch.tensor([[1, 2, 3]])), model(torch.tensor([[2, 1, 3]]))
    assert not torch.allclose(one[:, -1], other[:, -1])


def test_scores_are_inner_products_with_the_item_table() -> None:
    model = encoder()
    states_BD = torch.randn(2, 8)
    expected = [[float(state @ item) for item in model.item_embedding.weight.detach()] for state in states_BD]
    torch.testing.assert_close(model.item_scores(states_BD).detach(), torch.tensor(expected))


def test_weights_start_as_in_recbole() -> None:
    model = encoder(hidden_size=64, inner_size=256)
    weights = torch.cat([layer.inner.weight.flatten() for layer in model.layers])
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.05)
    assert not any(layer.inner.bias.any() for layer in model.layers)
