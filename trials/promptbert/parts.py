"""What both forms of Prompt-BERT share: the interest modules of a variant, the losses and the diagnostics.

`model.py` has the paper's form, `shared.py` that of prompts which several targets share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.data.preparing.dataset import IntArray
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.contrast import contrast, groups_of, pairs_of
from trials.promptbert.experts import MixtureOfExperts
from trials.promptbert.interests import Fusion, ShortTerm
from trials.training.recommender import Losses, Recommender

INITIAL_STD = 0.02
"""Of new linear layers, as the pretrained models of the family start theirs (section 4.3)."""

BRANCHES = {
    "full": ("moe", "short", "long"),
    "without-moe": ("short", "long"),
    "without-short": ("moe", "long"),
    "without-long": ("moe", "short"),
    "backbone": (),
}
"""The rows of Table 7."""

ROUTERS = {"moe.gate.": "router_rate", "fusion.scorer.": "router_rate"}
"""What chooses among experts and branches, as `InterestModel.RATES` has it."""


class InterestModel(Recommender):
    """The mixture, the short-term branch and the fusion, as far as the variant has them.

    Args:
        config: The method's settings.
        width: `D`.
    """

    RATES: ClassVar[Mapping[str, str]]
    """Beginnings of parameters' names, and the settings that are factors on their learning rate."""

    def __init__(self, config: PromptBERTConfig, width: int) -> None:
        super().__init__()
        self.config = config
        self.branches = BRANCHES[config.variant]
        self.moe: MixtureOfExperts | None = None
        self.short: ShortTerm | None = None
        self.fusion: Fusion | None = None
        if "moe" in self.branches:
            self.moe = MixtureOfExperts(width, config.experts, config.top_k, centred=config.centre_gate)
        if "short" in self.branches:
            self.short = ShortTerm(width, config.attention_heads)
        if self.branches:
            self.fusion = Fusion(
                width,
                len(self.branches),
                config.fusion_hidden,
                config.fusion_temperature,
                config.residual,
                equal=config.equal_branches,
            )
        for part in (self.moe, self.short, self.fusion):
            if part is not None:
                part.apply(_initialise)
        self._seen: dict[str, tuple[Tensor, Tensor]] = {}  # sums of weights, and of how many

    def losses(
        self, logits_RN: Tensor, targets_R: Tensor, z_BLD: Tensor | None, lengths_B: IntArray, users_B: IntArray
    ) -> Losses:
        """`next`: cross-entropy among title tokens; `contrast`: its weighted loss, where there are pairs.

        Args:
            logits_RN: At the [MASK]s.
            targets_R: The items there.
            z_BLD: Output of the mixture, if there is one.
            lengths_B: Places of it that count.
            users_B: Whose prompts they are.
        """
        config = self.config
        found = {"next": F.cross_entropy(logits_RN, targets_R, label_smoothing=config.label_smoothing)}
        if self.pairs(lengths_B).any():
            assert z_BLD is not None
            found["contrast"] = config.contrast_weight * contrast(
                z_BLD,
                lengths_B,
                users_B,
                window=config.contrast_window,
                temperature=config.contrast_temperature,
                group=config.contrast_group,
                similarity=config.contrast_similarity,
            )
        return found

    def part(self, lengths_B: IntArray, asked_B: IntArray, rank: int, workers: int) -> tuple[slice, dict[str, float]]:
        """One worker's run of whole groups of prompts, and its losses' weights; see `Recommender.share`.

        Args:
            lengths_B: Places of each prompt in the contrast.
            asked_B: [MASK]s of each prompt.
        """
        groups = list(groups_of(len(lengths_B), self.config.contrast_group if self._contrasts else 1))
        mine = groups[len(groups) * rank // workers : len(groups) * (rank + 1) // workers]
        pairs_B = self.pairs(lengths_B)
        if not mine:
            return slice(0, 1), {"next": 0.0, **({"contrast": 0.0} if pairs_B.any() else {})}
        rows = slice(mine[0][0], mine[-1][1])
        weights = {"next": float(asked_B[rows].sum() / asked_B.sum())}
        if pairs_B.any():
            weights["contrast"] = float(pairs_B[rows].sum() / pairs_B.sum())
        return rows, weights

    def pairs(self, lengths_B: IntArray) -> IntArray:
        """`[B]` pairs of windows in the contrast."""
        if not self._contrasts:
            return np.zeros(len(lengths_B), dtype=np.int64)
        return pairs_of(lengths_B, self.config.contrast_window)

    def rate_factors(self) -> Mapping[str, float]:
        """Of the parts that are set to learn at another rate than the rest."""
        factors = {name: float(getattr(self.config, field)) for name, field in self.RATES.items()}
        return {
            name: factor
            for name, _ in self.named_parameters()
            for beginning, factor in factors.items()
            if name.startswith(beginning) and factor != 1.0
        }

    def start_evaluation(self) -> None:
        """Count the gates' weights of this round only."""
        self._seen = {}

    def diagnostics(self) -> dict[str, float]:
        """Of the last evaluation: `gate/expert<e>`, mean weight of each expert, 0 where it was not among the chosen;
        `fusion/<branch>`, mean weight of each branch at [MASK]."""
        found: dict[str, float] = {}
        for kind, (sums, count) in self._seen.items():
            means = (sums / count).tolist()
            names = self.branches if kind == "fusion" else [f"expert{e}" for e in range(1, len(means) + 1)]
            found |= {f"{kind}/{name}": mean for name, mean in zip(names, means, strict=True)}
        return found

    def note(self, kind: str, weights: Tensor) -> None:
        """Count the gates' (`gate`) or the fusion's weights of an evaluation."""
        if not self.training:
            sums, count = weights.detach().double().sum(0).cpu(), torch.tensor([len(weights)])
            before = self._seen.get(kind, (torch.zeros_like(sums), torch.zeros_like(count)))
            self._seen[kind] = (before[0] + sums, before[1] + count)

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Put together what several workers counted; see `Recommender.add_counts`."""
        for sums, count in self._seen.values():
            add(sums)
            add(count)

    @property
    def _contrasts(self) -> bool:
        return self.moe is not None and self.config.contrast and self.config.contrast_weight > 0


def _initialise(module: nn.Module) -> None:
    """Linear layers as BERT's; a GRU and a LayerNorm start as torch makes them."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def chunks(lengths_B: IntArray, budget: int) -> Iterator[Any]:
    """Rows sorted by length, cut where a chunk's places, padding included, would exceed the budget."""
    order = np.argsort(lengths_B, kind="stable")
    start = 0
    for stop, row in enumerate(order):
        if stop > start and (stop + 1 - start) * int(lengths_B[row]) > budget:
            yield order[start:stop]
            start = stop
    if len(order) > start:
        yield order[start:]
