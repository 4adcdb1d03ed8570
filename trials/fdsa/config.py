"""FDSA's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.recommenders.settings import TransformerSettings


class FDSAConfig(TransformerSettings):
    """SASRec's sizes, as RecBole has them for both streams, and what is read of items."""

    attributes: tuple[str, ...] | None = Field(
        None, min_length=1, description="attributes of items that are read; null is all that the data has"
    )
    max_words: int = Field(16, ge=1, le=1000, description="first known words of an attribute that are read, >= 1")
    min_items: int = Field(2, ge=1, description="items whose attribute has a word for it to be known, >= 1")
