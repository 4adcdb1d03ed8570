"""LLMRec: the frozen language model of DARec without adapters and without collaborative filtering. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from trials import papers
from trials.dual.composition import LLMREC, Composition
from trials.dual.config import DualConfig
from trials.dual.method import DualMethod

if TYPE_CHECKING:
    from trials.dual.model import DualModel

__all__ = ["LLMRec", "LLMRecConfig"]


class LLMRecConfig(DualConfig):
    """DARec's settings, of which those of adapters, routers and the CF model mean nothing here."""

    VARIANTS: ClassVar[Mapping[str, Composition]] = {"llmrec": LLMREC}

    variant: Literal["llmrec"] = Field("llmrec", description="llmrec: no adapters, L_seq only")


class LLMRec(DualMethod):
    """What DARec and MixRec compare with: the same language model, frozen, whose head alone learns."""

    name = "llmrec"
    summary = "frozen language model over item texts, of which only the item projection is trained"
    paper = (
        "CanYi Liu, Wei Li, Youchen (Victor) Zhang, Hui Li, Rongrong Ji: Beyond Inter-Item Relations: Dynamic Adaption "
        "for Enhancing LLM-Based Sequential Recommendation, 2024, section 3.1.3"
    )
    Config = LLMRecConfig
    published = papers.figures_of("LLMRec")

    def model(self) -> type[DualModel]:
        from trials.dual.model import DualModel

        return DualModel
