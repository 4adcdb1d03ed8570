"""LlamaRec as a recommender.

Shape letters: `B` prompts or queries, `K` candidates, `N` items, `D` width of the language model, `S` tokens.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from trials.backbones.decoders.candidate_prompts import Prompted, Prompts
from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.decoders.low_rank import LowRankAdapters
from trials.backbones.decoders.packed_run import run_decoder
from trials.backbones.recommenders.frozen import Encoder, carried
from trials.backbones.recommenders.retrieved import Examples, retrieve, with_first
from trials.data.preparing.dataset import IntArray, Queries
from trials.llamarec.config import LlamaRecConfig
from trials.llamarec.examples import drawn
from trials.nn.verbaliser import Verbaliser
from trials.training.recommender import Losses, Recommender
from trials.training.rows.grouping import chunks, grouped

_EVAL_TOKENS = 4096
"""Tokens that evaluation puts through the language model at once: larger chunks fall out of a CPU's cache."""


@dataclass(frozen=True)
class Batch:
    """Prompts and their answers.

    Args:
        histories: `[B]` the items that each shows, oldest first.
        candidates_BK: In the order of their letters.
        answers_B: Which of them came next.
    """

    histories: Sequence[IntArray]
    candidates_BK: IntArray
    answers_B: IntArray


