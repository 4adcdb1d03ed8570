"""REARANK as a recommender.

Shape letters: `B` prompts or queries, `G` answers to each, `R` = B times G, `K` candidates, `N` items, `M` decisions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from trials.backbones.decoders.candidate_prompts import Prompted, Prompts
from trials.backbones.decoders.decoder_lm import Tokenize
from trials.backbones.recommenders.frozen import Encoder, carried
from trials.backbones.recommenders.retrieved import Examples, retrieve, with_first
from trials.data.preparing.dataset import IntArray, Queries
from trials.rearank.answers import Answers
from trials.rearank.batch import Batch, Shown
from trials.rearank.config import RearankConfig
from trials.rearank.grpo import advantages, divergence, rewards, surrogate
from trials.rearank.policy import Policy
from trials.rearank.prompts import asked
from trials.training.measures.best_items import NO_ITEM
from trials.training.recommender import Losses, Recommender

_AT_ONCE = 4096
"""Tokens of prompts that are answered at once: more fall out of a CPU's cache."""


class RearankModel(Recommender):
    """A frozen recommender that makes a list, and a policy that reorders its top window by window.

    Source: Zhang et al., EMNLP 2025; CRAMER, appendix B.7, for what is passed to it. Windows of `window` items go from
    the end of the top to its beginning, by `step`. Trained by GRPO on lists of the retriever that hold the target:
    where there are more candidates than a window shows, a random part of them, as the paper draws several sets of
    passages for a query. Differs: a target is the user's next item, one a list; low-rank updates and not all weights
    are trained; see `Policy` for how lists are written.

    Args:
        config: Settings.
        policy: The language model.
        prompts: Makes its prompts.
        tokenize: Its tokenizer, for requests.
        retriever: Frozen; the model has a copy, whose weights are among its own.
        examples: What is trained on; None for a model that answers only, or learns nothing.
        requests_E: What was asked before each training interaction, empty if nothing.
        rank_met: Whether candidates may be in the history.
    """

    ranks_met: Tensor

    def __init__(
        self,
        config: RearankConfig,
        policy: Policy,
        prompts: Prompts,
        tokenize: Tokenize,
        retriever: Encoder,
        examples: Examples | None,
        requests_E: Sequence[str] = (),
        *,
        rank_met: bool,
    ) -> None:
        super().__init__()
        self.retriever = carried(retriever)
        self.policy = policy
        # Kept with the weights: a model that is served has no data set that says so.
        self.register_buffer("ranks_met", torch.tensor(rank_met))
        self._config = config
        self._prompts = prompts
        self._tokenize = tokenize
        self._examples = examples
        self._requests_E = requests_E if config.reads_requests else ()

    # ------------------------------------------------------------------ training

    def batches(self, epoch: int, rng: np.random.Generator) -> Iterator[Batch]:
        """The examples in a new order, with answers that the policy writes as it is when a round begins."""
        if self._examples is None:
            return
        order, size = rng.permutation(len(self._examples)), self._config.batch_size
        for start in range(0, len(order), size * self._config.rollout_batches):
            written = self.round(order[start : start + size * self._config.rollout_batches], rng)
            for first in range(0, len(written.missed_B), size):
                yield written.rows(first, min(first + size, len(written.missed_B)))

    def num_batches(self) -> int:
        """Batches an epoch; the last may be smaller."""
        return 0 if self._examples is None else -(-len(self._examples) // self._config.batch_size)

    @torch.no_grad()
    def round(self, rows: IntArray, rng: np.random.Generator) -> Batch:
        """A group of answers to each of these examples, drawn from the policy."""
        config = self._config
        shown, targets_B = self.examples(rows, rng)
        answers, old, reference = [], [], []
        for start, stop in self._parts(shown):
            prompted = self._prompted(shown.of(range(start, stop)))
            found = self.policy.write(prompted, shown.candidates_BK.shape[1], config.group_size, rng)
            answers.append(found)
            if config.rollout_batches > 1:
                old.append(self.policy.log_probs(prompted, found))
            if config.kl_weight:
                reference.append(self.policy.log_probs(prompted, found, reference=True))
        written = Answers.of(answers)
        tagged_R = written.ended_R | (config.reasoning_tokens == 0)
        shape = (len(rows), config.group_size)
        found_BG, best_B = rewards(written.orders_RK.reshape(*shape, -1), targets_B, tagged_R.reshape(shape))
        old_RM, reference_RM = (torch.cat(parts) if parts else None for parts in (old, reference))
        return Batch(shown, written, advantages(found_BG), best_B - found_BG.mean(1), old_RM, reference_RM)

    def examples(self, rows: IntArray, rng: np.random.Generator) -> tuple[Shown, IntArray]:
        """What prompts of these examples show, a window each, and the place of the target in it, `[B]`."""
        examples, window = self._examples, self._config.window
        assert examples is not None
        assert examples.candidates_EK is not None
        candidates_BK, targets_B1 = examples.candidates_EK[rows], examples.targets_E[rows, None]
        if candidates_BK.shape[1] > window:
            drawn_BK = np.where(candidates_BK == targets_B1, -1.0, rng.random(candidates_BK.shape))
            drawn_BK[candidates_BK == NO_ITEM] = 2.0
            kept_BW = np.sort(np.argsort(drawn_BK, axis=1)[:, :window], axis=1)  # in the retriever's order
            candidates_BK = np.take_along_axis(candidates_BK, kept_BW, axis=1)
        histories = [self._latest(examples.histories.row(row)) for row in rows.tolist()]
        requests = [self._requests_E[place] for place in examples.places_E[rows]] if len(self._requests_E) else None
        return Shown(histories, requests, candidates_BK), (candidates_BK == targets_B1).argmax(axis=1)

    def loss(self, batch: Batch) -> Losses:
        """`policy`, GRPO's surrogate over what the answers lack of the highest reward; `kl`, its divergence times β.

        What they lack has no gradient. The surrogate alone is about 0 however good they are.
        """
        log_RM = self.policy.log_probs(self._prompted(batch.shown), batch.answers)
        decided_RM = torch.from_numpy(batch.answers.decided()).to(log_RM.device)
        gains_R = torch.from_numpy(batch.advantages_BG.ravel()).to(log_RM)
        old_RM = log_RM.detach() if batch.old_RM is None else batch.old_RM
        missed = torch.from_numpy(batch.missed_B).to(log_RM).mean()
        losses = {"policy": missed + surrogate(log_RM, old_RM, gains_R, decided_RM, self._config.clip)}
        if batch.reference_RM is not None:
            losses["kl"] = self._config.kl_weight * divergence(log_RM, batch.reference_RM, decided_RM)
        return losses

    def share(self, batch: Batch, rank: int, workers: int) -> tuple[Batch, dict[str, float]]:
        """Every worker takes a run of prompts; all of them have written all answers."""
        count = len(batch.missed_B)
        first, stop = count * rank // workers, count * (rank + 1) // workers
        names = ["policy", *(["kl"] if batch.reference_RM is not None else [])]
        part = batch.rows(first, stop) if first < stop else batch.rows(0, 1)
        return part, dict.fromkeys(names, (stop - first) / count)

    # ------------------------------------------------------------------ answering

    def scores(self, queries: Queries) -> Tensor:
        """The retriever's scores `[B, N]`, but for the top of its list, which is in the order of the language model:
        its last item's score, and 1 more for each place above.

        Raises:
            ValueError: If a history is empty.
        """
        config = self._config
        scores_BN, candidates = retrieve(self.retriever, queries, config.num_candidates, rank_met=bool(self.ranks_met))
        requests = queries.requests if config.reads_requests else None
        histories = [self._latest(queries.history(b)) for b in range(len(queries))]
        ranked_BK = self.reordered(Shown(histories, requests, candidates.cpu().numpy()))
        ranked = torch.from_numpy(ranked_BK).to(scores_BN.device)
        values_K = torch.arange(ranked.shape[1], 0, -1, device=scores_BN.device, dtype=scores_BN.dtype)
        return with_first(scores_BN, ranked, values_K.expand(len(ranked), -1))

    def reordered(self, shown: Shown) -> IntArray:
        """The candidates `[B, K]` as the language model leaves them, the likeliest decisions taken."""
        ranked_BK = shown.candidates_BK.copy()
        for start in window_starts(ranked_BK.shape[1], self._config.window, self._config.step):
            window_BK = ranked_BK[:, start : start + self._config.window]
            rows = np.flatnonzero((window_BK != NO_ITEM).sum(axis=1) > 1)
            if not len(rows):
                continue
            part = shown.of(rows.tolist(), window_BK[rows])
            found = [
                self.policy.write(self._prompted(part.of(range(first, stop))), window_BK.shape[1])
                for first, stop in self._parts(part)
            ]
            window_BK[rows] = np.take_along_axis(window_BK[rows], Answers.of(found).orders_RK, axis=1)
        return ranked_BK

    # ------------------------------------------------------------------ parts

    @torch.no_grad()
    def condition(self, rows: IntArray, rng: np.random.Generator) -> None:
        """Fit a verbaliser of ours to the states of some examples, and to the places of their targets."""
        shown, targets_B = self.examples(rows, rng)
        states = [self.policy.states(self._prompted(shown.of(range(*part)))) for part in self._parts(shown)]
        self.policy.start(torch.cat(states), targets_B)

    def _parts(self, shown: Shown) -> list[tuple[int, int]]:
        """Runs of prompts that are answered at once, from the first to behind the last of each."""
        once, item = self._prompts.longest
        longest = once + item * (self._config.max_items + shown.candidates_BK.shape[1])
        size = max(1, _AT_ONCE // longest)
        return [(start, min(start + size, len(shown.histories))) for start in range(0, len(shown.histories), size)]

    def _prompted(self, shown: Shown) -> Prompted:
        tokens = None
        if shown.requests is not None:
            tokens = asked(self._tokenize, [text.strip() for text in shown.requests], self._config.max_request_tokens)
        return self._prompts.sequences(shown.histories, shown.candidates_BK, tokens)

    def _latest(self, history: IntArray) -> IntArray:
        return history[-self._config.max_items :]


def window_starts(count: int, window: int, step: int) -> list[int]:
    """Where windows over the first `count` places begin, in the order in which they are reordered: the last first.

    >>> window_starts(50, 20, 10), window_starts(25, 20, 10), window_starts(8, 20, 10)
    ([30, 20, 10, 0], [5, 0], [0])
    """
    return [*range(max(count - window, 0), 0, -step), 0]
