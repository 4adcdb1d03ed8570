"""From a language model's states to a logit for each candidate that a prompt shows.

Shape letters: `B` prompts, `K` candidates, `R` states, `D` width, `E` answers.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trials.nn.whitening import whitening

IntArray = NDArray[np.integer[Any]]

VerbaliserKind = Literal["words", "letters", "titles"]
"""By the head's rows of the candidates' letters; by a vector of each letter's own, from the same states; or by one
vector for all, from the states behind the candidates' titles."""


class Verbaliser(nn.Module):
    """From states to a logit for each candidate.

    Source: Yue et al., LlamaRec, PGAI at CIKM 2023, "ranking": the head's logits of the letters' tokens alone, which is
    `words`. The others are ours: trained from zero, on whitened states, over a bias of each place.

    Args:
        words_KD: The head's rows of the letters.
        kind: By what.
    """

    centre_D: Tensor
    whitening_DD: Tensor

    def __init__(self, words_KD: Tensor, kind: VerbaliserKind) -> None:
        super().__init__()
        self.kind = kind
        if kind == "words":
            self.register_buffer("words_KD", words_KD.clone(), persistent=False)
            return
        count, width = words_KD.shape
        self.vectors_KD = nn.Parameter(torch.zeros(1 if kind == "titles" else count, width))
        self.bias_K = nn.Parameter(torch.zeros(count))
        self.register_buffer("centre_D", torch.zeros(width))
        self.register_buffer("whitening_DD", torch.eye(width))

    @torch.no_grad()
    def start(self, states_RD: Tensor, ridge: float, answers_E: IntArray | None) -> None:
        """Fit to some states and answers.

        Args:
            states_RD: From now on `P (h - m)` is read, with m their mean and P their whitening.
            ridge: Of the whitening.
            answers_E: The places of targets among candidates that are in the retriever's order, for the bias to start
                at, see `place_bias`; None if in none.
        """
        self.centre_D.copy_(states_RD.mean(0))
        self.whitening_DD.copy_(whitening(states_RD, ridge))
        if answers_E is not None:
            self.bias_K.copy_(place_bias(answers_E, len(self.bias_K)))

    def forward(self, states_RD: Tensor, counts_B: IntArray, count: int) -> Tensor:
        """Logits `[B, count]` of candidates; what there is for a missing one means nothing.

        Args:
            states_RD: One a prompt, or with `titles` one a candidate.
            counts_B: How many candidates each prompt has.
            count: K.
        """
        if self.kind == "words":
            return states_RD @ self.get_buffer("words_KD")[:count].T
        x_RD = (states_RD - self.centre_D) @ self.whitening_DD
        if self.kind == "letters":
            return F.linear(x_RD, self.vectors_KD[:count], self.bias_K[:count])
        there_BK = torch.from_numpy(np.arange(count) < counts_B[:, None]).to(x_RD.device)
        logits_BK = self.bias_K[:count].expand(there_BK.shape)
        return logits_BK + torch.zeros_like(logits_BK).masked_scatter(there_BK, x_RD @ self.vectors_KD[0])


def place_bias(answers_E: IntArray, count: int) -> Tensor:
    """`[K]` logarithms of each place's chance to have the target, as the likeliest power law has it.

    `p_k ~ k^-a`, a >= 0.01: each place's own count is noisy where targets are few, and the retriever's order, at which
    training starts, should be no worse for it.
    """
    logs_K = np.log(np.arange(1, count + 1))
    low, high = 0.01, 5.0
    for _ in range(40):  # the likeliest a is where the mean of log k is that of the answers; it falls with a
        a = (low + high) / 2
        chances_K = np.exp(-a * logs_K) / np.exp(-a * logs_K).sum()
        low, high = (a, high) if chances_K @ logs_K > logs_K[answers_E].mean() else (low, a)
    return torch.from_numpy(np.log(chances_K)).float()