class LlamaRecModel(Recommender):
    """A frozen retriever, and a language model with low-rank updates that ranks what it retrieves.

    Source: Yue et al., PGAI at CIKM 2023. Retrieval: the K best items of a recommender by ids. Ranking:
    cross-entropy of the target's letter among those of all candidates. Items that are not retrieved follow in
    the retriever's order, as in the paper's overall figures. Differs: the retriever is our SASRec, as there is no
    LRURec here, both by ids alone; the backbone is not quantised, and only the letters' logits are ever computed, where
    the authors train on the head's over all words; they number a history's items, and have no candidates among them,
    where here the data set's `rank_met` says whether there may be.

    Args:
        config: Settings.
        lm: The frozen language model, shared with other trials.
        prompts: Makes its prompts.
        words_KD: The head's rows of the letters.
        retriever: Frozen; the model has a copy, whose weights are among its own.
        examples: What the ranking is trained on; None for a model that answers only.
        rank_met: Whether candidates may be in the history.
    """

    ranks_met: Tensor

    def __init__(
        self,
        config: LlamaRecConfig,
        lm: DecoderLM,
        prompts: Prompts,
        words_KD: Tensor,
        retriever: Encoder,
        examples: Examples | None,
        *,
        rank_met: bool,
    ) -> None:
        super().__init__()
        self.retriever = carried(retriever)
        self.verbaliser = Verbaliser(words_KD, config.verbaliser)
        self.adapters = LowRankAdapters(lm, config.rank, config.alpha, config.adapter_dropout) if config.rank else None
        # Kept with the weights: a model that is served has no data set that says so.
        self.register_buffer("ranks_met", torch.tensor(rank_met))
        self._lm = lm
        if self.adapters is not None:
            self._lm = dataclasses.replace(lm, parts=self.adapters.attach(lm.parts))
        self._config = config
        self._prompts = prompts
        self._examples = examples

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """The examples in a new order, `batch_size` prompts of similar length at a time."""
        assert self._examples is not None
        lengths = np.minimum(self._examples.histories.lengths(), self._config.max_items)
        order = rng.permutation(len(self._examples))
        for rows in grouped(lengths, self._config.batch_size, rng, order):
            yield self.batch(rows, rng)

    def num_batches(self) -> int:
        """Batches an epoch; a few may be smaller."""
        count, size = 0 if self._examples is None else len(self._examples), self._config.batch_size
        return -(-count // size)

    def batch(self, rows: IntArray, rng: np.random.Generator) -> Batch:
        """These examples."""
        examples, config = self._examples, self._config
        assert examples is not None
        if examples.candidates_EK is None:
            candidates_BK = drawn(examples, rows, config.candidates, self._prompts.num_items, rng)
        else:
            candidates_BK = examples.candidates_EK[rows]
        answers_B = (candidates_BK == examples.targets_E[rows, None]).argmax(axis=1)
        return Batch([self._shown(examples.histories.row(row)) for row in rows.tolist()], candidates_BK, answers_B)

    def loss(self, batch: Batch) -> Losses:
        """`letter`: cross-entropy of the answers' letters."""
        logits_BK = self.logits(batch.histories, batch.candidates_BK)
        return {"letter": F.cross_entropy(logits_BK, torch.from_numpy(batch.answers_B).to(logits_BK.device))}

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of prompts."""
        count = len(batch.answers_B)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        rows = slice(first, stop) if first < stop else slice(0, 1)
        part = Batch(batch.histories[rows], batch.candidates_BK[rows], batch.answers_B[rows])
        return part, {"letter": (stop - first) / count}

    # ------------------------------------------------------------------ answering

    def scores(self, queries: Queries) -> Tensor:
        """The retriever's scores `[B, N]`, but for what it retrieves: its K-th score, plus how far each candidate's
        logit is above the lowest one's.

        Raises:
            ValueError: If a history is empty.
        """
        scores_BN, candidates = retrieve(
            self.retriever, queries, self._config.candidates, rank_met=bool(self.ranks_met)
        )
        candidates_BK = candidates.cpu().numpy()
        histories = [self._shown(queries.history(b)) for b in range(len(queries))]
        logits_BK = torch.empty(candidates.shape, device=scores_BN.device)
        lengths_B = self._prompts.sequences(histories, candidates_BK).tokens.lengths()
        for rows in chunks(lengths_B, _EVAL_TOKENS):
            there = torch.from_numpy(rows).to(scores_BN.device)
            logits_BK[there] = self.logits([histories[row] for row in rows], candidates_BK[rows])
        return with_first(scores_BN, candidates, logits_BK)

    # ------------------------------------------------------------------ parts

    @torch.no_grad()
    def condition(self, rows: IntArray, rng: np.random.Generator) -> None:
        """Fit a verbaliser of ours to the states of some examples, and to all answers; before training."""
        examples = self._examples
        assert examples is not None
        was_training = self.training
        self.eval()
        batch = self.batch(rows, rng)
        states = [
            self.states(self._prompts.sequences(batch.histories[start : start + 64], batch.candidates_BK[start:][:64]))
            for start in range(0, len(rows), 64)
        ]
        answers_E = None
        if examples.candidates_EK is not None:
            answers_E = (examples.candidates_EK == examples.targets_E[:, None]).argmax(axis=1)
        self.verbaliser.start(torch.cat(states), self._config.whiten_ridge, answers_E)
        self.train(was_training)

    def logits(self, histories: Sequence[IntArray], candidates_BK: IntArray) -> Tensor:
        """Each candidate's logit `[B, K]`."""
        prompted = self._prompts.sequences(histories, candidates_BK)
        logits_BK: Tensor = self.verbaliser(self.states(prompted), prompted.counts_B, candidates_BK.shape[1])
        return logits_BK

    def states(self, prompted: Prompted) -> Tensor:
        """States `[R, D]` of what the verbaliser reads, after the final norm: a prompt's last token, or its titles'."""
        device, tokens = self._lm.device, prompted.tokens
        if self._config.verbaliser == "titles":
            read_R, reads_B = prompted.ends_R, prompted.counts_B
        else:
            read_R, reads_B = tokens.offsets[1:] - 1, np.ones_like(prompted.counts_B)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._config.precision == "bfloat16"):
            states_SD = self._lm.parts.embed(torch.from_numpy(tokens.values).to(device)).float()
            return run_decoder(self._lm, states_SD, tokens.lengths(), read_R, reads_B).float()

    def _shown(self, history: IntArray) -> IntArray:
        return history[-self._config.max_items :]
