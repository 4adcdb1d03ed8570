"""The instruction of section 4.1: a list of items in words, one template for users and for single items.

Shape letters: `N` items, `S` tokens of all sequences of a batch, `B` sequences, `L` prefix tokens of a sequence,
`X` suffix tokens of a sequence, `R` tokens that are read out.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trials.backbones.decoders.decoder_lm import Tokenize
from trials.data.preparing.dataset import IntArray, SearchData
from trials.laser.config import Template
from trials.nn.ragged import Ragged

HEAD = (
    "You are an intelligent recommendation assistant. Please summarize the user's characteristics{phrase} based on the "
    "interaction history. In chronological order, the user has interacted with the following items:"
)
PHRASE = " into a single token"
ITEM_HEAD = (
    "You are an intelligent recommendation assistant. Please summarize the item characteristics into a single token:"
)
NUMBER = "\n>> {n}."

NOT_BY_DEFAULT = ("title", "description")
"""Attributes that are not put in brackets unless they are asked for."""


@dataclass(frozen=True)
class Heads:
    """What stands before the list, of users and of items."""

    user: str
    item: str


HEADS: Mapping[Template, Heads] = {
    "paper": Heads(HEAD.format(phrase=PHRASE), HEAD.format(phrase=PHRASE)),
    "no-phrase": Heads(HEAD.format(phrase=""), HEAD.format(phrase="")),
    "no-instruction": Heads("", ""),
    "two-instructions": Heads(HEAD.format(phrase=PHRASE), ITEM_HEAD),
}
"""The paper's template and those that Appendix D compares it with."""


def item_texts(data: SearchData, attributes: Sequence[str] | None) -> list[str]:
    """One text an item: ` Kaytee Aspen Bedding Bag (brand: Kaytee, category: Kaytee)`, with a blank in front.

    Args:
        data: Titles and attributes. An attribute without a value is left out; without any, so are the brackets.
        attributes: Names in order; None for all but title and description, by name, so that the order is the same
            wherever the data comes from.

    Raises:
        ValueError: If an attribute is not one of the data set's.
    """
    known = data.attributes
    keys = sorted(set(known) - set(NOT_BY_DEFAULT)) if attributes is None else list(attributes)
    if unknown := [key for key in keys if key not in known]:
        raise ValueError(
            f"attributes: must be among {', '.join(known) or '(none)'} of data {data.name!r}, "
            f"got {', '.join(unknown)}; leave them out"
        )
    columns = [(key, list(known[key])) for key in keys]
    texts = []
    for item, title in enumerate(data.titles):
        told = ", ".join(f"{key}: {column[item]}" for key, column in columns if column[item])
        texts.append(f" {title} ({told})" if told else f" {title}")
    return texts


@dataclass(frozen=True)
class Packed:
    """Input sequences `prefix, instruction, suffix` of a batch, one after the other (eq. 1).

    Args:
        ids_S: Word ids; 0 at virtual tokens.
        lengths_B: Tokens of each sequence.
        prefix_S: Flat index of the prefix tokens, `[B * L]`, sequence by sequence.
        suffix_S: Flat index of the suffix tokens, `[B * X]`.
        read_R: Flat index of the tokens that are read out: the suffix, or all of them where there is none.
        reads_B: How many of these each sequence has.
    """

    ids_S: Tensor
    lengths_B: IntArray
    prefix_S: Tensor
    suffix_S: Tensor
    read_R: IntArray
    reads_B: IntArray


