from __future__ import annotations

import torch
from torch import nn

from trials.backbones.recommenders.masks import Gates, LayerMasks
from trials.backbones.recommenders.transformer import LAYER_NORM_EPS, TransformerLayer, initialise, open_units


def both(*, causal: bool) -> tuple[TransformerLayer, nn.TransformerEncoderLayer]:
    """A layer, and torch's own with the same weights."""
    torch.manual_seed(1)
    layer = TransformerLayer(8, 2, 12, 0.5, causal=causal).eval()
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
    return layer, reference


def test_a_causal_layer_equals_torchs_own() -> None:
    layer, reference = both(causal=True)
    states_BLD = torch.randn(3, 5, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    torch.testing.assert_close(layer(states_BLD), reference(states_BLD, src_mask=mask, is_causal=True))


def test_a_layer_that_looks_both_ways_equals_torchs_own_where_places_are_real() -> None:
    layer, reference = both(causal=False)
    states_BLD = torch.randn(3, 5, 8, requires_grad=True)  # with a gradient, torch takes its plain path
    real_BL = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]
    found, expected = layer(states_BLD, visible_BL=real_BL), reference(states_BLD, src_key_padding_mask=~real_BL)
    torch.testing.assert_close(found[real_BL], expected[real_BL])


def moved(layer: TransformerLayer) -> float:
    """How far a layer's states move, on average, when a quarter of the inner units is shut."""
    torch.manual_seed(3)
    states_BLD = nn.functional.layer_norm(torch.randn(50, 4, 64), (64,))
    shut_BI = (torch.rand(50, 256) > 0.25).float()
    with torch.no_grad():
        masked_BLD = layer(states_BLD, LayerMasks(outer=Gates(columns_BI=shut_BI)))
        return float((masked_BLD - layer(states_BLD)).norm(dim=-1).mean())


def test_open_units_leave_states_as_they_are_until_a_mask_shuts_one() -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(64, 2, 256, 0.0, causal=True).apply(initialise).eval()
    states_BLD = nn.functional.layer_norm(torch.randn(50, 4, 64), (64,))
    with torch.no_grad():
        before_BLD = layer(states_BLD)
    closed = moved(layer)
    open_units(nn.ModuleList([layer]), 0.1)
    with torch.no_grad():
        # A state's length is 8.
        assert float((layer(states_BLD) - before_BLD).norm(dim=-1).mean()) < 3
    assert closed < 0.5
    assert moved(layer) > 4
