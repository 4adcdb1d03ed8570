"""Answers of the language model: reasoning and a list of letters, and how likely a list is.

Shape letters: `R` answers, `K` candidates, `S` steps of a list, `T` decisions of a reasoning at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.data.preparing.dataset import IntArray
from trials.nn.ragged import Ragged


@dataclass(frozen=True)
class Answers:
    """What was written, the G answers to a prompt beside each other.

    Args:
        thoughts_RT: Token by token what was decided while reasoning; what is behind the end means nothing.
        lengths_R: How many tokens that was.
        ended_R: Whether the last of them ended the reasoning; else it had to end.
        orders_RK: Places of candidates in the order in which they were written; those there are not come last.
        counts_R: How many candidates there are.
    """

    thoughts_RT: IntArray
    lengths_R: IntArray
    ended_R: NDArray[np.bool_]
    orders_RK: IntArray
    counts_R: IntArray

    def __len__(self) -> int:
        return len(self.orders_RK)

    @staticmethod
    def of(parts: Sequence[Answers]) -> Answers:
        """Answers to one group of prompts after another."""
        names = [field.name for field in fields(Answers)]
        return Answers(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def rows(self, start: int, stop: int) -> Answers:
        """Answers `start` to `stop - 1`."""
        names = [field.name for field in fields(Answers)]
        return Answers(*(getattr(self, name)[start:stop] for name in names))

    def decided(self) -> NDArray[np.bool_]:
        """`[R, T + K]` which decisions there were: tokens of the reasoning, then letters."""
        thoughts = np.arange(self.thoughts_RT.shape[1]) < self.lengths_R[:, None]
        return np.concatenate([thoughts, np.arange(self.orders_RK.shape[1]) < self.counts_R[:, None]], axis=1)


def chosen(logits_RK: Tensor, uniforms_R: Tensor | None) -> Tensor:
    """One of each row: the likeliest, or where each uniform number falls in the softmax. `[R]`."""
    if uniforms_R is None:
        return logits_RK.argmax(1)
    # In float64: what has no chance is never drawn, however small the number.
    mass_RK = logits_RK.double().softmax(1).cumsum(1)
    return (mass_RK <= uniforms_R[:, None] * mass_RK[:, -1:]).sum(1)


def list_log_probs(logits_RSK: Tensor, orders_RK: IntArray, decided_RK: Tensor) -> Tensor:
    """Log-probability `[R, K]` of each letter among those not yet written; 0 where there is none.

    Args:
        logits_RSK: At each step, or at the one that all go by.
        orders_RK: In which order they were written.
        decided_RK: Which steps there were.
    """
    count = orders_RK.shape[1]
    orders = torch.as_tensor(orders_RK, device=logits_RSK.device)[:, None].expand(-1, count, -1)
    if logits_RSK.shape[1] != count:  # steps behind the last, which are not decided, may be missing
        last = logits_RSK[:, -1:].expand(-1, count - logits_RSK.shape[1], -1)
        logits_RSK = torch.cat([logits_RSK, last], dim=1)
    in_order_RKK = logits_RSK.gather(2, orders)
    behind_KK = torch.ones(count, count, dtype=torch.bool, device=logits_RSK.device).triu()
    open_RKK = behind_KK & (decided_RK[:, None] | torch.eye(count, dtype=torch.bool, device=logits_RSK.device))
    scores_RK = in_order_RKK.masked_fill(~open_RKK, -torch.inf).log_softmax(2).diagonal(dim1=1, dim2=2)
    return scores_RK.masked_fill(~decided_RK, 0.0)


def padded(tokens: Ragged) -> IntArray:
    """Rows beside each other, padded on the right with 0."""
    lengths = tokens.lengths()
    there = np.arange(lengths.max(initial=0)) < lengths[:, None]
    rows = np.zeros(there.shape, dtype=np.int64)
    rows[there] = tokens.values
    return rows
