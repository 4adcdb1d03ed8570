"""Markov's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.counted.config import CountedConfig


class MarkovConfig(CountedConfig):
    """How far counts are trusted, and how many are kept."""

    smoothing: float = Field(
        100.0, gt=0, le=1e6, description="transitions that popularity counts for after every item, in (0, 1e6]"
    )
    successors: int = Field(
        200, ge=1, le=100_000, description="most frequent successors kept of every item; rarer ones have popularity"
    )
