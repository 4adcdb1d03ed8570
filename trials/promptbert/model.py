"""Prompt-BERT as a recommender: a prompt goes in, the logits of all title tokens at [MASK] come out (section 3).

Shape letters: `B` prompts, `L` places, `D` width, `W` words, `N` items (and experts, where it says so), `M` branches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.masked_lm import MaskedLM
from trials.data.dataset import IntArray, Queries
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.contrast import contrast, groups_of, pairs_of
from trials.promptbert.experts import MixtureOfExperts
from trials.promptbert.interests import Fusion, ShortTerm, at_places
from trials.promptbert.prompts import Prompts, PromptTokens, first_kept
from trials.promptbert.windows import Batch, Windows
from trials.training.recommender import Losses, Recommender

_EVAL_TOKENS = 8192
"""Places that evaluation puts through the model at once."""

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


class PromptBERTModel(Recommender):
    """Prompt-BERT and its ablations around a masked language model, all of whose parameters are trained.

    Words and title tokens share one table; the logits of the title tokens are their embeddings' products with the
    state at [MASK], after the language model's own transform where the checkpoint has a masked-LM head. A sentence
    encoder such as MiniLM has none; the state is then used as it is, since a transform that nobody trained would only
    stand between the state and the embeddings.

    Without the mixture (`without-moe`) the encoder's states take its place as the input of the short-term branch and
    as the main branch of the residual, but are no branch of the fusion; the paper does not say.

    Args:
        config: The method's settings.
        lm: The backbone, of which this model trains a copy.
        tokens: Pieces of prompts and the initial embeddings.
        windows: Makes training batches.
        item_bias_N: Initial bias of the title tokens' logits.
    """

    def __init__(
        self, config: PromptBERTConfig, lm: MaskedLM, tokens: PromptTokens, windows: Windows, item_bias_N: Tensor
    ) -> None:
        super().__init__()
        self.config = config
        self.tokens = tokens
        self.windows = windows
        self.encoder, self.transform = lm.copies()
        self.embedding = nn.Parameter(tokens.table_RD.clone())
        self.item_bias = nn.Parameter(item_bias_N.clone())
        width, self.branches = lm.hidden_size, BRANCHES[config.variant]
        self.moe: MixtureOfExperts | None = None
        self.short: ShortTerm | None = None
        self.fusion: Fusion | None = None
        if "moe" in self.branches:
            self.moe = MixtureOfExperts(width, config.experts, config.top_k)
        if "short" in self.branches:
            self.short = ShortTerm(width, config.attention_heads)
        if self.branches:
            self.fusion = Fusion(
                width, len(self.branches), config.fusion_hidden, config.fusion_temperature, config.residual
            )
        for part in (self.moe, self.short, self.fusion):
            if part is not None:
                part.apply(_initialise)
        self._seen: dict[str, list[Tensor]] = {}

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Every window once; see `Windows.epoch`."""
        return self.windows.epoch(rng)

    def num_batches(self) -> int:
        """Steps an epoch."""
        return len(self.windows)

    def loss(self, batch: Batch) -> Losses:
        """`next`: cross-entropy at [MASK] among title tokens; `contrast`: its weighted loss, where there are pairs."""
        config = self.config
        states_BD, moe_BLD = self.states(batch.prompts)
        targets_B = torch.from_numpy(np.asarray(batch.targets_B, dtype=np.int64)).to(states_BD.device)
        losses = {"next": F.cross_entropy(self.item_scores(states_BD), targets_B)}
        if self._pairs(batch.prompts).any():
            assert moe_BLD is not None
            losses["contrast"] = config.contrast_weight * contrast(
                moe_BLD,
                batch.prompts.lengths_B,
                batch.users_B,
                window=config.contrast_window,
                temperature=config.contrast_temperature,
                group=config.contrast_group,
                similarity=config.contrast_similarity,
            )
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of whole groups of prompts, and weighs as many prompts and pairs as they hold."""
        groups = list(groups_of(len(batch.users_B), self.config.contrast_group if self._contrasts else 1))
        mine = groups[len(groups) * rank // workers : len(groups) * (rank + 1) // workers]
        pairs_B = self._pairs(batch.prompts)
        if not mine:
            return batch.rows(0, 1), {"next": 0.0, **({"contrast": 0.0} if pairs_B.any() else {})}
        first, stop = mine[0][0], mine[-1][1]
        weights = {"next": (stop - first) / len(batch.users_B)}
        if pairs_B.any():
            weights["contrast"] = float(pairs_B[first:stop].sum() / pairs_B.sum())
        return batch.rows(first, stop), weights

    def states(self, prompts: Prompts) -> tuple[Tensor, Tensor | None]:
        """States `[B, D]` at [MASK], ready for the product with embeddings, and the mixture's output `[B, L, D]`.

        The branches are computed at [MASK] only, where their sum is read; a place's own does not depend on the others'.
        """
        device = self.embedding.device
        mixed = self.config.precision == "bfloat16"
        ids_BL = torch.from_numpy(prompts.ids_BL).to(device)
        lengths_B = torch.from_numpy(prompts.lengths_B).to(device)
        places_B1 = torch.from_numpy(prompts.mask_B).to(device).unsqueeze(1)
        valid_BL = torch.arange(ids_BL.shape[1], device=device) < lengths_B.unsqueeze(1)
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            h_BLD = self.encoder(
                inputs_embeds=F.embedding(ids_BL, self.embedding), attention_mask=valid_BL.long()
            ).last_hidden_state
            moe_BLD = None
            state_B1D = at_places(h_BLD, places_B1)
            if self.fusion is not None:
                state_B1D, moe_BLD = self._fused(h_BLD, valid_BL, places_B1)
            if self.transform is not None:
                state_B1D = self.transform(state_B1D)
        return state_B1D.squeeze(1).float(), moe_BLD

    def item_scores(self, states_BD: Tensor) -> Tensor:
        """Logits `[B, N]` of the title tokens."""
        return F.linear(states_BD, self.embedding[self.tokens.num_words :], self.item_bias)

    def scores(self, queries: Queries) -> Tensor:
        """Logits `[B, N]` of the title tokens at the [MASK] that follows each history, which may be empty.

        The latest statements that fit are read. Ratings are said where the queries have them, and training said any.
        """
        ratings = queries.ratings if self.config.unrated_share < 1 else None
        statements_E2 = self.tokens.statements(queries.items, ratings)
        ends = np.concatenate([[0], np.cumsum(self.tokens.lengths(statements_E2))])
        offsets = np.asarray(queries.offsets)
        starts_B = first_kept(ends, offsets[:-1], offsets[1:], self.config.max_tokens - self.tokens.frame)
        lengths_B = self.tokens.frame + ends[offsets[1:]] - ends[starts_B]
        scores_BN = torch.empty(len(queries), len(self.item_bias), device=self.embedding.device)
        for rows in _chunks(lengths_B, _EVAL_TOKENS):
            prompts = self.tokens.assemble([statements_E2[starts_B[b] : offsets[b + 1]] for b in rows])
            scores_BN[torch.from_numpy(rows).to(scores_BN.device)] = self.item_scores(self.states(prompts)[0])
        return scores_BN

    def start_evaluation(self) -> None:
        """Count the gates' weights of this round only."""
        self._seen = {}

    def diagnostics(self) -> dict[str, float]:
        """Of the last evaluation: `gate/expert<e>`, mean weight of each expert, 0 where it was not among the chosen;
        `fusion/<branch>`, mean weight of each branch at [MASK]."""
        found: dict[str, float] = {}
        for kind, parts in self._seen.items():
            means = torch.cat(parts).mean(0).tolist()
            names = self.branches if kind == "fusion" else [f"expert{e}" for e in range(1, len(means) + 1)]
            found |= {f"{kind}/{name}": mean for name, mean in zip(names, means, strict=True)}
        return found

    @property
    def _contrasts(self) -> bool:
        return self.moe is not None and self.config.contrast and self.config.contrast_weight > 0

    def _pairs(self, prompts: Prompts) -> IntArray:
        """`[B]` pairs of windows in the contrast."""
        if not self._contrasts:
            return np.zeros(len(prompts), dtype=np.int64)
        return pairs_of(prompts.lengths_B, self.config.contrast_window)

    def _fused(self, h_BLD: Tensor, valid_BL: Tensor, places_BP: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fused states `[B, P, D]` at some places, and the mixture's output `[B, L, D]` if there is one."""
        assert self.fusion is not None
        main_BLD, moe_BLD = h_BLD, None
        if self.moe is not None:
            moe_BLD, weights_BN = self.moe(h_BLD)
            main_BLD = moe_BLD
            self._note("gate", weights_BN)
        main_BPD = at_places(main_BLD, places_BP)
        branches = []
        if self.moe is not None:
            branches.append(main_BPD)
        if self.short is not None:
            branches.append(self.short(main_BLD, valid_BL, places_BP))
        if "long" in self.branches:
            branches.append(h_BLD[:, :1].expand(-1, places_BP.shape[1], -1))
        fused_BPD, alpha_BPM = self.fusion(branches, main_BPD)
        self._note("fusion", alpha_BPM.flatten(0, 1))
        return fused_BPD, moe_BLD

    def _note(self, kind: str, weights: Tensor) -> None:
        if not self.training:
            self._seen.setdefault(kind, []).append(weights.detach().float().cpu())


def _initialise(module: nn.Module) -> None:
    """Linear layers as BERT's; a GRU and a LayerNorm start as torch makes them."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=INITIAL_STD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _chunks(lengths_B: IntArray, budget: int) -> Iterator[Any]:
    """Rows sorted by length, cut where a chunk's places, padding included, would exceed the budget."""
    order = np.argsort(lengths_B, kind="stable")
    start = 0
    for stop, row in enumerate(order):
        if stop > start and (stop + 1 - start) * int(lengths_B[row]) > budget:
            yield order[start:stop]
            start = stop
    if len(order) > start:
        yield order[start:]
