"""Prompts to be answered, and a round of answers to learn from.

Shape letters: `B` prompts, `G` answers to each, `R` = B times G, `K` candidates, `M` decisions of an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from trials.data.preparing.dataset import IntArray
from trials.rearank.answers import Answers
from trials.rearank.grpo import Floats


@dataclass(frozen=True)
class Shown:
    """What prompts show.

    Args:
        histories: `[B]` items, oldest first.
        requests: `[B]` texts, blank where nothing is asked; None where none is shown.
        candidates_BK: In the order that they have; `NO_ITEM` behind them where there are fewer.
    """

    histories: Sequence[IntArray]
    requests: Sequence[str] | None
    candidates_BK: IntArray

    def of(self, rows: Sequence[int], candidates_BK: IntArray | None = None) -> Shown:
        """Some of them, with other candidates if given."""
        requests = None if self.requests is None else [self.requests[row] for row in rows]
        found_BK = self.candidates_BK[list(rows)] if candidates_BK is None else candidates_BK
        return Shown([self.histories[row] for row in rows], requests, found_BK)


@dataclass(frozen=True)
class Batch:
    """Prompts, a group of answers to each, and what these were worth.

    Args:
        shown: The prompts.
        answers: `R` to them.
        advantages_BG: Of the answers.
        missed_B: What each prompt's answers lack of the highest reward, on average.
        old_RM: Their log-probabilities when they were written; None if this is the policy that wrote them.
        reference_RM: By the model as it began; None where it does not count.
    """

    shown: Shown
    answers: Answers
    advantages_BG: Floats
    missed_B: Floats
    old_RM: Tensor | None
    reference_RM: Tensor | None

    def rows(self, start: int, stop: int) -> Batch:
        """Prompts `start` to `stop - 1` with their answers."""
        group = self.advantages_BG.shape[1]
        first, last = start * group, stop * group
        old_RM, reference_RM = (None if one is None else one[first:last] for one in (self.old_RM, self.reference_RM))
        shown, answers = self.shown.of(range(start, stop)), self.answers.rows(first, last)
        return Batch(shown, answers, self.advantages_BG[start:stop], self.missed_B[start:stop], old_RM, reference_RM)
