"""The parts of a decoder-only language model's layers, architecture by architecture.

transformers runs whole layers; a method that changes what happens inside one (DARec's two masks and adapters)
needs the pieces: norms, projections, feed-forward. One small class an architecture gives them a common shape,
and `ARCHITECTURES` is the whole list. All work on packed tokens: `S` tokens, `D` width, `H` query heads,
`G` key/value heads, `C` channels of a head, `R` a subset of the tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Rotation = tuple[Tensor, Tensor]
"""Cosines and sines `[S, C]` of rotary positions."""


class LayerParts(ABC):
    """One frozen transformer layer in pieces, each a function of packed tokens.

    A whole layer is `h = after_attention(h + output(attention(before_attention(h))))`, then
    `h = after_feed_forward(h + feed_forward(before_feed_forward(h)))`. In a pre-norm layer the two `before_`
    parts normalise and the `after_` parts do nothing; in a post-norm layer it is the other way round.
    """

    scale: float
    """Factor on the inner products of queries and keys."""

    @abstractmethod
    def before_attention(self, h_SD: Tensor) -> Tensor:
        """The attention's input."""

    @abstractmethod
    def queries(self, x_RD: Tensor, rotation: Rotation | None) -> Tensor:
        """Queries `[R, H, C]`, rotated if positions are rotary."""

    @abstractmethod
    def keys_values(self, x_SD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        """Keys and values `[S, G, C]`, keys rotated if positions are rotary and a rotation is given."""

    @abstractmethod
    def output(self, context_RF: Tensor) -> Tensor:
        """The attention's output projection, `[R, H * C]` to `[R, D]`."""

    def after_attention(self, h_RD: Tensor) -> Tensor:
        """The residual stream after attention."""
        return h_RD

    @abstractmethod
    def before_feed_forward(self, h_RD: Tensor) -> Tensor:
        """The feed-forward's input."""

    @abstractmethod
    def feed_forward(self, x_RD: Tensor) -> Tensor:
        """The feed-forward network without norm or residual."""

    def after_feed_forward(self, h_RD: Tensor) -> Tensor:
        """The residual stream after the feed-forward."""
        return h_RD


class DecoderParts(ABC):
    """A frozen decoder-only language model in pieces.

    Args:
        model: The base model of transformers (without the language-model head), in evaluation mode.
    """

    layers: list[LayerParts]

    def __init__(self, model: Any) -> None:
        self.model = model

    @abstractmethod
    def embed(self, ids_S: Tensor) -> Tensor:
        """Word embeddings `[S, D]`, already of the layers' width, without positions."""

    def add_positions(self, states_SD: Tensor, positions_S: Tensor) -> Tensor:
        """States with learned positions, if the model has them; positions count from 0."""
        return states_SD

    def rotation(self, positions_S: Tensor) -> Rotation | None:
        """Rotary positions, if the model has them."""
        return None

    @abstractmethod
    def final_norm(self, states_RD: Tensor) -> Tensor:
        """What the model does after its last layer."""

    def forget_first(self, count: int) -> None:
        """Leave the first `count` layers out from now on, in the model as well, whose memory they take."""
        del self.layers[:count]
        del self.blocks[:count]

    @property
    def blocks(self) -> Any:
        """The model's own list of its layers."""
        return self.model.layers


class _LlamaLayer(LayerParts):
    """Pre-norm RMSNorm, rotary positions, grouped key/value heads, gated feed-forward."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.attention = layer.self_attn
        self.channels = int(layer.self_attn.head_dim)
        self.scale = float(layer.self_attn.scaling)

    def before_attention(self, h_SD: Tensor) -> Tensor:
        return _rms_norm(self.layer.input_layernorm, h_SD)

    def queries(self, x_RD: Tensor, rotation: Rotation | None) -> Tensor:
        return rotate(self.attention.q_proj(x_RD).unflatten(-1, (-1, self.channels)), rotation)

    def keys_values(self, x_SD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        k_SGC = self.attention.k_proj(x_SD).unflatten(-1, (-1, self.channels))
        v_SGC = self.attention.v_proj(x_SD).unflatten(-1, (-1, self.channels))
        return rotate(k_SGC, rotation), v_SGC

    def output(self, context_RF: Tensor) -> Tensor:
        return _tensor(self.attention.o_proj(context_RF))

    def before_feed_forward(self, h_RD: Tensor) -> Tensor:
        return _rms_norm(self.layer.post_attention_layernorm, h_RD)

    def feed_forward(self, x_RD: Tensor) -> Tensor:
        return _tensor(self.layer.mlp(x_RD))


class LlamaParts(DecoderParts):
    """Llama and what is built like it: SmolLM2, Llama-2, Qwen2.5 (without a sliding window, as it is published)."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.layers = [_LlamaLayer(layer) for layer in self.blocks]

    def embed(self, ids_S: Tensor) -> Tensor:
        return _tensor(self.model.embed_tokens(ids_S))

    def rotation(self, positions_S: Tensor) -> Rotation:
        weight = self.model.embed_tokens.weight  # gives device and type only
        cos_1SC, sin_1SC = self.model.rotary_emb(weight, positions_S.unsqueeze(0))
        return cos_1SC.squeeze(0), sin_1SC.squeeze(0)

    def final_norm(self, states_RD: Tensor) -> Tensor:
        return _rms_norm(self.model.norm, states_RD)


class _OptLayer(LayerParts):
    """LayerNorm before (125M, 1.3B and larger) or after (350M) each sublayer, biases everywhere."""

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.attention = layer.self_attn
        self.channels = int(layer.self_attn.head_dim)
        self.scale = float(layer.self_attn.scaling)
        self.norm_first = bool(layer.do_layer_norm_before)

    def before_attention(self, h_SD: Tensor) -> Tensor:
        return _tensor(self.layer.self_attn_layer_norm(h_SD)) if self.norm_first else h_SD

    def queries(self, x_RD: Tensor, rotation: Rotation | None) -> Tensor:
        return _tensor(self.attention.q_proj(x_RD).unflatten(-1, (-1, self.channels)))

    def keys_values(self, x_SD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        k_SGC = self.attention.k_proj(x_SD).unflatten(-1, (-1, self.channels))
        return k_SGC, self.attention.v_proj(x_SD).unflatten(-1, (-1, self.channels))

    def output(self, context_RF: Tensor) -> Tensor:
        return _tensor(self.attention.out_proj(context_RF))

    def after_attention(self, h_RD: Tensor) -> Tensor:
        return h_RD if self.norm_first else _tensor(self.layer.self_attn_layer_norm(h_RD))

    def before_feed_forward(self, h_RD: Tensor) -> Tensor:
        return _tensor(self.layer.final_layer_norm(h_RD)) if self.norm_first else h_RD

    def feed_forward(self, x_RD: Tensor) -> Tensor:
        return _tensor(self.layer.fc2(self.layer.activation_fn(self.layer.fc1(x_RD))))

    def after_feed_forward(self, h_RD: Tensor) -> Tensor:
        return h_RD if self.norm_first else _tensor(self.layer.final_layer_norm(h_RD))


class OptParts(DecoderParts):
    """OPT: learned positions that its own table shifts by 2, and a narrower embedding at 350M."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.decoder)
        self.layers = [_OptLayer(layer) for layer in self.blocks]

    def embed(self, ids_S: Tensor) -> Tensor:
        states_SD = self.model.embed_tokens(ids_S)
        return _tensor(states_SD if self.model.project_in is None else self.model.project_in(states_SD))

    def add_positions(self, states_SD: Tensor, positions_S: Tensor) -> Tensor:
        table = self.model.embed_positions
        return states_SD + F.embedding(positions_S + table.offset, table.weight)

    def final_norm(self, states_RD: Tensor) -> Tensor:
        # Not followed by `project_out` (350M only), which goes back to the width of the vocabulary's embedding.
        norm = self.model.final_layer_norm
        return states_RD if norm is None else _tensor(norm(states_RD))


class _Gpt2Layer(LayerParts):
    """Pre-norm LayerNorm; one matrix holds the projections to queries, keys and values side by side."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.attention = block.attn
        self.width = int(block.attn.embed_dim)
        self.channels = int(block.attn.head_dim)
        self.scale = float(block.attn.scaling)

    def before_attention(self, h_SD: Tensor) -> Tensor:
        return _tensor(self.block.ln_1(h_SD))

    def queries(self, x_RD: Tensor, rotation: Rotation | None) -> Tensor:
        return self._project(x_RD, 0, self.width)

    def keys_values(self, x_SD: Tensor, rotation: Rotation | None) -> tuple[Tensor, Tensor]:
        k_SHC, v_SHC = self._project(x_SD, self.width, 3 * self.width).chunk(2, dim=1)
        return k_SHC, v_SHC

    def output(self, context_RF: Tensor) -> Tensor:
        return _tensor(self.attention.c_proj(context_RF))

    def before_feed_forward(self, h_RD: Tensor) -> Tensor:
        return _tensor(self.block.ln_2(h_RD))

    def feed_forward(self, x_RD: Tensor) -> Tensor:
        mlp = self.block.mlp
        return _tensor(mlp.c_proj(mlp.act(mlp.c_fc(x_RD))))

    def _project(self, x_SD: Tensor, start: int, stop: int) -> Tensor:
        """Columns `start` to `stop` of the joint projection, as heads (Conv1D keeps inputs in rows)."""
        joint = self.attention.c_attn
        out = F.linear(x_SD, joint.weight[:, start:stop].T, joint.bias[start:stop])
        return out.view(len(out), -1, self.channels)


class Gpt2Parts(DecoderParts):
    """GPT-2: learned positions, LayerNorm, joint query-key-value matrix."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.layers = [_Gpt2Layer(block) for block in self.blocks]

    @property
    def blocks(self) -> Any:
        return self.model.h

    def embed(self, ids_S: Tensor) -> Tensor:
        return _tensor(self.model.wte(ids_S))

    def add_positions(self, states_SD: Tensor, positions_S: Tensor) -> Tensor:
        return states_SD + _tensor(self.model.wpe(positions_S))

    def final_norm(self, states_RD: Tensor) -> Tensor:
        return _tensor(self.model.ln_f(states_RD))


ARCHITECTURES: dict[str, type[DecoderParts]] = {
    "llama": LlamaParts,
    "qwen2": LlamaParts,
    "opt": OptParts,
    "gpt2": Gpt2Parts,
}
"""`model_type` of a transformers config -> its parts. A new architecture is a class here and a line in this table."""


def _tensor(value: Any) -> Tensor:
    """Name the type that transformers does not publish."""
    assert isinstance(value, Tensor)
    return value


def _rms_norm(norm: Any, x_SD: Tensor) -> Tensor:
    """The module's own RMSNorm through torch's fused operator: same numbers, a third of the memory traffic."""
    return F.rms_norm(x_SD.float(), norm.weight.shape, norm.weight, norm.variance_epsilon)


def rotate(x_SHC: Tensor, rotation: Rotation | None) -> Tensor:
    """Rotate channel pairs (c, c + C/2) by their position's angle (Su et al., RoFormer, section 3.4.2)."""
    if rotation is None:
        return x_SHC
    cos_S1C, sin_S1C = rotation[0].unsqueeze(1), rotation[1].unsqueeze(1)
    half = x_SHC.shape[-1] // 2
    turned_SHC = torch.cat([-x_SHC[..., half:], x_SHC[..., :half]], dim=-1)
    return x_SHC * cos_S1C + turned_SHC * sin_S1C
