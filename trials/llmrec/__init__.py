"""LLMRec: the frozen language model of DARec without adapters and without collaborative filtering. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trials import papers
from trials.darec import DARec, DARecConfig

__all__ = ["LLMRec", "LLMRecConfig"]


class LLMRecConfig(DARecConfig):
    """DARec's settings, of which those of adapters, routers and the CF model mean nothing here."""

    variant: Literal["llmrec"] = Field("llmrec", description="llmrec: no adapters, L_seq only")


class LLMRec(DARec):
    """What DARec and MixRec compare with: the same language model, frozen, whose head alone learns."""

    name = "llmrec"
    summary = "frozen language model over item texts, of which only the item projection is trained: DARec's variant"
    Config = LLMRecConfig
    published = papers.figures_of("LLMRec")
