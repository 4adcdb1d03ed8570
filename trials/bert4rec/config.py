"""BERT4Rec's settings. Loads no torch."""

from __future__ import annotations

from trials.backbones.recommenders.settings import ClozeSettings


class BERT4RecConfig(ClozeSettings):
    """Defaults are RecBole's, but for the number of epochs (there 300, with early stopping) and what an epoch is."""
