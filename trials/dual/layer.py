"""The DALayer and the simpler layers of the variants, around frozen transformer layers (sections 2.2.5 and 2.3).

Shape letters: `S` tokens, `R` tokens whose output is wanted (all, or the read-out tokens in the last layer),
`D` width, `B` sequences, `W` width of a collaborative vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.decoders.parts import DecoderParts, LayerParts, Rotation
from trials.dual.inputs import Tokens
from trials.dual.layout import Designs
from trials.nn.adapter import AttachedAdapter
from trials.nn.attention import (
    Plan,
    Slot,
    attend,
    causal_plan,
    causal_read_plan,
    causal_slot_plan,
    context_plan,
    context_read_plan,
)
from trials.nn.blocks import Blocks
from trials.nn.router import Router

Source = Literal["user", "item"]
"""Whose collaborative vector a sequence carries: its user's (L_seq), or its item's (L_align)."""


@dataclass(frozen=True)
class Scene:
    """What all layers of one forward pass share.

    Args:
        rotation: Rotary positions of all tokens, if the backbone has them.
        causal: Plan of the causal branch.
        second: Plan of the other branch, `causal` itself if both see the same; None in layers without one.
        rows_R: Tokens whose output is wanted; None for all.
        rotation_R: Rotary positions of these.
        collaborative_BW: `e_user` or `e_item` of each sequence.
        source: Which of the two.
        items_MW: `e_item` of each item besides, or None.
    """

    rotation: Rotation | None
    causal: Plan
    second: Plan | None
    rows_R: Tensor | None
    rotation_R: Rotation | None
    collaborative_BW: Tensor | None
    source: Source
    items_MW: Tensor | None = None

    def select(self, x_SD: Tensor) -> Tensor:
        """The rows whose output is wanted."""
        return x_SD if self.rows_R is None else x_SD.index_select(0, self.rows_R)


def scenes(
    tokens: Tokens,
    parts: DecoderParts,
    second: Literal["context", "causal"] | None,
    collaborative_BW: Tensor | None,
    source: Source,
    items_MW: Tensor | None = None,
) -> tuple[Scene, Scene]:
    """Scenes of all layers but the last, and of the last, where only read-out tokens need queries and outputs.

    Nothing after the last layer looks at the other tokens, so leaving them out changes no result; it saves the
    last layer's query, output and feed-forward work on all words.

    Args:
        tokens: The batch.
        parts: The backbone, for its rotary positions.
        second: Mask of the second branch; None in layers without one.
        collaborative_BW: The vector that all tokens of a sequence see in the second branch; None for none.
        source: Whose it is.
        items_MW: `e_item` of each item, which the item's own tokens see besides; None for none.
    """
    device = tokens.ids_S.device
    rotation = parts.rotation(tokens.positions_S)
    full: Plan | None = None
    read: Plan | None = None
    if second == "context":
        slots_MK = None if collaborative_BW is None else _slots_of_items(tokens, len(collaborative_BW), items_MW)
        full = context_plan(tokens.items, slots_MK)
        all_items = len(tokens.read_R) == len(tokens.special_M)
        items = tokens.items if all_items else tokens.items.rows(tokens.read_items_R)
        read_slots = None if slots_MK is None else slots_MK[tokens.read_items_R]
        read = context_read_plan(items, Blocks.singles(len(tokens.read_R), device), read_slots)
    causal, causal_read = causal_plan(tokens.sequences), causal_read_plan(tokens.sequences, tokens.reads, tokens.read_R)
    if second == "causal" and collaborative_BW is not None:
        slots_BK, seen_SK = _slots_of_sequences(tokens, len(collaborative_BW), items_MW)
        full = causal_slot_plan(tokens.sequences, slots_BK, seen_SK)
        seen_RK = seen_SK[tokens.read_R]
        read = causal_read_plan(tokens.sequences, tokens.reads, tokens.read_R, slots_BK, seen_RK)
    elif second == "causal":
        full, read = causal, causal_read
    rotation_R = None if rotation is None else (rotation[0][tokens.read_R], rotation[1][tokens.read_R])
    return (
        Scene(rotation, causal, full, None, rotation, collaborative_BW, source, items_MW),
        Scene(rotation, causal_read, read, tokens.read_R, rotation_R, collaborative_BW, source, items_MW),
    )


def _slots_of_items(tokens: Tokens, count: int, items_MW: Tensor | None) -> Tensor:
    """`[M, K]`: the vector of each item's sequence and, behind the `count` vectors of sequences, the item's own."""
    if items_MW is None:
        return tokens.owner_M.unsqueeze(1)
    own_M = count + torch.arange(len(items_MW), device=tokens.owner_M.device)
    return torch.stack([tokens.owner_M, own_M], dim=1)


def _slots_of_sequences(tokens: Tokens, count: int, items_MW: Tensor | None) -> tuple[Tensor, Tensor]:
    """`[B, K]` the vectors of each sequence and of its items; `[S, K]` those a token sees: as under MASK_context."""
    device = tokens.owner_M.device
    slots_B1 = torch.arange(count, device=device).unsqueeze(1)
    seen_S1 = torch.ones(len(tokens.ids_S), 1, dtype=torch.bool, device=device)
    if items_MW is None:
        return slots_B1, seen_S1
    items_B = torch.bincount(tokens.owner_M, minlength=count)
    first_B = items_B.cumsum(0) - items_B
    place_K = torch.arange(int(items_B.max()), device=device)
    # A shorter sequence has slots to spare; none of its tokens sees them, whatever they hold.
    slots_BK = count + (first_B.unsqueeze(1) + place_K).clamp(max=len(items_MW) - 1)
    place_M = torch.arange(len(items_MW), device=device) - first_B[tokens.owner_M]
    seen_SK = place_M.repeat_interleave(tokens.items.lengths_M).unsqueeze(1) == place_K
    return torch.cat([slots_B1, slots_BK], dim=1), torch.cat([seen_S1, seen_SK], dim=1)


class FrozenLayer(nn.Module):
    """The backbone's own layer, unchanged (LLMRec, and the layers between DALayers when r > 1)."""

    def __init__(self, parts: LayerParts) -> None:
        super().__init__()
        self.parts = parts  # no nn.Module: neither moved, trained nor checkpointed with this one

    def forward(self, h_SD: Tensor, scene: Scene) -> Tensor:
        """States `[S, D]` to states `[R, D]`."""
        parts = self.parts
        x_SD = parts.before_attention(h_SD)
        q_RHC = parts.queries(scene.select(x_SD), scene.rotation_R)
        k_SGC, v_SGC = parts.keys_values(x_SD, scene.rotation)
        inner_RD = parts.output(attend(q_RHC, k_SGC, v_SGC, scene.causal, parts.scale))
        h_RD = parts.after_attention(scene.select(h_SD) + self.relate(inner_RD))
        x_RD = parts.before_feed_forward(h_RD)
        return parts.after_feed_forward(h_RD + self.recommend(parts.feed_forward(x_RD)))

    def relate(self, inner_RD: Tensor) -> Tensor:
        """What happens to the attention's output before the residual connection."""
        return inner_RD

    def recommend(self, inner_RD: Tensor) -> Tensor:
        """What happens to the feed-forward's output before the residual connection."""
        return inner_RD


