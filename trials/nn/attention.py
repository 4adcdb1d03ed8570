"""Attention over packed tokens under a causal or an item-wise context mask, from projections made once.

Both masks of DARec (section 2.3.1) see the same queries, keys and values; they differ in how the tokens are
cut into blocks. No array is ever as large as the square of a whole sequence under the context mask: it works
on one small square an item. Shape letters: `S` tokens, `R` read-out tokens, `M` blocks, `T` places in a block,
`H` heads, `G` key/value heads, `C` channels of a head, `V` collaborative vectors, `K` of them in front of a block.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from trials.nn.blocks import Blocks


@dataclass(frozen=True)
class Plan:
    """Which keys each query may look at. Made once a batch and shared by all layers.

    Args:
        queries: Blocks of the query tokens.
        keys: Blocks of the key tokens, row for row the same blocks.
        mask: True = may look, broadcast to `[M, 1, Tq, Tk]`; None for a plain triangle.
        slots_MK: Rows of the collaborative vectors that each block has in front of its keys; None for none.
    """

    queries: Blocks
    keys: Blocks
    mask: Tensor | None
    slots_MK: Tensor | None = None


@dataclass(frozen=True)
class Slot:
    """Keys and values `[V, G, C]` of the collaborative vectors, projected by the layer's own K and V.

    Under rotary positions the slot's key is not rotated, which is position 0: it stands in front of the
    sequence as a prefix does, and the tokens keep the positions that the backbone gives them.
    """

    keys_VGC: Tensor
    values_VGC: Tensor


def causal_plan(sequences: Blocks) -> Plan:
    """Every token sees itself and what came before it in its sequence (MASK_causal; the slot is not seen).

    Padding lies on the right, where no real token looks, so the triangle alone is enough.
    """
    return Plan(sequences, sequences, None)


def causal_slot_plan(sequences: Blocks, slots_BK: Tensor, seen_SK: Tensor) -> Plan:
    """As `causal_plan`, with slots in front of each sequence: the second branch of the variant `same-mask`.

    Args:
        sequences: Blocks of all tokens.
        slots_BK: Rows of the collaborative vectors of each sequence.
        seen_SK: Which of its sequence's slots each token may look at.
    """
    width = sequences.shape[1]
    triangle_TT = torch.ones(width, width, dtype=torch.bool, device=slots_BK.device).tril()
    return Plan(sequences, sequences, _beside(sequences.spread(seen_SK), triangle_TT), slots_BK)


def context_plan(items: Blocks, slots_MK: Tensor | None) -> Plan:
    """Every token sees the tokens of its own item in both directions, and the item's slots (MASK_context).

    Args:
        items: One block an item.
        slots_MK: Rows of the collaborative vectors of each item; None for no slots.
    """
    return Plan(items, items, _key_mask(items, slots_MK), slots_MK)


def causal_read_plan(
    sequences: Blocks,
    reads: Blocks,
    read_R: Tensor,
    slots_BK: Tensor | None = None,
    seen_RK: Tensor | None = None,
) -> Plan:
    """As `causal_plan` (or `causal_slot_plan`) for the queries of the read-out tokens only.

    Args:
        sequences: Blocks of all tokens.
        reads: Blocks of the read-out tokens, by sequence.
        read_R: Flat token index of each read-out token.
        slots_BK: Rows of the collaborative vectors of each sequence; None for no slots.
        seen_RK: Which of these each read-out token may look at.
    """
    width = sequences.shape[1]
    assert sequences.place_S is not None
    limit_MT = reads.spread(sequences.place_S[read_R] % width)
    device = limit_MT.device
    mask = torch.arange(width, device=device) <= limit_MT[:, None, :, None]
    if slots_BK is None:
        return Plan(reads, sequences, mask)
    assert seen_RK is not None
    return Plan(reads, sequences, _beside(reads.spread(seen_RK), mask.squeeze(1)), slots_BK)


def context_read_plan(items: Blocks, reads: Blocks, slots_MK: Tensor | None) -> Plan:
    """As `context_plan` for the queries of the read-out tokens only; `reads` are cut by item."""
    return Plan(reads, items, _key_mask(items, slots_MK), slots_MK)


def attend(q_RHC: Tensor, k_SGC: Tensor, v_SGC: Tensor, plan: Plan, scale: float, slot: Slot | None = None) -> Tensor:
    """Scaled dot-product attention of packed tokens: `softmax(scale q kᵀ, masked) v`.

    Args:
        q_RHC: Queries of the plan's query tokens.
        k_SGC: Keys of all tokens; each serves `H / G` query heads.
        v_SGC: Values of all tokens.
        plan: Who sees whom.
        scale: Factor on the inner products.
        slot: Needed if the plan has slots.

    Returns:
        `[R, H * C]`, heads side by side.

    Source: DARec and MixRec, Appendix C. MixRec's mask acts inside the softmax and so does this one, as in every
    implementation of attention. DARec's multiplies what comes out of it: the weights would not sum to 1, and masked
    tokens would still shape them.
    """
    heads, groups = q_RHC.shape[1], k_SGC.shape[1]
    q_MTHC, k_MTGC, v_MTGC = plan.queries.spread(q_RHC), plan.keys.spread(k_SGC), plan.keys.spread(v_SGC)
    if plan.slots_MK is not None:
        assert slot is not None
        rows, shape = plan.slots_MK.flatten(), (*plan.slots_MK.shape, groups, -1)
        k_MTGC = torch.cat([slot.keys_VGC.index_select(0, rows).view(shape), k_MTGC], dim=1)
        v_MTGC = torch.cat([slot.values_VGC.index_select(0, rows).view(shape), v_MTGC], dim=1)
    out_MHTC = F.scaled_dot_product_attention(
        q_MTHC.transpose(1, 2),
        k_MTGC.transpose(1, 2),
        v_MTGC.transpose(1, 2),
        attn_mask=plan.mask,
        is_causal=plan.mask is None,
        scale=scale,
        enable_gqa=heads != groups,
    )
    return plan.queries.pack(out_MHTC.transpose(1, 2)).flatten(1)


def _beside(seen_MTK: Tensor, keys: Tensor) -> Tensor:
    """`[M, 1, Tq, K + Tk]`: what is seen of the slots, beside what is seen of the keys, `[Tq, Tk]` or `[M, Tq, Tk]`."""
    return torch.cat([seen_MTK, keys.expand(len(seen_MTK), -1, -1)], dim=-1).unsqueeze(1)


def _key_mask(items: Blocks, slots_MK: Tensor | None) -> Tensor:
    """`[M, 1, 1, T]` (or `K + T` with the slots in front): True at tokens."""
    rows, width = items.shape
    valid_MT = items.valid_MT
    if valid_MT is None:
        valid_MT = torch.ones(rows, width, dtype=torch.bool, device=items.token_MT.device)
    if slots_MK is not None:
        valid_MT = F.pad(valid_MT, (slots_MK.shape[1], 0), value=True)
    return valid_MT[:, None, None, :]
