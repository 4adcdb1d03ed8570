"""MixRec: the mixture-of-experts telling of DARec. Its relation adapters are experts, its router is the gate.

Here is what is its own: `config.py` (variants and ablations), `model.py` (the gate's load). The model
itself, which DARec shares, is in `trials/dual`. Importing this package loads no torch.

Where the paper's experiments are: Fig. 5 and LLMRec are values of `variant`, Fig. 6 is `cf_model`, Fig. 7
`cf_training`, Fig. 8 the variant `same-mask`, Fig. 9 the three λ, Fig. 10 `bottleneck`, Fig. 11 `num_samples` and
`num_negatives`, Fig. 12 `replace_every`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trials import papers
from trials.dual.method import DualMethod
from trials.mixrec.config import MixRecConfig

if TYPE_CHECKING:
    from trials.mixrec.model import MixRecModel

__all__ = ["MixRec", "MixRecConfig"]


class MixRec(DualMethod):
    """Dynamic adaptive mixture of experts: two attention masks with an adapter expert each, a gate, a CF model."""

    name = "mixrec"
    summary = "frozen language model with a gated mixture of two adapter experts a layer and a CF model"
    paper = (
        "CanYi Liu, Wei Li, Youchen (Victor) Zhang, Hui Li, Rongrong Ji: Beyond Inter-Item Relations: Dynamic Adaptive "
        "Mixture-of-Experts for LLM-Based Sequential Recommendation, 2024"
    )
    Config = MixRecConfig
    published = papers.MIXREC

    def model(self) -> type[MixRecModel]:
        from trials.mixrec.model import MixRecModel

        return MixRecModel
