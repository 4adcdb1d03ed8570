"""Which matrices of a backbone are maskable. Loads no torch."""

from __future__ import annotations

from typing import Literal

Scope = Literal["ffn", "output", "both"]

MAPS: dict[Scope, tuple[str, ...]] = {
    "ffn": ("inner", "outer"),
    "output": ("output",),
    "both": ("output", "inner", "outer"),
}
"""The maskable linear maps of a layer in each scope of θ_M: FFNs, W_O, FFNs + W_O (section 3.3)."""
