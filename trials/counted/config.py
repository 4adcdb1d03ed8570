"""Settings of methods that count and are not trained step by step. Loads no torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trials.training import LoopConfig


class CountedConfig(LoopConfig):
    """One epoch, in which nothing is left to do: the model is complete when it is built."""

    epochs: Literal[1] = Field(1, description="passes over the training data; counting takes one")
