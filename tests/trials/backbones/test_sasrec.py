from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from trials.backbones.histories import pad_right
from trials.backbones.sasrec import SASRecEncoder, SASRecLayer
from trials.backbones.transformer import LAYER_NORM_EPS


def encoder(**sizes: int) -> SASRecEncoder:
    torch.manual_seed(0)
    made = {"max_length": 6, "num_layers": 2, "num_heads": 2, "hidden_size": 8, "inner_size": 12, **sizes}
    return SASRecEncoder(10, dropout=0.5, **made).eval()


def test_rows_are_padded_on_the_right() -> None:
    items_BL, lengths_B = pad_right(np.array([4, 5, 6, 7], dtype=np.int32), np.array([0, 1, 1, 4]))
    assert items_BL.tolist() == [[4, 0, 0], [0, 0, 0], [5, 6, 7]]
    assert lengths_B.tolist() == [1, 0, 3]


def test_a_layer_equals_torchs_own_with_the_same_weights() -> None:
    torch.manual_seed(1)
    layer = SASRecLayer(8, 2, 12, 0.5).eval()
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    reference = nn.TransformerEncoderLayer(
        8, 2, 12, activation="gelu", batch_first=True, layer_norm_eps=LAYER_NORM_EPS
    ).eval()
    parts = (layer.query, layer.key, layer.value)
    reference.load_state_dict(
        {
            "self_attn.in_proj_weight": torch.cat([part.weight for part in parts]),
            "self_attn.in_proj_bias": torch.cat([part.bias for part in parts]),
            "self_attn.out_proj.weight": layer.output.weight,
            "self_attn.out_proj.bias": layer.output.bias,
            "linear1.weight": layer.inner.weight,
            "linear1.bias": layer.inner.bias,
            "linear2.weight": layer.outer.weight,
            "linear2.bias": layer.outer.bias,
            "norm1.weight": layer.attention_norm.weight,
            "norm1.bias": layer.attention_norm.bias,
            "norm2.weight": layer.feed_forward_norm.weight,
            "norm2.bias": layer.feed_forward_norm.bias,
        }
    )
    states_BLD = torch.randn(3, 5, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    torch.testing.assert_close(layer(states_BLD), reference(states_BLD, src_mask=mask, is_causal=True))


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
