"""Prompts that the targets of a user share, over statements that the first layers have read already.

A prompt of the paper tells a history and asks for one title. Here the prompts of neighbouring targets are one: each
statement is one token (`statements.py`), and behind the first n of them a [CLS] and a [MASK] of their own ask for the
title that followed. All later layers, the experts, both branches and their fusion are the paper's.

    [CLS]0  s1  s2  s3  ...        s_n reads [CLS]0 and s_1 .. s_n
            [CLS]1 [CLS]2 [CLS]3   read the same and themselves; their place is that of [CLS]0
            [MASK]1 [MASK]2 ...    likewise; their place is that of the statement that would come next

So a statement reads only backwards, where the paper's reads the whole prompt: otherwise it would know the titles that
its prompt is asked for. Wherever the paper has the one [CLS] of a prompt, a token here has the [CLS] of the prompt that
ends with it; an answer to a history is computed in the same way. Ratings are not told.

Shape letters: `B` prompts, `L` statements, `T` [MASK]s of a prompt, `Q` tokens of a prompt, `D` width, `N` items.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.data.preparing.dataset import IntArray, Queries
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.head import TitleHead
from trials.promptbert.interests import at_places
from trials.promptbert.parts import ROUTERS, InterestModel, chunks
from trials.promptbert.segments import Segments, SharedBatch
from trials.promptbert.statements import StatementStates
from trials.training.recommender import Losses

FRAME_SHARE = 0.3
"""Of [CLS] and [MASK] where they begin on statements, whose states are half as long and would hardly be seen beside."""

_EVAL_TOKENS = 8192
"""Tokens that evaluation puts through the model at once."""


class SharedPromptModel(InterestModel):
    """Prompt-BERT and its ablations over statements that were read ahead.

    Args:
        config: The method's settings.
        statements: States of statements and frame, and the layers that are left.
        transform: The masked-LM head's transform, if there is one; a copy is trained.
        segments: Makes training batches.
        item_bias_N: Initial bias of the items' logits.
    """

    RATES: ClassVar[Mapping[str, str]] = {"layers.": "encoder_rate", "titles": "title_rate", **ROUTERS}

    def __init__(
        self,
        config: PromptBERTConfig,
        statements: StatementStates,
        transform: nn.Module | None,
        segments: Segments,
        item_bias_N: Tensor,
    ) -> None:
        width = statements.items_ND.shape[1]
        super().__init__(config, width)
        self.segments = segments
        self.layers = copy.deepcopy(statements.later)
        self.transform = copy.deepcopy(transform)
        self.titles = nn.Parameter(statements.items_ND.clone())
        self.cls = nn.Parameter(statements.cls_D.clone())
        self.mask = nn.Parameter(statements.mask_D.clone())
        self.positions = nn.Parameter(statements.positions_PD[: config.max_tokens].clone())
        self.head = TitleHead(width, item_bias_N, config.head_dropout)

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[SharedBatch]:
        """Every target once; see `Segments.epoch`."""
        return self.segments.epoch(rng)

    def num_batches(self) -> int:
        """Steps an epoch, at most."""
        return len(self.segments)

    def loss(self, batch: SharedBatch) -> Losses:
        """`next`: cross-entropy at the [MASK]s; `contrast`: its weighted loss, where there are pairs."""
        states_BTD, z_BLD = self.states(batch)
        device = states_BTD.device
        asked_BT = torch.from_numpy(batch.asked_BT).to(device)
        targets_R = torch.from_numpy(batch.targets_BT).to(device)[asked_BT]
        return self.losses(self.head(states_BTD[asked_BT]), targets_R, z_BLD, batch.lengths_B, batch.users_B)

    def share(self, batch: SharedBatch, rank: int, workers: int) -> tuple[SharedBatch, dict[str, float]]:
        """Every worker takes a run of whole groups of prompts, and weighs as many [MASK]s and pairs as they hold."""
        rows, weights = self.part(batch.lengths_B, batch.asked_BT.sum(1), rank, workers)
        return batch.rows(rows.start, rows.stop), weights

    def states(self, batch: SharedBatch) -> tuple[Tensor, Tensor | None]:
        """States `[B, T, D]` at the [MASK]s, ready for the head, and the mixture's output `[B, L, D]` at statements."""
        with self._mixed():
            h_BLD, h_cls_BND, state_BTD = self.encode(batch)
            z_BLD = None
            if self.fusion is not None:
                read_BT = torch.from_numpy(batch.read_BT).to(state_BTD.device)
                state_BTD, z_BLD = self._fused(h_BLD, h_cls_BND, state_BTD, read_BT)
            if self.transform is not None:
                state_BTD = self.transform(state_BTD)
        return state_BTD.float(), z_BLD

    def encode(self, batch: SharedBatch) -> tuple[Tensor, Tensor, Tensor]:
        """The encoder's states `[B, L, D]` at statements, `[B, L + 1, D]` at [CLS] and `[B, T, D]` at [MASK]."""
        device = self.titles.device
        items_BL = torch.from_numpy(batch.items_BL).to(device)
        read_BT = torch.from_numpy(batch.read_BT).to(device)
        (count, length), asked = items_BL.shape, read_BT.shape[1]
        titles_BLD = F.embedding(items_BL, self.titles)
        cls_BND = self.cls.expand(count, length + 1, -1)
        masks_BTD = self.mask.expand(count, asked, -1)
        if self.config.join_statements:
            read_BND = F.pad(titles_BLD, (0, 0, 1, 0))
            counts_N1 = torch.arange(length + 1, device=device).clamp(min=1).unsqueeze(1)
            cls_BND = FRAME_SHARE * cls_BND + read_BND.cumsum(1) / counts_N1
            masks_BTD = FRAME_SHARE * masks_BTD + at_places(read_BND, read_BT)
        h_BQD = torch.cat(
            [
                titles_BLD + self.positions[1 : length + 1],
                cls_BND + self.positions[0],
                masks_BTD + F.embedding(read_BT + 1, self.positions),
            ],
            dim=1,
        )
        mask_B1QQ = sight(length, read_BT, h_BQD.dtype)
        for layer in self.layers:
            h_BQD = layer(h_BQD, mask_B1QQ)
        h_BLD, h_cls_BND, h_mask_BTD = torch.split(h_BQD, [length, length + 1, asked], dim=1)
        return h_BLD, h_cls_BND, h_mask_BTD

    def scores(self, queries: Queries) -> Tensor:
        """Logits `[B, N]` at the [MASK] that follows each history, which may be empty; the latest statements count."""
        offsets = np.asarray(queries.offsets)
        lengths_B = np.minimum(np.diff(offsets), self.config.max_tokens - 2)
        scores_BN = torch.empty(len(queries), len(self.head.bias), device=self.titles.device)
        for rows in chunks(2 * lengths_B + 2, _EVAL_TOKENS):
            histories = [queries.items[offsets[b + 1] - lengths_B[b] : offsets[b + 1]] for b in rows]
            states_RD = self.answers(histories)
            scores_BN[torch.from_numpy(rows).to(scores_BN.device)] = self.head(states_RD)
        return scores_BN

    def answers(self, histories: list[IntArray]) -> Tensor:
        """States `[B, D]` at the [MASK] behind each history."""
        return self.states(asking(histories))[0].squeeze(1)

    @torch.no_grad()
    def condition(self, histories: list[IntArray]) -> None:
        """Before any training, fit gate and head to what these histories give, and the vectors to single items.

        Args:
            histories: Items, oldest first, at most as many as a prompt holds.
        """
        self.eval()
        lengths = np.array([len(history) for history in histories])
        parts = [[histories[b] for b in rows] for rows in chunks(2 * lengths + 2, _EVAL_TOKENS)]
        if self.moe is not None and self.config.centre_gate:
            with self._mixed():
                cls = [self.encode(batch)[1][np.arange(len(batch)), batch.lengths_B] for batch in map(asking, parts)]
            self.moe.centre(torch.cat(cls).float())
        if self.config.condition_states == "whiten":
            self.head.whiten(torch.cat([self.answers(part) for part in parts]), self.config.whiten_ridge)
        items = np.arange(len(self.head.bias))
        alone = [self.answers([*part[:, None]]) for part in np.split(items, range(512, len(items), 512))]
        self.head.start_from(torch.cat(alone))
        self.start_evaluation()
        self.train()

    def _mixed(self) -> torch.autocast:
        return torch.autocast(self.titles.device.type, torch.bfloat16, enabled=self.config.precision == "bfloat16")

    def _fused(
        self, h_BLD: Tensor, h_cls_BND: Tensor, h_mask_BTD: Tensor, read_BT: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Fused states `[B, T, D]` at the [MASK]s, and the mixture's output `[B, L, D]` at statements."""
        assert self.fusion is not None
        z_BLD, z_mask_BTD = h_BLD, h_mask_BTD
        own_cls_BTD = at_places(h_cls_BND, read_BT)
        branches = []
        if self.moe is not None:
            gates_BQD = torch.cat([h_cls_BND[:, 1:], own_cls_BTD], dim=1)
            tokens_BQD = torch.cat([h_BLD, h_mask_BTD], dim=1)
            width, shape = tokens_BQD.shape[-1], tokens_BQD.shape
            p_RN = self.moe.weights(gates_BQD.reshape(-1, 1, width))
            z_BQD = self.moe.mix(tokens_BQD.reshape(-1, 1, width), p_RN).view(shape)
            z_BLD, z_mask_BTD = torch.split(z_BQD, [h_BLD.shape[1], h_mask_BTD.shape[1]], dim=1)
            self.note("gate", p_RN.view(*shape[:2], -1)[:, h_BLD.shape[1] :].flatten(0, 1))
            branches.append(z_mask_BTD)
        if self.short is not None:
            branches.append(self.short.continued(z_BLD, z_mask_BTD, read_BT))
        if "long" in self.branches:
            branches.append(own_cls_BTD)
        main_BTD = h_mask_BTD if self.config.residual_of == "encoder" else z_mask_BTD
        fused_BTD, alpha_BTM = self.fusion(branches, main_BTD)
        self.note("fusion", alpha_BTM.flatten(0, 1))
        return fused_BTD, None if self.moe is None else z_BLD


def asking(histories: list[IntArray]) -> SharedBatch:
    """Prompts with one [MASK], behind the whole of each history."""
    lengths_B = np.array([len(history) for history in histories], dtype=np.int64)
    items_BL = np.zeros((len(histories), lengths_B.max(initial=0)), dtype=np.int64)
    items_BL[np.arange(items_BL.shape[1]) < lengths_B[:, None]] = np.concatenate(histories)
    one_B1 = np.ones((len(histories), 1), dtype=bool)
    users_B = np.arange(len(histories))
    return SharedBatch(items_BL, lengths_B, lengths_B[:, None], one_B1, users_B, np.zeros_like(lengths_B)[:, None])


def sight(length: int, read_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """What each token of a shared prompt reads, as a mask to add to attention's logits: `[B, 1, Q, Q]`.

    Tokens are `length` statements, `length + 1` [CLS] and as many [MASK] as `read_BT` has columns.
    """
    count, asked = read_BT.shape
    places_L = torch.arange(1, length + 1, device=read_BT.device)
    own_BL = places_L.expand(count, -1)
    read_BQ = torch.cat([own_BL, torch.zeros_like(read_BT[:, :1]), own_BL, read_BT], dim=1)
    seen_BQL = read_BQ.unsqueeze(-1) >= places_L
    first_BQ1 = torch.ones_like(read_BQ, dtype=torch.bool).unsqueeze(-1)
    others_BQK = seen_BQL.new_zeros(*read_BQ.shape, length + asked)
    seen_BQQ = torch.cat([seen_BQL, first_BQ1, others_BQK], dim=-1)
    seen_BQQ = seen_BQQ | torch.eye(seen_BQQ.shape[1], dtype=torch.bool, device=seen_BQQ.device)
    unseen = torch.finfo(dtype).min
    return torch.zeros_like(seen_BQQ, dtype=dtype).masked_fill_(~seen_BQQ, unseen).unsqueeze(1)
