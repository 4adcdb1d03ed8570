"""DARec's settings: those of `trials/dual/config.py`, and its variants. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from trials.dual.composition import ALL_SERIAL, BASE, CAUSAL_TWICE, LLMREC, WHOLE, Composition
from trials.dual.config import DualConfig


class DARecConfig(DualConfig):
    """Defaults are the paper's (section 3.1.4, Appendix E) where it gives a number."""

    VARIANTS: ClassVar[Mapping[str, Composition]] = {
        "darec": WHOLE,
        "llmrec": LLMREC,
        "darec-base": BASE,
        "variation-2": ALL_SERIAL,
        "same-mask": CAUSAL_TWICE,
    }

    variant: Literal["darec", "llmrec", "darec-base", "variation-2", "same-mask"] = Field(
        "darec",
        description="darec; llmrec (no adapters, L_seq only); darec-base (two serial adapters a layer, causal mask "
        "only, no collaborative filtering); variation-2 (all parts, all serial, `layout` ignored); same-mask (both "
        "branches causal, the second sees the collaborative vector)",
    )
