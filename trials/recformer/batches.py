"""Training batches: whose histories a step reads, what follows each, and in pre-training which words are hidden.

Shape letters: `B` histories, `L` places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from trials.data.preparing.dataset import IntArray, SearchData
from trials.recformer.config import RecFormerConfig
from trials.recformer.sentences import MASK_WORD, Sentences, Tokens
from trials.training.rows.grouping import grouped
from trials.training.rows.targets import TargetDrawer


@dataclass(frozen=True)
class Hidden:
    """The hidden words of a batch.

    Args:
        tokens: As the batch's, with other words where some are hidden.
        is_hidden_BL: Where.
    """

    tokens: Tokens
    is_hidden_BL: NDArray[np.bool_]


@dataclass(frozen=True)
class Batch:
    """One step.

    Args:
        tokens: Of the histories that are read here.
        targets_C: The item after each history of the whole batch.
        first: Which of them is the first history's.
        hidden: In pre-training, where words are hidden at all.
        pretrains: Whether this is pre-training.
    """

    tokens: Tokens
    targets_C: IntArray
    first: int
    hidden: Hidden | None
    pretrains: bool

    def rows(self, start: int, stop: int) -> Batch:
        """Histories `start` to `stop - 1`, which are told from all the batch's targets."""
        hidden = self.hidden
        if hidden is not None:
            hidden = Hidden(hidden.tokens.rows(start, stop), hidden.is_hidden_BL[start:stop])
        return replace(self, tokens=self.tokens.rows(start, stop), first=self.first + start, hidden=hidden)


class Batcher:
    """Makes the batches of an epoch: one pass over the users with at least two training items.

    Args:
        config: Batch size, targets of a user, share of hidden words.
        data: Training sequences.
        sentences: Of all items.
    """

    def __init__(self, config: RecFormerConfig, data: SearchData, sentences: Sentences) -> None:
        self.config, self.data, self.sentences = config, data, sentences
        self.drawer = TargetDrawer(data.train_offsets, config.targets_per_user)

    def __len__(self) -> int:
        return -(-len(self.drawer) // self.config.batch_size)

    def epoch(self, rng: np.random.Generator, *, pretrains: bool) -> Iterator[Batch]:
        """The batches of one epoch, of histories of similar length, all drawn from `rng`."""
        users, places = self.drawer.draw(rng)
        targets = self.data.train_items[self.data.train_offsets[users] + places].astype(np.int64)
        histories = [
            self.sentences.kept(self.data.history(user)[:place])
            for user, place in zip(users.tolist(), places.tolist(), strict=True)
        ]
        lengths = np.array([self.sentences.length(items) for items in histories])
        for rows in grouped(lengths, self.config.batch_size, rng):
            tokens = self.sentences.assemble([histories[row] for row in rows])
            hidden = None
            if pretrains and self.config.lambda_mlm:
                hidden = hide(tokens, self.config.mask_ratio, len(self.sentences.table_RD), rng)
            yield Batch(tokens, targets[rows], 0, hidden, pretrains)


def hide(tokens: Tokens, ratio: float, num_words: int, rng: np.random.Generator) -> Hidden:
    """Hide a share of all words but `[CLS]`, one of every history at least.

    Source: Li et al., KDD 2023, pre-training, after BERT: of the hidden words 80 % become `[MASK]`, 10 % any other,
    and 10 % stay. Differs: pieces of words are hidden each by itself.
    """
    columns_L = np.arange(tokens.words_BL.shape[1])
    is_word_BL = (columns_L >= 1) & (columns_L < tokens.lengths_B[:, None])
    is_hidden_BL = is_word_BL & (rng.random(is_word_BL.shape) < ratio)
    is_hidden_BL[np.arange(len(tokens)), rng.integers(1, tokens.lengths_B)] = True
    fate_BL = rng.random(is_word_BL.shape)
    words_BL = np.where(is_hidden_BL & (fate_BL < 0.8), MASK_WORD, tokens.words_BL)
    drawn_BL = rng.integers(MASK_WORD + 1, num_words, size=words_BL.shape)
    words_BL = np.where(is_hidden_BL & (fate_BL >= 0.9), drawn_BL, words_BL)
    return Hidden(replace(tokens, words_BL=words_BL), is_hidden_BL)
