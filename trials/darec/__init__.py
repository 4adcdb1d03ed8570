"""DARec: a frozen decoder-only language model, adapted layer by layer for sequential recommendation.

Here is what is its own: `config.py` (its variants), `model.py` (its metrics). The model itself, which
MixRec shares, is in `trials/dual`. Importing this package loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trials import papers
from trials.darec.config import DARecConfig
from trials.dual.method import DualMethod

if TYPE_CHECKING:
    from trials.darec.model import DARecModel

__all__ = ["DARec", "DARecConfig"]


class DARec(DualMethod):
    """Dynamic adaption of a language model: two attention masks, adapters chosen layer by layer, a CF model."""

    name = "darec"
    summary = "frozen language model with layer-wise adapters, two attention masks and a CF model"
    paper = (
        "CanYi Liu, Wei Li, Youchen (Victor) Zhang, Hui Li, Rongrong Ji: Beyond Inter-Item Relations: Dynamic Adaption "
        "for Enhancing LLM-Based Sequential Recommendation, 2024"
    )
    Config = DARecConfig
    published = papers.DAREC

    def model(self) -> type[DARecModel]:
        from trials.darec.model import DARecModel

        return DARecModel
