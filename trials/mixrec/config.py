"""MixRec's settings: those of `trials/dual/config.py`, its variants, and the kind of its gate. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from trials.dual.composition import ALL_SERIAL, BASE, CAUSAL_TWICE, LLMREC, ONE_CAUSAL, WHOLE, Composition
from trials.dual.config import DualConfig


class MixRecConfig(DualConfig):
    """Defaults are the paper's (section 3.1.4, Table 3) where it gives a number."""

    VARIANTS: ClassVar[Mapping[str, Composition]] = {
        "mixrec": WHOLE,
        "llmrec": LLMREC,
        "mixrec-base": BASE,
        "variation-2": ALL_SERIAL,
        "same-mask": ONE_CAUSAL,
        "same-mask-injected": CAUSAL_TWICE,
    }

    variant: Literal["mixrec", "llmrec", "mixrec-base", "variation-2", "same-mask", "same-mask-injected"] = Field(
        "mixrec",
        description="mixrec; llmrec (no adapters, L_seq only); mixrec-base (Fig. 5's variation 1: two serial adapters "
        "a layer, causal mask only, no collaborative filtering); variation-2 (all parts, all serial, `layout` "
        "ignored); same-mask (Fig. 8: both experts read the same causal attention, which sees no collaborative "
        "vector, so there is no CF model either); same-mask-injected (both causal, the second expert still sees the "
        "collaborative vector)",
    )
    injection: Literal["or", "and"] = Field(
        "and",
        description="whose vectors the second expert sees in a sequence: `and`, the user's and each item's own (the "
        "paper), or `or`, the user's alone, as DARec has it",
    )
    hard_routing: bool = Field(
        False,
        description="the gate sends each token to its likelier expert alone (top-1, ours) instead of mixing both as "
        "the paper does; the gradient is that of the mixture (straight-through)",
    )
