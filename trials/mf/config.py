"""MF's settings. Loads no torch."""

from __future__ import annotations

from pydantic import Field

from trials.backbones.recommenders.settings import PairSettings


class MFConfig(PairSettings):
    """Defaults are those of RecBole's BPR, but for the number of epochs (there 300, with early stopping)."""

    item_bias: bool = Field(False, description="whether every item has a bias besides its vector")
