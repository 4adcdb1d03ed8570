"""Prompt-BERT as a recommender: a prompt goes in, the logits of all title tokens at [MASK] come out (section 3).

Shape letters: `B` prompts, `L` places, `D` width, `W` words, `N` items (and experts, where it says so), `M` branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.encoders.masked_lm import MaskedLM
from trials.data.preparing.dataset import Queries
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.interests import at_places
from trials.promptbert.parts import ROUTERS, InterestModel, chunks
from trials.promptbert.prompts import Prompts, PromptTokens, first_kept
from trials.promptbert.windows import Batch, Windows
from trials.training.recommender import Losses

_EVAL_TOKENS = 8192
"""Places that evaluation puts through the model at once."""


class PromptBERTModel(InterestModel):
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

    RATES: ClassVar[Mapping[str, str]] = {"encoder.": "encoder_rate", "embedding": "title_rate", **ROUTERS}

    def __init__(
        self, config: PromptBERTConfig, lm: MaskedLM, tokens: PromptTokens, windows: Windows, item_bias_N: Tensor
    ) -> None:
        super().__init__(config, lm.hidden_size)
        self.tokens = tokens
        self.windows = windows
        self.encoder, self.transform = lm.copies()
        self.embedding = nn.Parameter(tokens.table_RD.clone())
        self.item_bias = nn.Parameter(item_bias_N.clone())

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """Every window once; see `Windows.epoch`."""
        return self.windows.epoch(rng)

    def num_batches(self) -> int:
        """Steps an epoch."""
        return len(self.windows)

    def loss(self, batch: Batch) -> Losses:
        """`next`: cross-entropy at [MASK] among title tokens; `contrast`: its weighted loss, where there are pairs."""
        states_BD, moe_BLD = self.states(batch.prompts)
        targets_B = torch.from_numpy(np.asarray(batch.targets_B, dtype=np.int64)).to(states_BD.device)
        return self.losses(self.item_scores(states_BD), targets_B, moe_BLD, batch.prompts.lengths_B, batch.users_B)

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of whole groups of prompts, and weighs as many prompts and pairs as they hold."""
        one_B = np.ones(len(batch), dtype=np.int64)
        rows, weights = self.part(batch.prompts.lengths_B, one_B, rank, workers)
        return batch.rows(rows.start, rows.stop), weights

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
        states_BD = F.dropout(states_BD, self.config.head_dropout, self.training)
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
        for rows in chunks(lengths_B, _EVAL_TOKENS):
            prompts = self.tokens.assemble([statements_E2[starts_B[b] : offsets[b + 1]] for b in rows])
            scores_BN[torch.from_numpy(rows).to(scores_BN.device)] = self.item_scores(self.states(prompts)[0])
        return scores_BN

    def _fused(self, h_BLD: Tensor, valid_BL: Tensor, places_BP: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fused states `[B, P, D]` at some places, and the mixture's output `[B, L, D]` if there is one."""
        assert self.fusion is not None
        main_BLD, moe_BLD = h_BLD, None
        if self.moe is not None:
            moe_BLD, weights_BN = self.moe(h_BLD)
            main_BLD = moe_BLD
            self.note("gate", weights_BN)
        main_BPD = at_places(main_BLD, places_BP)
        branches = []
        if self.moe is not None:
            branches.append(main_BPD)
        if self.short is not None:
            branches.append(self.short(main_BLD, valid_BL, places_BP))
        if "long" in self.branches:
            branches.append(h_BLD[:, :1].expand(-1, places_BP.shape[1], -1))
        if self.config.residual_of == "encoder":
            main_BPD = at_places(h_BLD, places_BP)
        fused_BPD, alpha_BPM = self.fusion(branches, main_BPD)
        self.note("fusion", alpha_BPM.flatten(0, 1))
        return fused_BPD, moe_BLD
