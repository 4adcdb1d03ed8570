"""Kinds of numbers that many methods set, each with its range. Loads no torch.

A field names its kind and says what it is for: `head_dropout: Share = Field(0.0, description="...")`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Epochs = Annotated[int, Field(ge=1, le=10_000)]
"""Passes over what is trained on."""
Rate = Annotated[float, Field(gt=0, le=1)]
"""A learning rate."""
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
"""Examples a step, each of them some ids."""
TextBatchSize = Annotated[int, Field(ge=1, le=4096)]
"""Examples a step, each of them read by a language model."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""A share that leaves something over, such as dropout."""
Weight = Annotated[float, Field(ge=0, le=100)]
"""Of a part of the loss; 0 is none of it."""
Temperature = Annotated[float, Field(gt=0, le=100)]
"""What logits are divided by."""
Width = Annotated[int, Field(ge=1, le=8192)]
"""Numbers in a vector."""
Layers = Annotated[int, Field(ge=0, le=1000)]
"""Layers of a language model; 0 is none of them."""
