"""What the second attention of a DALayer costs: `python tests/benchmarks/dalayer.py [--threads 1] [--repeats 15]`.

Times forward + backward of one layer on packed tokens, at the sizes of SmolLM2-135M (hidden 576), batch 8, 10 to 20
items of 12 to 30 tokens. Three forms run in turn, so that a busy machine slows all alike; medians are compared:

* one:    the same frozen layer with one causal attention; both relation adapters, the router and the recommendation
          adapter are there as well, fed from that one attention;
* ours:   the DALayer, whose second attention shares the projections and works item by item;
* naive:  two whole attentions over the padded sequence, each with projections of its own and a dense mask.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoModel, LlamaConfig

from trials.backbones.decoders.parts import DecoderParts, LlamaParts
from trials.dual.inputs import SentenceTokens, Tokens
from trials.dual.layer import DALayer, Scene, scenes
from trials.dual.layout import SERIAL
from trials.nn.attention import attend
from trials.nn.ragged import Ragged

BATCH, ITEMS, WORDS, CF_WIDTH, BOTTLENECK = 8, (10, 20), (12, 30), 128, 64


class OneAttention(DALayer):
    """The DALayer with its second attention taken out: both branches get the causal one's output."""

    def forward(self, h_SD: Tensor, scene: Scene) -> Tensor:
        parts = self.parts
        x_SD = parts.before_attention(h_SD)
        q_SHC = parts.queries(x_SD, scene.rotation)
        k_SGC, v_SGC = parts.keys_values(x_SD, scene.rotation)
        inner_SD = parts.output(attend(q_SHC, k_SGC, v_SGC, scene.causal, parts.scale))
        q_SD = self.causal_adapter.attach(inner_SD, x_SD)
        p_SD = self.context_adapter.attach(inner_SD, x_SD)
        mixed_SD, _ = self.router(q_SD, p_SD)
        h_SD = parts.after_attention(h_SD + mixed_SD)
        y_SD = parts.before_feed_forward(h_SD)
        return parts.after_feed_forward(h_SD + self.recommend_adapter.attach(parts.feed_forward(y_SD), y_SD))


class Naive(DALayer):
    """Two attentions over the whole padded sequence with dense masks; the collaborative vector is column 0 of both."""

    def forward(self, h_SD: Tensor, scene: Scene) -> Tensor:
        parts = self.parts
        blocks = scene.causal.queries
        x_SD = parts.before_attention(h_SD)
        q_SD = self.causal_adapter.attach(self._attention(x_SD, scene, self.causal_mask), x_SD)
        p_SD = self.context_adapter.attach(self._attention(x_SD, scene, self.context_mask), x_SD)
        assert blocks.shape[0] == BATCH
        mixed_SD, _ = self.router(q_SD, p_SD)
        h_SD = parts.after_attention(h_SD + mixed_SD)
        y_SD = parts.before_feed_forward(h_SD)
        return parts.after_feed_forward(h_SD + self.recommend_adapter.attach(parts.feed_forward(y_SD), y_SD))

    def _attention(self, x_SD: Tensor, scene: Scene, mask: Tensor) -> Tensor:
        parts, blocks = self.parts, scene.causal.queries
        q_SHC = parts.queries(x_SD, scene.rotation)
        k_SGC, v_SGC = parts.keys_values(x_SD, scene.rotation)
        slot = self.slot(scene)
        assert slot is not None
        q, k, v = blocks.spread(q_SHC), blocks.spread(k_SGC), blocks.spread(v_SGC)
        k = torch.cat([slot.keys_VGC.unsqueeze(1), k], 1).repeat_interleave(q.shape[2] // k.shape[2], 2)
        v = torch.cat([slot.values_VGC.unsqueeze(1), v], 1).repeat_interleave(q.shape[2] // v.shape[2], 2)
        scores = torch.einsum("bqhc,bkhc->bhqk", q, k) * parts.scale
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1)
        return parts.output(blocks.pack(torch.einsum("bhqk,bkhc->bqhc", weights, v)).flatten(1))

    def set_masks(self, tokens: Tokens) -> None:
        """Dense masks `[B, T, 1 + T]` from the equations of section 2.3.1."""
        item_S = torch.repeat_interleave(torch.arange(len(tokens.owner_M)), tokens.items.lengths_M)
        valid = tokens.sequences.valid_MT
        rows, width = tokens.sequences.shape
        valid = torch.ones(rows, width, dtype=torch.bool) if valid is None else valid
        item_BT = tokens.sequences.spread(item_S)
        same = (item_BT[:, :, None] == item_BT[:, None, :]) & valid[:, None, :]
        before = torch.ones(width, width, dtype=torch.bool).tril() & valid[:, None, :]
        self.causal_mask = F.pad(before, (1, 0), value=False)
        self.context_mask = F.pad(same, (1, 0), value=True)


def measure(steps: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each, run in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for repeat in range(repeats + 2):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if repeat >= 2:  # the first two rounds warm up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def setting(seed: int) -> tuple[DecoderParts, Tokens]:
    """A random SmolLM2-like layer and packed sequences."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=1,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        bos_token_id=None,
        eos_token_id=None,
    )
    parts = LlamaParts(AutoModel.from_config(config).eval().requires_grad_(False))
    sentences = Ragged.of([rng.integers(1000, size=rng.integers(WORDS[0], WORDS[1] + 1)) for _ in range(500)])
    histories = Ragged.of([rng.integers(500, size=rng.integers(ITEMS[0], ITEMS[1] + 1)) for _ in range(BATCH)])
    return parts, SentenceTokens(sentences, np.zeros(0, dtype=np.int64)).sequences(histories, "cpu")


def main() -> None:
    """Print tokens, milliseconds and ratios."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=15)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    parts, tokens = setting(0)
    width = 576
    layers: dict[str, DALayer] = {}
    for name, kind in {"one": OneAttention, "ours": DALayer, "naive": Naive}.items():
        torch.manual_seed(1)
        layers[name] = kind(parts.layers[0], width, BOTTLENECK, SERIAL, collaborative_width=CF_WIDTH)
        for parameter in layers[name].parameters():
            nn.init.normal_(parameter, std=0.05)  # off the quiet start, so that comparing outputs compares every part
    naive = layers["naive"]
    assert isinstance(naive, Naive)
    naive.set_masks(tokens)
    states_SD = torch.randn(len(tokens.ids_S), width)
    collaborative_BW = nn.Parameter(torch.randn(BATCH, CF_WIDTH))
    weights_SD = torch.randn_like(states_SD)

    def step(layer: DALayer) -> Tensor:
        h_SD = states_SD.requires_grad_()
        scene, _ = scenes(tokens, parts, "context", collaborative_BW, "user")
        out_SD: Tensor = layer(h_SD, scene)
        (out_SD * weights_SD).sum().backward()  # type: ignore[no-untyped-call]
        h_SD.grad = None
        return out_SD.detach()

    difference = float((step(layers["ours"]) - step(naive)).abs().max())
    assert difference < 1e-4, f"ours and the naive form differ by {difference}"
    seconds = measure({name: lambda layer=layer: step(layer) for name, layer in layers.items()}, chosen.repeats)
    print(f"{len(tokens.ids_S)} tokens, {len(tokens.owner_M)} items, {BATCH} sequences, {chosen.threads} threads")
    print(f"ours and naive differ by at most {difference:.1e}")
    for name, value in seconds.items():
        print(f"{name:>6}: {1e3 * value:7.1f} ms   {value / seconds['one']:.3f} of one attention")


if __name__ == "__main__":
    main()
