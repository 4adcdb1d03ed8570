"""The recommender: four losses in training, the last [SEQ] of a history in evaluation (sections 2.2 to 2.4).

Shape letters: `B` sequences, `R` read-out tokens, `A` items under alignment, `N` items, `D` width of the language
model, `W` width of a collaborative vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.data.preparing.dataset import IntArray, Queries
from trials.dual.batches import Batch, Batcher, share
from trials.dual.config import DualConfig
from trials.dual.inputs import ALIGN, SEQ, SentenceTokens, Tokens
from trials.dual.layer import BaseLayer, DALayer, FrozenLayer, Source, scenes
from trials.dual.layout import parse_layout
from trials.dual.projection import ItemProjection
from trials.nn.cf import CFModel, FrozenVectors
from trials.nn.losses import info_nce
from trials.nn.ragged import Ragged
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import chunks

_EVAL_TOKENS = 4096
"""Tokens that evaluation puts through the model at once: larger chunks fall out of a CPU's cache."""


class DualModel(Recommender):
    """DARec or MixRec, in any variant, around a frozen language model.

    Trained are the item projection, the embeddings of [ALIGN] and [SEQ], adapters, routers, the projections of
    collaborative vectors, and the CF model if it is joint. The special tokens have a small table of their own
    (2 x D); the frozen vocabulary is neither copied nor resized.

    Args:
        config: The method's settings.
        lm: The frozen language model, shared with other trials.
        sentences: Item sentences as tokens, likewise.
        batcher: Makes training batches.
        cf: CF model (joint), its vectors (frozen), or None in variants without it.
        item_bias_N: Initial `b_item`.
    """

    def __init__(
        self,
        config: DualConfig,
        lm: DecoderLM,
        sentences: SentenceTokens,
        batcher: Batcher,
        cf: CFModel | FrozenVectors | None,
        item_bias_N: Tensor,
    ) -> None:
        super().__init__()
        self.config = config
        self.lm = lm
        self.sentences = sentences
        self.batcher = batcher
        self.cf = cf
        self.layers = nn.ModuleList(self._layers())
        self.special_2D = nn.Parameter(_special_tokens(lm, added=sentences.join))
        self.items = ItemProjection(
            lm.hidden_size,
            item_bias_N,
            dropout=config.head_dropout,
            rank=_rank(config, cf),
            own_vectors=config.head != "collaborative",
            whitening=config.condition_states == "whiten",
        )
        self.input_dropout = nn.Dropout(config.input_dropout)
        self.input_dropout.eval()  # until training begins: `condition` reads states

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the users; see `Batcher`."""
        return self.batcher.epoch(rng)

    def num_batches(self) -> int:
        """Steps an epoch."""
        return len(self.batcher)

    def loss(self, batch: Batch) -> Losses:
        """`L = L_seq + λ1 L_align + λ2 L_cl + λ3 L_cf` (section 2.4), each part with its weight.

        Each part is the mean over its examples where the paper sums, so that no weight depends on a batch size.
        """
        config, device = self.config, self.special_2D.device
        users_B = torch.from_numpy(batch.users_B).to(device)
        if self.training and config.user_dropout:
            users_B = users_B.masked_fill(torch.rand(len(users_B), device=device) < config.user_dropout, -1)
        h_RD = self.hidden(self.sentences.sequences(batch.histories, device), self._users(users_B), "user")
        targets_R = torch.from_numpy(batch.targets_R).to(device)
        logits_RN = self.items(h_RD, SEQ, self._head_vectors())
        losses = {"seq": F.cross_entropy(logits_RN, targets_R, label_smoothing=config.label_smoothing)}

        contrast = batch.contrast
        wanted = [batch.align_A]
        if contrast is not None:
            wanted += [contrast.positive_P, contrast.negatives_PK.ravel()]
        # An item that several losses ask for goes through the language model once.
        items_A, rows = np.unique(np.concatenate(wanted), return_inverse=True)
        if len(items_A):
            h_AD = self._aligned(items_A)
            rows_A = torch.from_numpy(rows).to(device)
            count = len(batch.align_A)
            if count:
                targets_A = torch.from_numpy(batch.align_A).to(device)
                logits_AN = self.items(h_AD[rows_A[:count]], ALIGN, self._head_vectors())
                losses["align"] = config.lambda_align * F.cross_entropy(logits_AN, targets_A)
            if contrast is not None:
                pairs = len(contrast.positive_P)
                if config.condition_contrast:
                    h_RD, h_AD = self.items.condition(h_RD, SEQ), self.items.condition(h_AD, ALIGN)
                anchors_PD = h_RD[torch.from_numpy(contrast.read_P).to(device)]
                positives_PD = h_AD[rows_A[count : count + pairs]]
                negatives_PKD = h_AD[rows_A[count + pairs :].view(pairs, -1)]
                losses["cl"] = config.lambda_cl * info_nce(anchors_PD, positives_PD, negatives_PKD, config.temperature)
        if batch.pairs is not None:
            assert isinstance(self.cf, CFModel)
            losses["cf"] = config.lambda_cf * self.cf.loss(batch.pairs.to(device))
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """One worker's part of a batch; see `batches.share`."""
        return share(batch, rank, workers)

    def rate_factors(self) -> dict[str, float]:
        """By the names of trained parameters, factors on the learning rate."""
        return {name: self._of_part(name, "rate") for name, _ in self.named_parameters()}

    def decay_factors(self) -> dict[str, float]:
        """By the names of trained parameters, factors on the weight decay."""
        return {name: self._of_part(name, "decay") for name, _ in self.named_parameters()}

    def _of_part(self, name: str, what: str) -> float:
        """The config's factor for the part that a parameter belongs to; 1 for adapters and special tokens."""
        if name.startswith("items."):
            part = "head"
        elif ".router." in name:
            part = "router"
        elif name.startswith("cf.") or ".inject." in name:
            part = "cf"
        else:
            return 1.0
        return float(getattr(self.config, f"{part}_{what}"))

    @torch.no_grad()
    def condition(self, users_B: IntArray, histories: Ragged, items_A: IntArray) -> None:
        """Fit the item projection's constants to the states of some histories and items; before training."""
        device = self.special_2D.device
        states = []
        for rows in np.array_split(np.arange(len(users_B)), -(-len(users_B) // 64)):
            e_BW = self._users(torch.from_numpy(users_B[rows]).to(device))
            states.append(self.hidden(self.sentences.sequences(histories.take(rows), device), e_BW, "user"))
        align_AD = torch.cat([self._aligned(part) for part in np.array_split(items_A, -(-len(items_A) // 64))])
        if self.config.condition_states == "whiten":
            self.items.whiten(torch.cat(states), align_AD, self.config.whiten_ridge)
        else:
            self.items.centre(torch.cat(states), align_AD)

    @torch.no_grad()
    def start_from_texts(self) -> None:
        """Let each item's output vector begin at the conditioned state of a history that is the item alone."""
        device = self.special_2D.device
        items_N = np.arange(self.items.num_items)
        parts = []
        for part in np.array_split(items_N, -(-len(items_N) // 64)):
            alone = Ragged(part, np.arange(len(part) + 1))
            unknown_B = torch.full((len(part),), -1, device=device)
            h_BD = self.hidden(self.sentences.sequences(alone, device), self._users(unknown_B), "user")
            parts.append(self.items.condition(h_BD, SEQ))
        self.items.start_from(torch.cat(parts))

    def hidden(self, tokens: Tokens, collaborative_BW: Tensor | None, source: Source) -> Tensor:
        """Last hidden states `[R, D]` of the read-out tokens, `h_SEQ` or `h_ALIGN`, after the final norm.

        Args:
            tokens: Histories or items.
            collaborative_BW: `e_user` or `e_item` of each sequence; None without a CF model.
            source: Which of the two.
        """
        parts = self.lm.parts
        device = self.special_2D.device
        mixed = self.config.precision == "bfloat16"
        with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
            states_SD = self.input_dropout(parts.embed(tokens.ids_S).float())
            special_MD = self.special_2D[tokens.special].expand(len(tokens.special_M), -1)
            if tokens.worded_M is not None:
                special_MD = special_MD + states_SD[tokens.special_M] * tokens.worded_M.unsqueeze(1)
            states_SD = states_SD.index_copy(0, tokens.special_M, special_MD)
            states_SD = parts.add_positions(states_SD, tokens.positions_S)
            both = source == "user" and collaborative_BW is not None and self.config.injection == "and"
            items_MW = self._items(tokens.items_M) if both else None
            inner, last = scenes(tokens, parts, self.config.composition.second, collaborative_BW, source, items_MW)
            for i, layer in enumerate(self.layers):
                states_SD = layer(states_SD, last if i == len(self.layers) - 1 else inner)
            return parts.final_norm(states_SD).float()

    def scores(self, queries: Queries) -> Tensor:
        """`W_item h + b_item` at the last [SEQ] of the latest `max_items` items; `[B, N]` logits.

        An empty history is read as a lone [SEQ]; a user who was not in training has the mean user's vector.
        """
        device = self.special_2D.device
        histories = [queries.history(b)[-self.config.max_items :] for b in range(len(queries))]
        lengths = self._tokens(Ragged.of(histories))
        users_B = torch.from_numpy(np.asarray(queries.users_B, dtype=np.int64)).to(device)
        scores_BN = torch.empty(len(queries), self.items.num_items, device=device)
        for rows in chunks(lengths, _EVAL_TOKENS):
            tokens = self.sentences.sequences(Ragged.of([histories[b] for b in rows]), device, last=True)
            rows_C = torch.from_numpy(rows).to(device)
            h_CD = self.hidden(tokens, self._users(users_B[rows_C]), "user")
            scores_BN[rows_C] = self.items(h_CD, SEQ, self._head_vectors())
        return scores_BN

    def start_evaluation(self) -> None:
        """Count what the routers do in this round only."""
        for layer in self.dalayers():
            layer.forget_share()

    def add_counts(self, add: Callable[[Tensor], None]) -> None:
        """Put together what several workers' routers did; see `Recommender.add_counts`."""
        for layer in self.dalayers():
            layer.add_counts(add)

    def _tokens(self, histories: Ragged) -> IntArray:
        """Tokens of each history."""
        own_place = 0 if self.sentences.join else 1
        before = np.concatenate([[0], np.cumsum(self.batcher.words_N[histories.values] + own_place)])
        lengths: IntArray = before[histories.offsets[1:]] - before[histories.offsets[:-1]]
        return lengths

    def _head_vectors(self) -> Tensor | None:
        """`e_item` of all items, if they are the item projection's vectors."""
        return self.cf.all_item_vectors() if self.cf is not None and self.config.head == "collaborative" else None

    def _aligned(self, items_A: IntArray) -> Tensor:
        """`h_ALIGN`, `[A, D]`."""
        device = self.special_2D.device
        e_AW = None if self.cf is None else self.cf.item_vectors(torch.from_numpy(items_A).to(device))
        return self.hidden(self.sentences.alignments(items_A, device), e_AW, "item")

    def _users(self, users_B: Tensor) -> Tensor | None:
        """`e_user`, `[B, W]`; the mean over all users where a user is unknown (negative row)."""
        if self.cf is None:
            return None
        return _or_mean(self.cf.user_vectors, self.cf.all_user_vectors, users_B)

    def _items(self, items_M: Tensor) -> Tensor:
        """`e_item`, `[M, W]`; the mean over all items where a sequence has none (negative row)."""
        assert self.cf is not None
        return _or_mean(self.cf.item_vectors, self.cf.all_item_vectors, items_M)

    def dalayers(self) -> list[DALayer]:
        """The layers of two branches, from the input to the output; none in variants without them."""
        return [layer for layer in self.layers if isinstance(layer, DALayer)]

    def _layers(self) -> Iterator[nn.Module]:
        """The backbone's layers, every r-th of them adapted as the variant has it."""
        config, width, made_of = self.config, self.lm.hidden_size, self.config.composition
        every = config.replace_every
        count = self.lm.num_layers // every
        layout = parse_layout(config.layout if made_of.searched else "serial", count)
        for k, parts in enumerate(self.lm.parts.layers, start=1):
            if made_of.layers == "frozen" or k % every:
                yield FrozenLayer(parts)
            elif made_of.layers == "base":
                yield BaseLayer(parts, width, config.bottleneck)
            else:
                yield DALayer(
                    parts,
                    width,
                    config.bottleneck,
                    layout[k // every - 1],
                    collaborative_width=None if self.cf is None else self.cf.width,
                    hard_routing=config.hard_routing,
                    router_floor=config.router_floor,
                    collaborative_norm=config.collaborative_norm,
                )


def _or_mean(rows_of: Callable[[Tensor], Tensor], every: Callable[[], Tensor], rows: Tensor) -> Tensor:
    """The vectors of some rows, and the mean of all vectors where a row is negative."""
    vectors = rows_of(rows.clamp(min=0))
    unknown = rows < 0
    if not bool(unknown.any()):
        return vectors
    return torch.where(unknown.unsqueeze(1), every().mean(0), vectors)


def _rank(config: DualConfig, cf: CFModel | FrozenVectors | None) -> int | None:
    """Width of the item vectors that the item projection is a product with; None for a free matrix."""
    if config.head == "collaborative":
        assert cf is not None
        return cf.width
    return config.head_rank if config.head == "low-rank" else None


def _special_tokens(lm: DecoderLM, *, added: bool) -> Tensor:
    """Initial embeddings of [ALIGN] and [SEQ]: normal, with the mean and spread of the vocabulary's channels.

    What is added to a word begins with no mean and a tenth of the spread: near the word.
    """
    mean_D, std_D = lm.vocabulary()
    drawn_2D = std_D * torch.randn(2, lm.hidden_size)
    return 0.1 * drawn_2D if added else mean_D + drawn_2D
