from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from by_hand import Folder

from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.decoders.low_rank import LowRankAdapters
from trials.backbones.decoders.packed_run import run_decoder


@pytest.mark.parametrize("name", ["random-llama", "random-opt", "random-gpt2"])
def test_updates_are_those_of_the_weights_and_the_shared_decoder_stays_as_it_is(name: str) -> None:
    lm = load_decoder(name, Folder(), texts=["red blue old new"])
    torch.manual_seed(0)
    adapters = LowRankAdapters(lm, rank=2, alpha=6.0, dropout=0.0)
    lengths, last = np.array([3, 2]), np.array([2, 4])
    states = lm.parts.embed(torch.tensor([1, 2, 3, 4, 1]))
    adapted = dataclasses.replace(lm, parts=adapters.attach(lm.parts))
    before = run_decoder(lm, states, lengths, last, np.ones_like(last))
    torch.testing.assert_close(run_decoder(adapted, states, lengths, last, np.ones_like(last)), before)
    for update in (*adapters.queries, *adapters.values):
        torch.nn.init.normal_(update.up.weight)
    found = run_decoder(adapted, states, lengths, last, np.ones_like(last))

    model = copy.deepcopy(lm.parts.model)
    blocks = model.h if name == "random-gpt2" else model.layers
    with torch.no_grad():
        for block, query, value in zip(blocks, adapters.queries, adapters.values, strict=True):
            deltas = [3.0 * part.up.weight @ part.down.weight for part in (query, value)]
            if name == "random-gpt2":  # one matrix, inputs in rows
                width = lm.hidden_size
                block.attn.c_attn.weight[:, :width] += deltas[0].T
                block.attn.c_attn.weight[:, 2 * width :] += deltas[1].T
            else:
                block.self_attn.q_proj.weight += deltas[0]
                block.self_attn.v_proj.weight += deltas[1]
    merged = dataclasses.replace(lm, parts=type(lm.parts)(model if name != "random-opt" else _Holder(model)))
    torch.testing.assert_close(found, run_decoder(merged, states, lengths, last, np.ones_like(last)))
    assert not torch.allclose(found, before, atol=1e-3)
    torch.testing.assert_close(run_decoder(lm, states, lengths, last, np.ones_like(last)), before)


@pytest.mark.parametrize("name", ["random-llama", "random-opt", "random-gpt2"])
def test_a_decoder_of_bfloat16_is_adapted_at_its_own_sizes(name: str) -> None:
    texts = ["red blue old new"]
    whole, half = (load_decoder(name, Folder(), dtype=dtype, texts=texts) for dtype in ("float32", "bfloat16"))
    sizes = [
        [(update.up.out_features, update.down.in_features) for update in (*made.queries, *made.values)]
        for made in (LowRankAdapters(lm, rank=2, alpha=6.0, dropout=0.0) for lm in (whole, half))
    ]
    assert sizes[0] == sizes[1]


class _Holder:
    """OPT's parts are those of the decoder within a model."""

    def __init__(self, decoder: object) -> None:
        self.decoder = decoder
