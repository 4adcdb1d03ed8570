"""What a variant of the model is made of. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Composition:
    """The parts of a variant; the defaults are the whole model.

    Args:
        layers: `dual`: two branches a layer; `base`: one branch, two serial adapters; `frozen`: the backbone's own.
        second: Mask of the second branch of a dual layer.
        collaborative: Whether there is a CF model, whose vectors the second branch sees.
        coarse: Whether L_align and L_cl are trained beside L_seq.
        searched: Whether `layout` is followed; otherwise all adapters are serial.
    """

    layers: Literal["dual", "base", "frozen"] = "dual"
    second: Literal["context", "causal"] | None = "context"
    collaborative: bool = True
    coarse: bool = True
    searched: bool = True


WHOLE = Composition()
"""Everything (section 2.3)."""

LLMREC = Composition(layers="frozen", second=None, collaborative=False, coarse=False)
"""LLMRec, the baseline: no adapters, everything frozen, L_seq only."""

BASE = Composition(layers="base", second=None, collaborative=False)
"""Variation 1: two serial adapters a layer (Fig. 1) and the coarse-grained losses (section 2.2)."""

ALL_SERIAL = Composition(searched=False)
"""Variation 2: everything but the search."""

CAUSAL_TWICE = Composition(second="causal")
"""Both branches causal; the second still sees the collaborative vector, so that nothing but its mask has changed."""

ONE_CAUSAL = Composition(second="causal", collaborative=False)
"""Both adapters read the same causal attention, and no more: a mixture of experts that only has more parameters."""
