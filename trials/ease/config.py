"""EASE's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.counted.config import CountedConfig


class EASEConfig(CountedConfig):
    """The one setting of the closed form."""

    l2: float = Field(200.0, gt=0, le=1e7, description="L2 regularisation (lambda) of the weights, in (0, 1e7]")
