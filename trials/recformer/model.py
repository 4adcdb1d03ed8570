"""RecFormer as a recommender. Shape letters: `B` histories, `L` places, `D` width, `N` items, `C` items of a batch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.encoders.masked_lm import MaskedLM
from trials.backbones.encoders.text_encoder import mean_pool
from trials.data.preparing.dataset import IntArray, Queries, SearchData
from trials.recformer.batches import Batch, Batcher, Hidden
from trials.recformer.config import RecFormerConfig
from trials.recformer.encoder import HiddenWords, RecFormerEncoder
from trials.recformer.sentences import Sentences, Tokens
from trials.training.item_memory import ItemMemory
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import chunks

CHUNK_TOKENS = 8192
"""Tokens that encoding without a gradient puts through the model at once."""

PRETRAINING, STAGE_1, STAGE_2 = 0, 1, 2


class RecFormerModel(Recommender):
    """Sequences and items through one language model, compared by cosine.

    Source: Li et al., KDD 2023. Pre-training: `L = L_IIC + λ L_MLM`, a history's next item among those of
    the batch, and hidden words. Two-stage fine-tuning (Algorithm 1): softmax over all items, whose vectors are
    constants of the loss: in stage 1 they are encoded anew at the start of every epoch, in stage 2 they are those of
    stage 1's best epoch, from whose weights it starts. Differs: pre-training reads the data that is fine-tuned on, as
    other domains are not to be had, and starts from a sentence encoder; the batch's items are its different targets, so
    that none is its own negative; words are hidden in sequences and not in single items; a stage has a number of
    epochs, and the loop's early stopping is over both.

    Args:
        config: Losses, epochs, and how much is read.
        lm: The backbone, of which this model trains a copy.
        sentences: Of all items.
        data: Whose training sequences.
    """

    stage: Tensor

    def __init__(self, config: RecFormerConfig, lm: MaskedLM, sentences: Sentences, data: SearchData) -> None:
        super().__init__()
        self.config, self.sentences = config, sentences
        self.batcher = Batcher(config, data, sentences)
        self.encoder = RecFormerEncoder(lm, sentences, config.attention_window)
        self.hidden_words: HiddenWords | None = None
        if config.pretrain_epochs and config.lambda_mlm:
            self.hidden_words = HiddenWords(lm, len(sentences.table_RD))
        weights = sum(weight.numel() for weight in self.parameters())
        self.memory = ItemMemory(data.num_items, lm.hidden_size, weights if config.stage2_from < config.epochs else 0)
        self.register_buffer("stage", torch.tensor(PRETRAINING if config.pretrain_epochs else STAGE_1))
        self._encoded_items = 0
        self._encode_seconds = 0.0

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """One pass over the users, after what the stage does with the items; see the class."""
        self._encoded_items, self._encode_seconds = 0, 0.0
        pretrains = epoch < self.config.pretrain_epochs
        self.stage.fill_(PRETRAINING if pretrains else STAGE_1 if epoch < self.config.stage2_from else STAGE_2)
        if self.stage == STAGE_1:
            self._refresh_items()
        elif self.stage == STAGE_2 and epoch == self.config.stage2_from:
            self.memory.return_to_best(self.parameters())
        yield from self.batcher.epoch(rng, pretrains=pretrains)

    def num_batches(self) -> int:
        """Batches an epoch; some may be smaller."""
        return len(self.batcher)

    def loss(self, batch: Batch) -> Losses:
        """In pre-training `items` and `words` (weighted by λ), in fine-tuning `next`."""
        states_BD = self._pooled(batch.tokens)
        targets_C = torch.from_numpy(batch.targets_C).to(states_BD.device)
        anchors = slice(batch.first, batch.first + len(batch.tokens))
        if not batch.pretrains:
            return {"next": F.cross_entropy(self._similarities(states_BD, self.memory.items_ND), targets_C[anchors])}
        different_C, which_C = torch.unique(targets_C, return_inverse=True)
        vectors_CD = self._pooled(self._alone(different_C.cpu().numpy()))
        losses = {"items": F.cross_entropy(self._similarities(states_BD, vectors_CD), which_C[anchors])}
        if batch.hidden is not None:
            losses["words"] = self.config.lambda_mlm * self._hidden_words(batch.tokens, batch.hidden)
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of histories; in pre-training it tells them from all the batch's targets."""
        count = len(batch.tokens)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        part = batch.rows(first, stop) if first < stop else batch.rows(0, 1)
        weight = (stop - first) / count
        if not batch.pretrains:
            return part, {"next": weight}
        weights = {"items": weight}
        if batch.hidden is not None and part.hidden is not None:
            words = part.hidden.is_hidden_BL.sum() / batch.hidden.is_hidden_BL.sum()
            weights["words"] = float(words) if first < stop else 0.0
        return part, weights

    def after_validation(self, epoch: int, ranks_U: IntArray, metrics: Mapping[str, float]) -> None:
        """Remember the epoch if it is the best of stage 1."""
        if self.config.pretrain_epochs <= epoch < self.config.stage2_from:
            self.memory.consider(metrics[self.config.stage_metric], self.parameters())

    def diagnostics(self) -> dict[str, float]:
        """Of the epoch: its stage (0 is pre-training), items encoded and how long that took."""
        return {
            "recformer/stage": float(self.stage),
            "recformer/items_encoded": float(self._encoded_items),
            "time/encode_items_seconds": self._encode_seconds,
        }

    # ------------------------------------------------------------------ answering

    def start_evaluation(self) -> None:
        """Encode the items where nothing fixes them: in pre-training, or before any training."""
        if self.stage == PRETRAINING or not bool(self.memory.encoded):
            self._refresh_items()

    def scores(self, queries: Queries) -> Tensor:
        """Cosines `[B, N]` with every item, in [-1, 1].

        Raises:
            ValueError: If a history is empty.
        """
        histories = [queries.history(b) for b in range(len(queries))]
        if any(len(history) == 0 for history in histories):
            raise ValueError("RecFormer scores what follows an item, but a history is empty; leave such queries out")
        return self._similarities(
            self._encoded([self.sentences.kept(history) for history in histories]), self.memory.items_ND
        ) * (self.config.temperature)

    # ------------------------------------------------------------------ parts

    @torch.no_grad()
    def _refresh_items(self) -> None:
        started = time.perf_counter()
        was_training = self.training
        self.eval()
        try:
            self.memory.use(self._encoded(list(np.arange(len(self.sentences.words))[:, None])))
        finally:
            self.train(was_training)
        self._encoded_items += len(self.sentences.words)
        self._encode_seconds += time.perf_counter() - started

    def _encoded(self, histories: list[IntArray]) -> Tensor:
        """Vectors `[B, D]` of histories of kept items, those of similar length together."""
        vectors_BD = torch.empty(len(histories), self.memory.items_ND.shape[1], device=self.memory.items_ND.device)
        lengths = np.array([self.sentences.length(items) for items in histories], dtype=np.int64)
        for rows in chunks(lengths, CHUNK_TOKENS):
            pooled = self._pooled(self.sentences.assemble([histories[row] for row in rows]))
            vectors_BD[torch.from_numpy(rows).to(vectors_BD.device)] = pooled
        return vectors_BD

    def _alone(self, items_C: IntArray) -> Tokens:
        return self.sentences.assemble(list(items_C[:, None]))

    def _pooled(self, tokens: Tokens) -> Tensor:
        """Vectors `[B, D]` of histories or items."""
        with self._mixed():
            states_BLD: Tensor = self.encoder(tokens)
        if self.config.pooling == "cls":
            return states_BLD[:, 0].float()
        places_L = torch.arange(states_BLD.shape[1], device=states_BLD.device)
        return mean_pool(states_BLD.float(), places_L < self.encoder.lengths(tokens)[:, None])

    def _hidden_words(self, tokens: Tokens, hidden: Hidden) -> Tensor:
        assert self.hidden_words is not None
        device = self.memory.items_ND.device
        is_hidden_BL = torch.from_numpy(hidden.is_hidden_BL).to(device)
        with self._mixed():
            logits_HR = self.hidden_words(self.encoder(hidden.tokens)[is_hidden_BL], self.encoder.words_RD)
        return F.cross_entropy(logits_HR.float(), torch.from_numpy(tokens.words_BL).to(device)[is_hidden_BL])

    def _similarities(self, states_BD: Tensor, vectors_CD: Tensor) -> Tensor:
        return F.normalize(states_BD, dim=-1) @ F.normalize(vectors_CD, dim=-1).T / self.config.temperature

    def _mixed(self) -> torch.autocast:
        bfloat16 = self.config.precision == "bfloat16"
        return torch.autocast(self.memory.items_ND.device.type, torch.bfloat16, enabled=bfloat16)
