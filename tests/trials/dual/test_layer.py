"""The DALayer against the equations, on all three architectures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from trials.backbones.decoders.decoder_lm import DecoderLM, load_decoder
from trials.dual.inputs import SentenceTokens, Tokens
from trials.dual.layer import BaseLayer, DALayer, FrozenLayer, scenes
from trials.dual.layout import SERIAL, Designs
from trials.nn.ragged import Ragged

ARCHITECTURES = ["random-llama", "random-opt", "random-gpt2"]
HISTORIES = Ragged.of([np.array([0, 2, 1]), np.array([1]), np.array([2, 2])])
W = 5


def setting(name: str) -> tuple[DecoderLM, Tokens]:
    lm = load_decoder(name, None, texts=["red film", "old war book love", "new"])  # type: ignore[arg-type]
    sentences = SentenceTokens(Ragged.of(lm.tokenize(["red film", "old war book love", "new"])), np.array([1]))
    return lm, sentences.sequences(HISTORIES, "cpu")


def make_layer(lm: DecoderLM, designs: Designs = SERIAL, width: int | None = W) -> DALayer:
    torch.manual_seed(0)
    layer = DALayer(lm.parts.layers[0], lm.hidden_size, 4, designs, collaborative_width=width)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return layer


def naive(layer: DALayer, lm: DecoderLM, tokens: Tokens, h: Tensor, e: Tensor | None, second: str) -> Tensor:
    """The equations of section 2.3, sequence by sequence, with dense masks over `1 + T` places."""
    parts = layer.parts
    rotation = lm.parts.rotation(tokens.positions_S)
    x = parts.before_attention(h)
    q, (k, v) = parts.queries(x, rotation), parts.keys_values(x, rotation)
    repeat = q.shape[1] // k.shape[1]
    item_S = torch.repeat_interleave(torch.arange(len(tokens.owner_M)), tokens.items.lengths_M)
    branches: dict[str, list[Tensor]] = {"causal": [], "second": []}
    start = 0
    for b, length in enumerate(tokens.sequences.lengths_M.tolist()):
        rows = slice(start, start + length)
        start += length
        before = torch.ones(length, length, dtype=torch.bool).tril()
        same_item = item_S[rows][:, None] == item_S[rows]
        for branch, mask in (("causal", before), ("second", same_item if second == "context" else before)):
            keys, values, seen = k[rows], v[rows], mask
            if branch == "second" and e is not None:
                c = layer.inject["user"](e[b : b + 1])
                slot_k, slot_v = parts.keys_values(parts.before_attention(c), None)
                keys, values = torch.cat([slot_k, keys]), torch.cat([slot_v, values])
                seen = torch.cat([torch.ones(length, 1, dtype=torch.bool), mask], 1)
            scores = torch.einsum("qhc,khc->hqk", q[rows], keys.repeat_interleave(repeat, 1)) * parts.scale
            weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
            branches[branch].append(torch.einsum("hqk,khc->qhc", weights, values.repeat_interleave(repeat, 1)))

    def adapt(adapter: Any, inner: Tensor, outer: Tensor) -> Tensor:
        def a(z: Tensor) -> Tensor:
            return (z @ adapter.down.weight.T + adapter.down.bias) @ adapter.up.weight.T + adapter.up.bias + z

        return (inner + a(outer)) / 2 if adapter.parallel else a(inner)

    q_out = adapt(layer.causal_adapter, parts.output(torch.cat(branches["causal"]).flatten(1)), x)
    p_out = adapt(layer.context_adapter, parts.output(torch.cat(branches["second"]).flatten(1)), x)
    gate = layer.router.gate
    beta = torch.softmax(torch.cat([q_out, p_out], -1) @ gate.weight.T + gate.bias, -1)
    h = parts.after_attention(h + beta[:, :1] * q_out + beta[:, 1:] * p_out)
    y = parts.before_feed_forward(h)
    return parts.after_feed_forward(h + adapt(layer.recommend_adapter, parts.feed_forward(y), y))


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("second", ["context", "causal"])
@pytest.mark.parametrize("injected", [True, False])
def test_equations(name: str, second: Any, injected: bool) -> None:
    lm, tokens = setting(name)
    layer = make_layer(lm, Designs(False, True, False))
    h = torch.randn(len(tokens.ids_S), lm.hidden_size)
    e = torch.randn(3, W) if injected else None
    inner, last = scenes(tokens, lm.parts, second, e, "user")
    expected = naive(layer, lm, tokens, h, e, second)
    torch.testing.assert_close(layer(h, inner), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(layer(h, last), expected[tokens.read_R], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", range(8))
def test_each_bit_changes_its_own_adapter(bits: int) -> None:
    designs = Designs(bool(bits & 4), bool(bits & 2), bool(bits & 1))
    lm, tokens = setting("random-llama")
    layer = make_layer(lm, designs)
    assert (layer.causal_adapter.parallel, layer.context_adapter.parallel, layer.recommend_adapter.parallel) == designs
    h, e = torch.randn(len(tokens.ids_S), lm.hidden_size), torch.randn(3, W)
    inner, _ = scenes(tokens, lm.parts, "context", e, "user")
    torch.testing.assert_close(layer(h, inner), naive(layer, lm, tokens, h, e, "context"), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_causal_branch_alone_is_the_backbones_layer(name: str) -> None:
    """Identity adapters and a router that takes the causal branch leave the frozen layer as it is."""
    lm, tokens = setting(name)
    layer = make_layer(lm)
    for adapter in (layer.causal_adapter, layer.context_adapter, layer.recommend_adapter):
        torch.nn.init.zeros_(adapter.up.weight)
        torch.nn.init.zeros_(adapter.up.bias)
    torch.nn.init.zeros_(layer.router.gate.weight)
    layer.router.gate.bias.data = torch.tensor([1e4, 0.0])
    h = torch.randn(len(tokens.ids_S), lm.hidden_size)
    inner, _ = scenes(tokens, lm.parts, "context", torch.randn(3, W), "user")
    torch.testing.assert_close(layer(h, inner), FrozenLayer(layer.parts)(h, inner), atol=1e-5, rtol=1e-5)


def test_base_layer_has_an_adapter_after_each_sublayer() -> None:
    lm, tokens = setting("random-llama")
    torch.manual_seed(0)
    layer = BaseLayer(lm.parts.layers[0], lm.hidden_size, 4)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    h = torch.randn(len(tokens.ids_S), lm.hidden_size)
    inner, _ = scenes(tokens, lm.parts, None, None, "user")
    parts, frozen = layer.parts, FrozenLayer(layer.parts)
    attention = []
    frozen.relate = lambda inner_RD: attention.append(inner_RD) or inner_RD  # type: ignore[method-assign,func-returns-value]
    frozen(h, inner)
    middle = h + layer.attention_adapter(attention[0])
    expected = middle + layer.feed_forward_adapter(parts.feed_forward(parts.before_feed_forward(middle)))
    torch.testing.assert_close(layer(h, inner), expected, atol=1e-5, rtol=1e-5)


def test_users_and_items_are_injected_through_projections_of_their_own() -> None:
    lm, tokens = setting("random-llama")
    layer = make_layer(lm)
    h, e = torch.randn(len(tokens.ids_S), lm.hidden_size), torch.randn(3, W)
    user, _ = scenes(tokens, lm.parts, "context", e, "user")
    item, _ = scenes(tokens, lm.parts, "context", e, "item")
    assert not torch.allclose(layer(h, user), layer(h, item))
    layer.inject["item"].load_state_dict(layer.inject["user"].state_dict())
    torch.testing.assert_close(layer(h, user), layer(h, item))


def test_share_of_the_causal_branch_is_counted_in_evaluation_only() -> None:
    lm, tokens = setting("random-llama")
    layer = make_layer(lm)
    torch.nn.init.zeros_(layer.router.gate.weight)
    layer.router.gate.bias.data = torch.tensor([np.log(3.0), 0.0], dtype=torch.float32)
    inner, _ = scenes(tokens, lm.parts, "context", torch.randn(3, W), "user")
    h = torch.randn(len(tokens.ids_S), lm.hidden_size)
    layer(h, inner)
    assert layer.causal_share() is None
    layer.eval()
    layer(h, inner)
    layer(h, inner)
    assert layer.causal_share() == pytest.approx(0.75)
    layer.forget_share()
    assert layer.causal_share() is None
