from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from trials.backbones.bert4rec import BERT4RecEncoder
from trials.backbones.transformer import LAYER_NORM_EPS, TransformerLayer
from trials.data.dataset import Queries


def encoder(**sizes: Any) -> BERT4RecEncoder:
    torch.manual_seed(0)
    made = {"max_length": 6, "num_layers": 2, "num_heads": 2, "hidden_size": 8, "inner_size": 12, **sizes}
    model = BERT4RecEncoder(10, dropout=0.5, **made).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def queries(histories: list[list[int]]) -> Queries:
    offsets = np.concatenate([[0], np.cumsum([len(history) for history in histories])])
    return Queries(np.full(len(histories), -1), np.array(list(chain(*histories)), dtype=np.int32), offsets)


def test_a_layer_equals_torchs_own_with_the_same_weights_where_places_are_real() -> None:
    torch.manual_seed(1)
    layer = TransformerLayer(8, 2, 12, 0.5, causal=False).eval()
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
    states_BLD = torch.randn(3, 5, 8, requires_grad=True)  # with a gradient, torch takes its plain path
    real_BL = torch.arange(5) < torch.tensor([5, 1, 3])[:, None]
    found, expected = layer(states_BLD, visible_BL=real_BL), reference(states_BLD, src_key_padding_mask=~real_BL)
    torch.testing.assert_close(found[real_BL], expected[real_BL])


def test_a_state_depends_on_all_real_places_and_on_no_padding() -> None:
    model = encoder()
    items_BL, lengths_B = torch.tensor([[1, 2, 3, 4, 0, 0]]), torch.tensor([4])
    states = model(items_BL, lengths_B)[0, :4]
    for place in range(6):
        changed = items_BL.clone()
        changed[0, place] = 9
        difference = (model(changed, lengths_B)[0, :4] - states).abs().amax(dim=-1)
        assert bool((difference > 0).all()) == (place < 4)
        assert bool((difference == 0).all()) == (place >= 4)


def test_a_hidden_item_is_not_seen() -> None:
    model = encoder()
    lengths_B, hidden_BL = torch.tensor([4]), torch.tensor([[False, True, False, False]])
    one = model(torch.tensor([[1, 2, 3, 4]]), lengths_B, hidden_BL)
    other = model(torch.tensor([[1, 7, 3, 4]]), lengths_B, hidden_BL)
    assert torch.equal(one, other)
    assert not torch.allclose(one, model(torch.tensor([[1, 2, 3, 4]]), lengths_B))


def test_the_next_item_is_scored_at_a_hidden_place_after_the_history() -> None:
    model = encoder()
    found_BD = model.encode(queries([[1, 2, 3]]))
    hidden_BL = torch.tensor([[False, False, False, True]])
    states_BLD = model(torch.tensor([[1, 2, 3, 5]]), torch.tensor([4]), hidden_BL)
    torch.testing.assert_close(found_BD[0], model.predict(states_BLD[0, 3]))


def test_a_history_is_encoded_alike_whatever_stands_beside_it() -> None:
    model = encoder()
    histories: list[list[int]] = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9]]
    together_BD = model.encode(queries(histories))
    for b, history in enumerate(histories):
        torch.testing.assert_close(model.encode(queries([history]))[0], together_BD[b])


def test_the_latest_items_are_read_and_one_place_is_kept_for_the_token() -> None:
    model = encoder()
    long, short = model.encode(queries([[9, 8, 7, 1, 2, 3, 4, 5]])), model.encode(queries([[1, 2, 3, 4, 5]]))
    assert torch.equal(long, short)
    states_BLD, lengths_B = model.states(queries([[9, 8, 0, 1, 2, 3, 4, 5], [4]]))
    assert states_BLD.shape == (2, 6, 8)
    assert lengths_B.tolist() == [6, 1]


def test_states_of_an_empty_history_are_refused() -> None:
    with pytest.raises(ValueError, match="an empty history has no states"):
        encoder().states(queries([[1], []]))


def test_scores_are_inner_products_with_the_item_table_and_a_bias() -> None:
    model = encoder()
    state = torch.randn(8)
    expected = [
        float(state @ item + bias)
        for item, bias in zip(model.item_embedding.weight.detach(), model.item_bias.detach(), strict=True)
    ]
    torch.testing.assert_close(model.item_scores(state[None])[0].detach(), torch.tensor(expected))


def test_layers_have_the_names_of_sasrecs() -> None:
    from trials.backbones.sasrec import SASRecLayer

    ours = {name for name, _ in encoder().layers[0].named_parameters()}
    assert ours == {name for name, _ in SASRecLayer(8, 2, 12, 0.5).named_parameters()}
