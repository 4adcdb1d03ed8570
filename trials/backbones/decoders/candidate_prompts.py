"""Prompts that show a language model a history and a pool of candidates, each behind its letter.

Shape letters: `B` prompts, `K` candidates, `S` tokens of all prompts, `N` items, `R` candidates of all prompts.
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

LETTERS = string.ascii_uppercase


@dataclass(frozen=True)
class Template:
    """What every prompt says.

    Args:
        head: Before the history.
        pool: Between history and candidates.
        response: Behind the candidates; the model goes on from it.
        letter: How a candidate's letter is shown, with `{}` in its place.
    """

    head: str
    pool: str
    response: str
    letter: str = "({})"

    @property
    def parts(self) -> list[str]:
        """All of it, in the order in which `Prompts` has it behind the items."""
        return [self.head, self.pool, self.response, *(self.letter.format(letter) for letter in LETTERS)]


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

    Source: Yue et al., LlamaRec, PGAI at CIKM 2023, "ranking", whose template has these parts in this order.
    Differs: a line for every item.

    Args:
        pieces: Tokens of each item's title, `[N]`, then of the template's parts.
    """

    pieces: Ragged

    @property
    def num_items(self) -> int:
        """N."""
        return len(self.pieces) - 3 - len(LETTERS)

    @property
    def longest(self) -> tuple[int, int]:
        """Tokens of all that is there once and of a candidate's letter, and of the longest title."""
        lengths = self.pieces.lengths()
        letters = lengths[-len(LETTERS) :]
        return int(lengths[self.num_items : -len(LETTERS)].sum()), int(
            max(lengths[: self.num_items].max(initial=0) + letters.max(initial=0), 1)
        )

    def sequences(
        self, histories: Sequence[IntArray], candidates_BK: IntArray, asked: Ragged | None = None
    ) -> Prompted:
        """The prompts of some histories.

        Args:
            histories: Items, oldest first.
            candidates_BK: In the order of their letters; `NO_ITEM`, behind them, where there are fewer.
            asked: `[B]` tokens that stand between history and candidates; None for none.
        """
        head, pool, response, first_letter = range(self.num_items, self.num_items + 4)
        pieces = self.pieces
        if asked is not None:
            offsets = np.concatenate([pieces.offsets, pieces.offsets[-1] + asked.offsets[1:]])
            pieces = Ragged(np.concatenate([pieces.values, asked.values]), offsets)
        rows = []
        for b, (history, candidates_K) in enumerate(zip(histories, candidates_BK, strict=True)):
            shown = candidates_K[candidates_K != NO_ITEM]
            lettered = np.stack([first_letter + np.arange(len(shown)), shown], axis=1).ravel()
            request = [] if asked is None else [[len(self.pieces) + b]]
            rows.append(np.concatenate([[head], history, *request, [pool], lettered, [response]]))
        chosen = Ragged.of(rows)
        taken = pieces.take(chosen.values)
        counts_B = (candidates_BK != NO_ITEM).sum(axis=1)
        # A prompt's pieces end with its candidates, of which each is the second of two, and the response.
        back_R = 2 * (np.repeat(np.cumsum(counts_B), counts_B) - np.arange(counts_B.sum()))
        pieces_R = np.repeat(chosen.offsets[1:], counts_B) - back_R
        return Prompted(Ragged(taken.values, taken.offsets[chosen.offsets]), taken.offsets[pieces_R + 1] - 1, counts_B)


def tokenised(
    tokenize: Tokenize, template: Template, titles: Sequence[str], max_item_tokens: int, *, lines: bool
) -> Ragged:
    """The pieces of all prompts.

    Args:
        tokenize: The backbone's.
        template: What they say.
        titles: `[N]`.
        max_item_tokens: Tokens kept of a title.
        lines: Whether a title ends its line; not where each is read by itself.
    """
    end = tokenize(["\n"])[0] if lines else []
    cut = [[*ids[:max_item_tokens], *end] for ids in tokenize([f" {title}" for title in titles])]
    return Ragged.of([*cut, *tokenize(template.parts)])


def texts(template: Template, titles: Sequence[str]) -> list[str]:
    """All that is tokenised, for a random model's vocabulary."""
    return [*template.parts, *LETTERS, *titles]


def letter_tokens(tokenize: Tokenize, count: int, backbone: str) -> IntArray:
    """The token of each of the first letters, as it begins a line: `[K]`.

    Raises:
        InputError: If the tokenizer has no token for each.
    """
    rows = tokenize(list(LETTERS[:count]))
    ids = np.array([row[-1] if row else -1 for row in rows], dtype=np.int64)
    if ids.min() < 0 or len(np.unique(ids)) < count:
        raise InputError(
            f"backbone {backbone!r}: must have a token for each letter from A to {LETTERS[count - 1]}, by which "
            "candidates are named; choose another one",
            fields=("backbone",),
        )
    return ids
