"""The forward pass of a frozen decoder over packed embeddings that a method made: words among virtual tokens.

Shape letters: `S` tokens of all sequences, `B` sequences, `R` tokens whose states are wanted, `D` width.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.parts import DecoderParts, LayerParts, Rotation
from trials.backbones.decoders.whole_run import WholeDecoder
from trials.data.preparing.dataset import IntArray
from trials.nn.attention import Plan, attend, causal_plan, causal_read_plan
from trials.nn.blocks import Blocks


def run_decoder(lm: DecoderLM, states_SD: Tensor, lengths_B: IntArray, read_R: IntArray, reads_B: IntArray) -> Tensor:
    """Last hidden states `[R, D]` of the wanted tokens, after the final norm; gradients reach the embeddings.

    In the last layer only the wanted tokens get queries, outputs and feed-forward: nothing looks at the others.

    Args:
        lm: Frozen; of an architecture in `ARCHITECTURES`, or whole.
        states_SD: Embeddings without positions, sequences one after the other, without padding.
        lengths_B: Tokens of each sequence, >= 1.
        read_R: Flat index of each wanted token, sequence by sequence, ascending.
        reads_B: How many of them each sequence has, >= 1.
    """
    device = states_SD.device
    sequences = Blocks.of(lengths_B, device)
    rows_R = torch.from_numpy(np.asarray(read_R, dtype=np.int64)).to(device)
    if isinstance(lm.parts, WholeDecoder):
        states_BTD = lm.parts.run(sequences.spread(states_SD), sequences.valid_MT)
        return sequences.pack(states_BTD).index_select(0, rows_R)
    inner, last = causal_plan(sequences), causal_read_plan(sequences, Blocks.of(reads_B, device), rows_R)
    return run_planned(lm.parts, states_SD, _positions(lengths_B, device), inner, last, rows_R)


def run_planned(
    parts: DecoderParts, states_SD: Tensor, positions_S: Tensor, inner: Plan | None, last: Plan, rows_R: Tensor
) -> Tensor:
    """As `run_decoder`, with positions and masks of the caller's own.

    Args:
        parts: Of a decoder that is taken apart.
        states_SD: Embeddings without positions.
        positions_S: Position of each token.
        inner: Who sees whom in all layers but the last; None if there is one layer.
        last: Who is seen by the wanted tokens in the last one.
        rows_R: Flat index of each wanted token.
    """
    rotation = parts.rotation(positions_S)
    h_SD = parts.add_positions(states_SD, positions_S)
    for layer in parts.layers[:-1]:
        assert inner is not None
        h_SD = _layer(layer, h_SD, h_SD, inner, rotation, rotation, None)
    rotation_R = None if rotation is None else (rotation[0][rows_R], rotation[1][rows_R])
    last_RD = _layer(parts.layers[-1], h_SD, h_SD.index_select(0, rows_R), last, rotation, rotation_R, rows_R)
    return parts.final_norm(last_RD)


def run_first_layers(lm: DecoderLM, ids_S: IntArray, lengths_B: IntArray, count: int) -> Tensor:
    """States `[S, D]` of all tokens behind the first `count` layers, without the final norm.

    Args:
        lm: Frozen, of an architecture in `ARCHITECTURES`.
        ids_S: Token ids, sequences one after the other, without padding.
        lengths_B: Tokens of each sequence, >= 1.
        count: >= 1.
    """
    parts = lm.parts
    positions_S = _positions(lengths_B, lm.device)
    h_SD = parts.embed(torch.from_numpy(np.asarray(ids_S, dtype=np.int64)).to(lm.device)).float()
    h_SD = parts.add_positions(h_SD, positions_S)
    rotation, plan = parts.rotation(positions_S), causal_plan(Blocks.of(lengths_B, lm.device))
    for layer in parts.layers[:count]:
        h_SD = _layer(layer, h_SD, h_SD, plan, rotation, rotation, None)
    return h_SD


def _positions(lengths_B: IntArray, device: torch.device) -> Tensor:
    """Position of each token in its sequence, from 0."""
    starts_B = np.cumsum(lengths_B) - lengths_B
    places_S = np.arange(int(lengths_B.sum())) - np.repeat(starts_B, lengths_B)
    return torch.from_numpy(places_S.astype(np.int64)).to(device)


def _layer(
    layer: LayerParts,
    h_SD: Tensor,
    h_RD: Tensor,
    plan: Plan,
    rotation: Rotation | None,
    rotation_R: Rotation | None,
    rows_R: Tensor | None,
) -> Tensor:
    """One frozen layer: keys and values of all tokens, everything else of the wanted ones (None: of all)."""
    x_SD = layer.before_attention(h_SD)
    k_SGC, v_SGC = layer.keys_values(x_SD, rotation)
    x_RD = x_SD if rows_R is None else x_SD.index_select(0, rows_R)
    context_RF = attend(layer.queries(x_RD, rotation_R), k_SGC, v_SGC, plan, layer.scale)
    h_RD = layer.after_attention(h_RD + layer.output(context_RF))
    return layer.after_feed_forward(h_RD + layer.feed_forward(layer.before_feed_forward(h_RD)))
