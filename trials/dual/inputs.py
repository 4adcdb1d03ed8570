"""From item sentences to packed tokens: `T_1 [SEQ] T_2 [SEQ] ...` and `Prompt T_i [ALIGN]`.

Shape letters: `S` tokens of all sequences of a batch, `B` sequences, `M` items of all sequences, `R` read-out
tokens. Packing and its blocks are explained in `trials/nn/blocks.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.nn.blocks import Blocks
from trials.nn.ragged import Ragged

IntArray = NDArray[np.integer[Any]]

ALIGN, SEQ = 0, 1
"""Rows of the trained embedding of special tokens."""

PROMPT = "Give the ID of the item described by:"
"""Prompt of the semantic alignment (section 2.2.2)."""


@dataclass(frozen=True)
class Tokens:
    """Packed tokens of a batch of sequences.

    Args:
        ids_S: Word token ids; 0 at special tokens.
        positions_S: Position of each token in its sequence, from 0.
        special: `ALIGN` or `SEQ`.
        special_M: Index of each special token: one at the end of every item.
        worded_M: With `join`, whether the special token stands on a word; None where special tokens have places of
            their own.
        owner_M: Sequence of each item.
        items_M: Row of each item; -1 for the lone special token of an empty sequence.
        sequences: Blocks by sequence.
        items: Blocks by item; an item's block includes its special token, and the prompt in front of it.
        read_R: Index of the special tokens that are read out: all of them, or the last of each sequence.
        reads: Blocks of the read-out tokens by sequence.
        read_items_R: The items that the read-out tokens belong to.
    """

    ids_S: Tensor
    positions_S: Tensor
    special: int
    special_M: Tensor
    worded_M: Tensor | None
    owner_M: Tensor
    items_M: Tensor
    sequences: Blocks
    items: Blocks
    read_R: Tensor
    reads: Blocks
    read_items_R: Tensor


class SentenceTokens:
    """Item sentences as token ids, cut to a length; made once and shared by all trials of a process.

    Args:
        sentences: `[N]` rows of ids, each cut to the longest allowed.
        prompt: Ids of the alignment prompt.
        join: Whether a special token is added to its item's last word rather than put behind it.
    """

    def __init__(self, sentences: Ragged, prompt: IntArray, *, join: bool = False) -> None:
        self.sentences = sentences
        self.prompt = prompt
        self.join = join

    def sequences(self, histories: Ragged, device: torch.device | str, *, last: bool = False) -> Tokens:
        """`X_u = T_1 [SEQ] T_2 [SEQ] ...` of each history (section 2.2.3); an empty one becomes a lone [SEQ].

        Args:
            histories: Items of each sequence, oldest first.
            device: Where the tokens are wanted.
            last: Read out the last [SEQ] of each sequence only.
        """
        return self._pack(histories, np.zeros(0, dtype=np.int64), SEQ, device, last)

    def alignments(self, items: IntArray, device: torch.device | str) -> Tokens:
        """`{Prompt, T_i, [ALIGN]}` of each item (section 2.2.2).

        The prompt counts as part of the item: under the context mask its tokens and the sentence's see each
        other. Figure 11 of the paper, which would show it, is not legible in its text.
        """
        return self._pack(Ragged(items, np.arange(len(items) + 1)), self.prompt, ALIGN, device, False)

    def _pack(
        self, histories: Ragged, prefix: IntArray, special: int, device: torch.device | str, last: bool
    ) -> Tokens:
        counts_B = np.maximum(histories.lengths(), 1)
        owner_M = np.repeat(np.arange(len(histories)), counts_B)
        words_M = np.zeros(len(owner_M), dtype=np.int64)
        items_M = np.full(len(owner_M), -1, dtype=np.int64)
        real_M = np.repeat(histories.lengths() > 0, counts_B)
        items_M[real_M] = histories.values
        sentences = self.sentences.take(histories.values)
        words_M[real_M] = sentences.lengths()
        worded_M = words_M > 0
        lengths_M = len(prefix) + (np.maximum(words_M, 1) if self.join else words_M + 1)
        ends_M = np.cumsum(lengths_M)
        starts_M = ends_M - lengths_M

        ids_S = np.zeros(int(lengths_M.sum()), dtype=np.int64)
        is_word_S = np.ones(len(ids_S), dtype=bool)
        is_word_S[ends_M[~worded_M] - 1 if self.join else ends_M - 1] = False
        if len(prefix):
            places = starts_M[:, None] + np.arange(len(prefix))
            ids_S[places] = prefix
            is_word_S[places] = False
        ids_S[is_word_S] = sentences.values

        lengths_B = np.add.reduceat(lengths_M, np.cumsum(counts_B) - counts_B)
        positions_S = np.arange(len(ids_S)) - np.repeat(np.cumsum(lengths_B) - lengths_B, lengths_B)
        reads_B = np.ones_like(counts_B) if last else counts_B
        read_items_R = np.cumsum(counts_B) - 1 if last else np.arange(len(owner_M))

        def tensor(values: IntArray) -> Tensor:
            return torch.from_numpy(values).to(device)

        return Tokens(
            ids_S=tensor(ids_S),
            positions_S=tensor(positions_S),
            special=special,
            special_M=tensor(ends_M - 1),
            worded_M=torch.from_numpy(worded_M).to(device) if self.join else None,
            owner_M=tensor(owner_M),
            items_M=tensor(items_M),
            sequences=Blocks.of(lengths_B, device),
            items=Blocks.of(lengths_M, device),
            read_R=tensor(ends_M[read_items_R] - 1),
            reads=Blocks.of(reads_B, device),
            read_items_R=tensor(read_items_R),
        )
