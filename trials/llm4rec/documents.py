"""What the language model reads: soft tokens of users and items among words, and what each document teaches.

Ids of tokens: first the R words that occur, then U users, then N items, and one for whoever was not in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trials.data.preparing.dataset import UNKNOWN_USER, IntArray
from trials.nn.ragged import Ragged

HAS, AND, WILL, FEATURES, ARE, CHOSE, WHICH = range(7)
PHRASES = (
    " has interacted with",
    ",",
    " will interact with",
    "The features of",
    " are:",
    " has chosen",
    ", which is described as:",
)


@dataclass(frozen=True)
class Document:
    """One sequence of tokens.

    Args:
        ids_L: Tokens.
        reads_R: Places whose states are read, ascending.
        targets_T: What is to be found there: one for each place, or all at the only one. Items, or words.
    """

    ids_L: IntArray
    reads_R: IntArray
    targets_T: IntArray


@dataclass(frozen=True)
class Documents:
    """Puts documents together.

    Source: Zhu et al., WWW 2024: a prompt of soft and hard tokens, then a main text of one kind alone, on which the
    loss is. Differs: there are no reviews in our data, so that what a user "writes" of an item is the item's text.

    Args:
        phrases: Words of each of `PHRASES`.
        texts: Words of each item's text, `[N]`.
        num_words: R.
        num_users: U.
    """

    phrases: Ragged
    texts: Ragged
    num_words: int
    num_users: int

    @property
    def first_item(self) -> int:
        """The id of item 0."""
        return self.num_words + self.num_users

    @property
    def stranger(self) -> int:
        """The id of a user who was not in training."""
        return self.first_item + len(self.texts)

    @property
    def longest_phrases(self) -> int:
        """Words and users of the longest document, besides its items or text."""
        lengths = self.phrases.lengths()
        rows = ([HAS, AND, WILL], [FEATURES, ARE], [CHOSE, WHICH])
        return max(int(lengths[row].sum()) for row in rows) + 2

    def going_on(self, user: int, items_K: IntArray) -> Document:
        """`<user> has interacted with <item> <item> ...`, of which each item is found from what is before it."""
        ids_L = np.concatenate([[self._user(user)], self.phrases.row(HAS), self.first_item + items_K])
        last = len(ids_L) - 1
        return Document(ids_L[:-1], np.arange(last - len(items_K), last), items_K)

    def naming(self, user: int, items_K: IntArray, held_out_T: IntArray) -> Document:
        """`<user> has interacted with <item> ..., <user> will interact with`, behind which held-out items are found."""
        soft = [self._user(user)]
        ids_L = np.concatenate(
            [
                soft,
                self.phrases.row(HAS),
                self.first_item + items_K,
                self.phrases.row(AND),
                soft,
                self.phrases.row(WILL),
            ]
        )
        return Document(ids_L, np.array([len(ids_L) - 1]), held_out_T)

    def describing(self, item: int, user: int | None) -> Document:
        """`The features of <item> are: ...` or `<user> has chosen <item>, which is described as: ...`, word by word."""
        token, text = [self.first_item + item], self.texts.row(item)
        if user is None:
            prompt = [self.phrases.row(FEATURES), token, self.phrases.row(ARE)]
        else:
            prompt = [[self._user(user)], self.phrases.row(CHOSE), token, self.phrases.row(WHICH)]
        ids_L = np.concatenate([*prompt, text])
        last = len(ids_L) - 1
        return Document(ids_L[:-1], np.arange(last - len(text), last), text)

    def _user(self, user: int) -> int:
        return self.stranger if user == UNKNOWN_USER else self.num_words + user


@dataclass(frozen=True)
class Packed:
    """Documents one behind the other.

    Args:
        tokens: Of each document.
        reads_B: How many places of each are read.
        read_R: Which, as flat indices.
        row_T: Which of them a target belongs to.
        targets_T: The targets.
    """

    tokens: Ragged
    reads_B: IntArray
    read_R: IntArray
    row_T: IntArray
    targets_T: IntArray


def packed(documents: Sequence[Document]) -> Packed:
    """Lay documents out."""
    tokens = Ragged.of([document.ids_L for document in documents])
    reads_B = np.array([len(document.reads_R) for document in documents])
    firsts = np.cumsum(reads_B) - reads_B
    rows = [
        first + (np.arange(count) if count > 1 else np.zeros(len(document.targets_T), dtype=np.int64))
        for first, count, document in zip(firsts, reads_B, documents, strict=True)
    ]
    return Packed(
        tokens,
        reads_B,
        np.concatenate([start + d.reads_R for start, d in zip(tokens.offsets[:-1], documents, strict=True)]),
        np.concatenate(rows),
        np.concatenate([document.targets_T for document in documents]).astype(np.int64),
    )
