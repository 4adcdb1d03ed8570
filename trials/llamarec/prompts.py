"""What the language model reads: an instruction, a history and a pool of candidates, each behind its letter.

Shape letters: `B` prompts, `K` candidates, `S` tokens of all prompts, `N` items.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import Tokenize
from trials.data.preparing.dataset import IntArray
from trials.nn.ragged import Ragged
from trials.training.measures.best_items import NO_ITEM

HEAD = (
    "### Instruction:\nGiven user history in chronological order, recommend an item from the candidate pool with its "
    "index letter.\n\n### Input:\nUser history:\n"
)
POOL = "\nCandidate pool:\n"
RESPONSE = "\n### Response:\n"
LETTERS = [f"({letter})" for letter in string.ascii_uppercase]
_PARTS = [HEAD, POOL, RESPONSE, *LETTERS]


@dataclass(frozen=True)
class Prompted:
    """Prompts as tokens.

    Args:
        tokens: Token ids of each prompt; the state of its last token names a letter.
        ends_R: Flat index of the last token of each candidate's title, prompt by prompt.
        counts_B: How many candidates each prompt has, >= 1.
    """

    tokens: Ragged
    ends_R: IntArray
    counts_B: IntArray


@dataclass(frozen=True)
class Prompts:
    """Puts prompts together of pieces that are tokenised once.

    Source: Yue et al., PGAI at CIKM 2023, "ranking", whose template has these parts in this order.
    Differs: a line for every item.

    Args:
        pieces: Tokens of each item's title, `[N]`, then of the instruction, of what announces candidates and response,
            and of each letter.
    """

    pieces: Ragged

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.pieces) - len(_PARTS)

    @property
    def longest(self) -> tuple[int, int]:
        """Tokens of all that is there once and of a candidate's letter, and of the longest title."""
        lengths = self.pieces.lengths()
        letters = lengths[-len(LETTERS) :]
        return int(lengths[self.num_items : -len(LETTERS)].sum()), int(
            max(lengths[: self.num_items].max(initial=0) + letters.max(initial=0), 1)
        )

    def sequences(self, histories: Sequence[IntArray], candidates_BK: IntArray) -> Prompted:
        """The prompts of some histories.

        Args:
            histories: Items, oldest first.
            candidates_BK: In the order of their letters; `NO_ITEM`, behind them, where there are fewer.
        """
        head, pool, response, first_letter = range(self.num_items, self.num_items + 4)
        rows = []
        for history, candidates_K in zip(histories, candidates_BK, strict=True):
            shown = candidates_K[candidates_K != NO_ITEM]
            lettered = np.stack([first_letter + np.arange(len(shown)), shown], axis=1).ravel()
            rows.append(np.concatenate([[head], history, [pool], lettered, [response]]))
        chosen = Ragged.of(rows)
        taken = self.pieces.take(chosen.values)
        counts_B = (candidates_BK != NO_ITEM).sum(axis=1)
        # A prompt's pieces end with its candidates, of which each is the second of two, and the response.
        back_R = 2 * (np.repeat(np.cumsum(counts_B), counts_B) - np.arange(counts_B.sum()))
        pieces_R = np.repeat(chosen.offsets[1:], counts_B) - back_R
        return Prompted(Ragged(taken.values, taken.offsets[chosen.offsets]), taken.offsets[pieces_R + 1] - 1, counts_B)


def tokenised(tokenize: Tokenize, titles: Sequence[str], max_item_tokens: int, *, lines: bool) -> Ragged:
    """The pieces of all prompts.

    Args:
        tokenize: The backbone's.
        titles: `[N]`.
        max_item_tokens: Tokens kept of a title.
        lines: Whether a title ends its line; not where each is read by itself.
    """
    end = tokenize(["\n"])[0] if lines else []
    cut = [[*ids[:max_item_tokens], *end] for ids in tokenize([f" {title}" for title in titles])]
    return Ragged.of([*cut, *tokenize(_PARTS)])


def texts(titles: Sequence[str]) -> list[str]:
    """All that is tokenised, for a random model's vocabulary."""
    return [*_PARTS, *string.ascii_uppercase, *titles]


def letter_tokens(tokenize: Tokenize, count: int, backbone: str) -> IntArray:
    """The token of each of the first letters, as it begins a line: `[K]`.

    Raises:
        InputError: If the tokenizer has no token for each.
    """
    rows = tokenize(list(string.ascii_uppercase[:count]))
    ids = np.array([row[-1] if row else -1 for row in rows], dtype=np.int64)
    if ids.min() < 0 or len(np.unique(ids)) < count:
        raise InputError(
            f"backbone {backbone!r}: must have a token for each letter from A to {string.ascii_uppercase[count - 1]}, "
            "by which candidates are named; choose another one",
            fields=("backbone",),
        )
    return ids
