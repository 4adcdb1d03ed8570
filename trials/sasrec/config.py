"""SASRec's settings. Loads no torch."""

from __future__ import annotations

from trials.backbones.recommenders.settings import TransformerSettings


class SASRecConfig(TransformerSettings):
    """Defaults are RecBole's, but for the number of epochs (there 300, with early stopping)."""
