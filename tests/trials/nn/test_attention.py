"""Both masks against full attention with dense masks written from the equations of section 2.3.1."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from trials.nn.attention import (
    Slot,
    attend,
    causal_plan,
    causal_read_plan,
    causal_slot_plan,
    context_plan,
    context_read_plan,
)
from trials.nn.blocks import Blocks

SEQUENCES = [[3, 1, 2], [4], [2, 2, 2, 1]]
"""Tokens of every item of every sequence."""

H, G, C = 4, 2, 3
SCALE = C**-0.5

ITEM_LENGTHS = np.array([n for sequence in SEQUENCES for n in sequence])
LENGTHS = np.array([sum(sequence) for sequence in SEQUENCES])
SEQUENCE_S = torch.repeat_interleave(torch.arange(len(SEQUENCES)), torch.tensor(LENGTHS))
ITEM_S = torch.repeat_interleave(torch.arange(len(ITEM_LENGTHS)), torch.tensor(ITEM_LENGTHS))
OWNER_M = torch.tensor([b for b, sequence in enumerate(SEQUENCES) for _ in sequence])
S = int(LENGTHS.sum())
READ_R = torch.tensor(np.cumsum(ITEM_LENGTHS) - 1)


OWN_M = len(SEQUENCES) + torch.arange(len(ITEM_LENGTHS))
"""Vectors of items come behind those of sequences."""


def naive(q: Tensor, k: Tensor, v: Tensor, mask_SS: Tensor, slot: Slot | None, both: bool = False) -> Tensor:
    """One dense softmax over all tokens of all sequences, and the slots of the token's own sequence and item."""
    k, v = k.repeat_interleave(H // G, 1), v.repeat_interleave(H // G, 1)
    scores = torch.einsum("qhc,khc->hqk", q, k) * SCALE
    scores = scores.masked_fill(~mask_SS, -torch.inf)
    if slot is not None:
        rows_SV = torch.stack([SEQUENCE_S, OWN_M[ITEM_S]], 1) if both else SEQUENCE_S[:, None]
        slot_k = slot.keys_VGC.repeat_interleave(H // G, 1)[rows_SV]
        slot_v = slot.values_VGC.repeat_interleave(H // G, 1)[rows_SV]
        own = torch.einsum("qhc,qvhc->hqv", q, slot_k) * SCALE
        weights = torch.softmax(torch.cat([own, scores], -1), -1)
        out = torch.einsum("hqk,khc->qhc", weights[..., rows_SV.shape[1] :], v)
        out = out + torch.einsum("hqv,qvhc->qhc", weights[..., : rows_SV.shape[1]], slot_v)
    else:
        out = torch.einsum("hqk,khc->qhc", torch.softmax(scores, -1), v)
    return out.flatten(1)


def inputs() -> tuple[Tensor, Tensor, Tensor, Slot]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)

    vectors = len(SEQUENCES) + len(ITEM_LENGTHS)
    slot = Slot(draw(vectors, G, C), draw(vectors, G, C))
    return draw(S, H, C), draw(S, G, C), draw(S, G, C), slot


CAUSAL = (SEQUENCE_S[:, None] == SEQUENCE_S) & torch.ones(S, S, dtype=torch.bool).tril()
CONTEXT = ITEM_S[:, None] == ITEM_S
SEQUENCE_BLOCKS, ITEM_BLOCKS = Blocks.of(LENGTHS), Blocks.of(ITEM_LENGTHS)
SLOTS_B1, SEEN_S1 = torch.arange(len(SEQUENCES))[:, None], torch.ones(S, 1, dtype=torch.bool)
# Of each sequence its own vector and those of its items; the second sequence has fewer items than the others.
SLOTS_BK = torch.tensor([[0, 3, 4, 5, 6], [1, 6, 7, 8, 9], [2, 7, 8, 9, 10]])
PLACE_S = ITEM_S - torch.tensor([0, 3, 4])[SEQUENCE_S]
SEEN_SK = torch.cat([SEEN_S1, PLACE_S[:, None] == torch.arange(4)], 1)
ITEM_SLOTS = {"slot": OWNER_M[:, None], "two slots": torch.stack([OWNER_M, OWN_M], 1)}
PLANS = {
    "causal": (causal_plan(SEQUENCE_BLOCKS), CAUSAL, None),
    "causal with slot": (causal_slot_plan(SEQUENCE_BLOCKS, SLOTS_B1, SEEN_S1), CAUSAL, "slot"),
    "causal with two slots": (causal_slot_plan(SEQUENCE_BLOCKS, SLOTS_BK, SEEN_SK), CAUSAL, "two slots"),
    "context": (context_plan(ITEM_BLOCKS, None), CONTEXT, None),
    "context with slot": (context_plan(ITEM_BLOCKS, ITEM_SLOTS["slot"]), CONTEXT, "slot"),
    "context with two slots": (context_plan(ITEM_BLOCKS, ITEM_SLOTS["two slots"]), CONTEXT, "two slots"),
}


@pytest.mark.parametrize("name", PLANS)
def test_equals_full_attention_with_a_mask(name: str) -> None:
    plan, mask, slots = PLANS[name]
    q, k, v, slot = inputs()
    chosen = slot if slots else None
    ours = attend(q, k, v, plan, SCALE, chosen)
    theirs = naive(q, k, v, mask, chosen, slots == "two slots")
    torch.testing.assert_close(ours, theirs)
    weights = torch.randn(S, H * C, dtype=torch.float64)
    leaves = [q, k, v, *([slot.keys_VGC, slot.values_VGC] if slots else [])]
    ours_g = torch.autograd.grad((ours * weights).sum(), leaves)
    theirs_g = torch.autograd.grad((theirs * weights).sum(), leaves)
    for one, other in zip(ours_g, theirs_g, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("last", [False, True])
def test_read_out_tokens_alone_get_the_same(name: str, last: bool) -> None:
    plan, _, slots = PLANS[name]
    q, k, v, slot = inputs()
    chosen = slot if slots else None
    items = [len(sequence) for sequence in SEQUENCES]
    rows = torch.tensor(np.cumsum(items) - 1) if last else torch.arange(sum(items))
    read_R = READ_R[rows]
    reads = Blocks.of(np.ones(len(items), dtype=int) if last else np.array(items))
    if name.startswith("causal"):
        slots_BK, seen_SK = {"slot": (SLOTS_B1, SEEN_S1), "two slots": (SLOTS_BK, SEEN_SK)}.get(slots, (None, SEEN_S1))
        read_plan = causal_read_plan(SEQUENCE_BLOCKS, reads, read_R, slots_BK, seen_SK[read_R])
    else:
        keys = ITEM_BLOCKS.rows(rows) if last else ITEM_BLOCKS
        read_plan = context_read_plan(keys, Blocks.singles(len(rows)), ITEM_SLOTS[slots][rows] if slots else None)
    full = attend(q, k, v, plan, SCALE, chosen)[read_R]
    some = attend(q[read_R], k, v, read_plan, SCALE, chosen)
    torch.testing.assert_close(some, full)
    weights = torch.randn_like(full)
    for one, other in zip(
        torch.autograd.grad((some * weights).sum(), [q, k, v]),
        torch.autograd.grad((full * weights).sum(), [q, k, v]),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_context_never_builds_the_square_of_a_sequence() -> None:
    plan = context_plan(ITEM_BLOCKS, OWNER_M[:, None])
    assert plan.mask is not None
    assert plan.mask.shape == (len(ITEM_LENGTHS), 1, 1, ITEM_LENGTHS.max() + 1)
    assert plan.keys.token_MT.shape == (len(ITEM_LENGTHS), ITEM_LENGTHS.max())