class BaseLayer(FrozenLayer):
    """DARec_base: two serial recommendation adapters, after attention and after the feed-forward (Fig. 1)."""

    def __init__(self, parts: LayerParts, width: int, bottleneck: int) -> None:
        super().__init__(parts)
        self.attention_adapter = AttachedAdapter(width, bottleneck)
        self.feed_forward_adapter = AttachedAdapter(width, bottleneck)

    def relate(self, inner_RD: Tensor) -> Tensor:
        adapted_RD: Tensor = self.attention_adapter(inner_RD)
        return adapted_RD

    def recommend(self, inner_RD: Tensor) -> Tensor:
        adapted_RD: Tensor = self.feed_forward_adapter(inner_RD)
        return adapted_RD


class DALayer(nn.Module):
    """Two branches of one frozen attention, an adapter on each, a router, and an adapter on the feed-forward.

    With f the frozen attention and x its input (after the norm in a pre-norm backbone):
    `q = attach(f(x, causal), x)`, `p = attach(f(x, second), x)`, `h' = β1 q + β2 p`, where attach is serial or
    parallel; the feed-forward likewise. Queries, keys and values are made once for both branches. Residuals and
    norms stay where the backbone has them.

    Args:
        parts: The frozen layer.
        width: D.
        bottleneck: Rows of each adapter's W1.
        designs: Which of the three adapters are parallel.
        collaborative_width: W, or None if no collaborative vector is injected.
        hard_routing: See `Router`.
        router_floor: Likewise.
        collaborative_norm: Inject vectors at unit length, through projections that start without a bias.

    Source: DARec, section 2.3.3 and Fig. 4; in MixRec it is the DAMoE layer. `c^k = W^k e + b^k` enters as a key and
    a value of the second branch: it passes the layer's own norm and projections like any state of the layer's input
    (section 2.3.2).
    """

    def __init__(
        self,
        parts: LayerParts,
        width: int,
        bottleneck: int,
        designs: Designs,
        *,
        collaborative_width: int | None,
        hard_routing: bool = False,
        router_floor: float = 0.0,
        collaborative_norm: bool = False,
    ) -> None:
        super().__init__()
        self.parts = parts
        self.causal_adapter = AttachedAdapter(width, bottleneck, parallel=designs.causal)
        self.context_adapter = AttachedAdapter(width, bottleneck, parallel=designs.context)
        self.recommend_adapter = AttachedAdapter(width, bottleneck, parallel=designs.recommend)
        self.router = Router(width, hard=hard_routing, floor=router_floor)
        self.collaborative_norm = collaborative_norm
        self.inject = nn.ModuleDict()
        if collaborative_width is not None:
            self.inject["user"] = nn.Linear(collaborative_width, width)
            self.inject["item"] = nn.Linear(collaborative_width, width)
            if collaborative_norm:
                for projection in (self.inject["user"], self.inject["item"]):
                    assert isinstance(projection, nn.Linear)
                    nn.init.zeros_(projection.bias)
        self._use: tuple[Tensor, Tensor, int] | None = None

    def forward(self, h_SD: Tensor, scene: Scene) -> Tensor:
        """States `[S, D]` to states `[R, D]`."""
        parts = self.parts
        assert scene.second is not None
        x_SD = parts.before_attention(h_SD)
        x_RD = scene.select(x_SD)
        q_RHC = parts.queries(x_RD, scene.rotation_R)
        k_SGC, v_SGC = parts.keys_values(x_SD, scene.rotation)
        causal_RF = attend(q_RHC, k_SGC, v_SGC, scene.causal, parts.scale)
        second_RF = causal_RF
        if scene.second is not scene.causal:
            second_RF = attend(q_RHC, k_SGC, v_SGC, scene.second, parts.scale, self.slot(scene))
        q_RD = self.causal_adapter.attach(parts.output(causal_RF), x_RD)
        p_RD = self.context_adapter.attach(parts.output(second_RF), x_RD)
        mixed_RD, beta_R2 = self.router(q_RD, p_RD)
        if not self.training:
            self._count(beta_R2)
        h_RD = parts.after_attention(scene.select(h_SD) + mixed_RD)
        y_RD = parts.before_feed_forward(h_RD)
        inner_RD = self.recommend_adapter.attach(parts.feed_forward(y_RD), y_RD)
        return parts.after_feed_forward(h_RD + inner_RD)

    def slot(self, scene: Scene) -> Slot | None:
        """Keys and values of the collaborative vectors under this layer's own projections; sequences' before items'."""
        if scene.collaborative_BW is None:
            return None
        c_VD = self._injected(scene.source, scene.collaborative_BW)
        if scene.items_MW is not None:
            c_VD = torch.cat([c_VD, self._injected("item", scene.items_MW)])
        return Slot(*self.parts.keys_values(self.parts.before_attention(c_VD), None))

    def _injected(self, source: Source, e_VW: Tensor) -> Tensor:
        c_VD: Tensor = self.inject[source](F.normalize(e_VW, dim=-1) if self.collaborative_norm else e_VW)
        return c_VD

    def causal_share(self) -> float | None:
        """Mean β1 over the tokens of the evaluation so far, in [0, 1]; None before any."""
        return None if self._use is None else float(self._use[0]) / self._use[2]

    def causal_load(self) -> float | None:
        """Share of these tokens whose likelier branch is the causal one, in [0, 1]; None before any."""
        return None if self._use is None else float(self._use[1]) / self._use[2]

    def forget_share(self) -> None:
        """Start counting anew."""
        self._use = None

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Put together what several workers counted; see `Recommender.add_counts`."""
        if self._use is None:
            return
        total, causal, tokens = self._use
        sums_3 = torch.tensor([float(total), float(causal), tokens], dtype=torch.float64)
        add(sums_3)
        self._use = (sums_3[0], sums_3[1].long(), int(sums_3[2]))

    def _count(self, beta_R2: Tensor) -> None:
        zero = beta_R2.new_zeros(())
        total, causal, tokens = self._use if self._use is not None else (zero, zero.long(), 0)
        first_R = beta_R2.detach().argmax(-1) == 0  # as hard routing chooses
        self._use = (total + beta_R2[:, 0].sum().detach(), causal + first_R.sum(), tokens + len(beta_R2))