class Instructions:
    """Heads, numbers and item texts as token ids; made once and shared by all trials of a process.

    The pieces are tokenised one by one, so that an item's tokens are the same at every place of a list.

    Args:
        tokenize: The backbone's.
        texts: Of the items; see `item_texts`.
        template: Which heads.
        max_items: Items of a list, >= 1.
        max_tokens: Tokens of a list.
        max_item_tokens: Tokens of one item's text, which is cut there.
        end: The backbone's end of text, for the variant that has it as suffix.
    """

    def __init__(
        self,
        tokenize: Tokenize,
        texts: Sequence[str],
        template: Template,
        *,
        max_items: int,
        max_tokens: int,
        max_item_tokens: int,
        end: int = 0,
    ) -> None:
        heads = HEADS[template]
        head, item_head, *numbers = tokenize(
            [heads.user, heads.item, *(NUMBER.format(n=n) for n in range(1, max_items + 1))]
        )
        self.max_tokens = max_tokens
        self._set(
            [_ids(row[:max_item_tokens]) for row in tokenize(texts)],
            [_ids(head), _ids(item_head), _ids([end])],
            [_ids(row) for row in numbers],
        )

    def _set(self, lines: list[IntArray], others: list[IntArray], numbers: list[IntArray]) -> None:
        self.lines = lines
        head, item_head, self.end = others
        self.heads = {False: head, True: item_head}
        self.numbers = numbers
        self.words_N = np.array([len(line) for line in lines], dtype=np.int64)
        self._number_tokens = np.cumsum([len(row) for row in numbers])

    def texts(self) -> Ragged:
        """What layers can read ahead: every item's text, then both heads and the end of text."""
        return Ragged.of([*self.lines, *self.heads.values(), self.end])

    def read(self, rows: Ragged) -> Instructions:
        """The same instructions in other ids: those of `texts` as layers have read them, one row a text.

        Without numbers: where an item stands in the list is said by its position.
        """
        other = copy.copy(self)
        ids = [rows.row(i) for i in range(len(rows))]
        other._set(ids[: len(self.lines)], ids[len(self.lines) :], [_ids([])] * len(self.numbers))
        return other

    @property
    def shortest_budget(self) -> int:
        """The smallest `max_tokens` in which every item has its place."""
        return int(self.words_N.max(initial=0)) + len(self.numbers[0])

    @property
    def most_tokens(self) -> int:
        """Tokens of the longest possible instruction."""
        return max(len(self.heads[False]) + self.max_tokens, int(self.item_lengths().max(initial=0)))

    def item_lengths(self) -> IntArray:
        """`[N]` tokens of each single item's instruction, without prefix and suffix."""
        return len(self.heads[True]) + len(self.numbers[0]) + self.words_N

    def kept(self, history: IntArray) -> IntArray:
        """The latest items of a history whose list fits into the budget, one at least."""
        latest = history[-len(self.numbers) :]
        if len(latest) < 2:
            return latest
        tokens = np.cumsum(self.words_N[latest[::-1]]) + self._number_tokens[: len(latest)]
        fitting = int(np.searchsorted(tokens, self.max_tokens, side="right"))
        return latest[-max(fitting, 1) :]

    def length(self, items: IntArray) -> int:
        """Tokens of the instruction for a user with these items, without prefix and suffix."""
        numbers = int(self._number_tokens[len(items) - 1]) if len(items) else 0
        return len(self.heads[False]) + numbers + int(self.words_N[items].sum())

    def ends(self, items: IntArray) -> IntArray:
        """Tokens of a user's instruction up to each item, the item among them."""
        ends: IntArray = len(self.heads[False]) + np.cumsum(self.words_N[items]) + self._number_tokens[: len(items)]
        return ends

    def ids(self, items: IntArray, *, single: bool = False) -> IntArray:
        """Token ids of an instruction: the head, then `>> 1. ...`, `>> 2. ...`, oldest first.

        Args:
            items: As `kept` gives them.
            single: For an item and not for a user, where the template makes a difference.
        """
        parts = [self.heads[single]]
        for number, item in zip(self.numbers, items, strict=False):
            parts += [number, self.lines[item]]
        return np.concatenate(parts)

    def pack(
        self,
        histories: Sequence[IntArray],
        *,
        prefix: int,
        suffix: int,
        single: bool = False,
        device: torch.device | str = "cpu",
    ) -> Packed:
        """Lay out `prefix, instruction, suffix` of each list of items (eq. 1).

        Args:
            histories: As `kept` gives them.
            prefix: Prefix tokens L.
            suffix: Suffix tokens X; 0 reads out all tokens.
            single: As `ids`.
            device: Where the tensors are wanted.
        """
        words = [self.ids(items, single=single) for items in histories]
        lengths_B = np.array([prefix + len(row) + suffix for row in words], dtype=np.int64)
        starts_B = np.cumsum(lengths_B) - lengths_B
        ends_B = starts_B + lengths_B
        prefix_S = (starts_B[:, None] + np.arange(prefix)).ravel()
        suffix_S = (ends_B[:, None] - suffix + np.arange(suffix)).ravel()
        ids_S = np.zeros(int(lengths_B.sum()), dtype=np.int64)
        is_word_S = np.ones(len(ids_S), dtype=bool)
        is_word_S[prefix_S] = False
        is_word_S[suffix_S] = False
        ids_S[is_word_S] = np.concatenate(words) if words else ids_S[:0]
        return Packed(
            ids_S=torch.from_numpy(ids_S).to(device),
            lengths_B=lengths_B,
            prefix_S=torch.from_numpy(prefix_S).to(device),
            suffix_S=torch.from_numpy(suffix_S).to(device),
            read_R=suffix_S if suffix else np.arange(len(ids_S)),
            reads_B=np.full(len(words), suffix) if suffix else lengths_B,
        )


def _ids(row: Sequence[int]) -> IntArray:
    return np.array(row, dtype=np.int64)
