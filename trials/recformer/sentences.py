"""Items as sentences of attribute keys and values, and histories as sentences one behind the other.

Shape letters: `N` items, `S` tokens of all sentences, `B` histories, `L` places, `R` words that occur, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import MaskedLM
from trials.data.preparing.dataset import IntArray, SearchData
from trials.nn.ragged import Ragged

CLS, KEY, VALUE = 0, 1, 2
"""Token types."""
CLS_WORD, MASK_WORD = 0, 1
"""Rows of the word table that are no words of sentences."""

Pairs = list[tuple[str, str]]
"""Keys and values of an item."""


@dataclass(frozen=True)
class Tokens:
    """What the encoder reads: `[CLS]`, then the sentences of items, the latest first; padding on the right is 0.

    Args:
        words_BL: Rows of the word table.
        types_BL: `CLS`, `KEY` or `VALUE`.
        items_BL: Which item a token is of: 1 is the latest, 0 is `[CLS]`.
        lengths_B: Tokens of each history.
    """

    words_BL: IntArray
    types_BL: IntArray
    items_BL: IntArray
    lengths_B: IntArray

    def __len__(self) -> int:
        return len(self.lengths_B)

    def rows(self, start: int, stop: int) -> Tokens:
        """Histories `start` to `stop - 1`."""
        part = slice(start, stop)
        return Tokens(self.words_BL[part], self.types_BL[part], self.items_BL[part], self.lengths_B[part])


@dataclass(frozen=True)
class Sentences:
    """The sentences of all items, in rows of a table that has the words that occur and no others.

    Args:
        words: `N` sentences.
        types_S: Of their tokens.
        table_RD: The backbone's embeddings of `[CLS]`, of `[MASK]` and of the words.
        max_items: Latest items of a history that are read.
        max_tokens: Of a history, `[CLS]` included.
    """

    words: Ragged
    types_S: IntArray
    table_RD: Tensor
    max_items: int
    max_tokens: int

    def kept(self, history: IntArray) -> IntArray:
        """The items of a history that are read, the latest first: whole sentences, but of the latest always."""
        items: IntArray = history[-self.max_items :][::-1].astype(np.int64)
        fitting = 1 + np.cumsum(self.words.lengths()[items]) <= self.max_tokens
        return items[: max(1, int(fitting.sum()))]

    def length(self, items: IntArray) -> int:
        """Tokens of a history of `kept` items."""
        return min(self.max_tokens, 1 + int(self.words.lengths()[items].sum()))

    def assemble(self, histories: Sequence[IntArray]) -> Tokens:
        """Lay out histories of `kept` items.

        Source: Li et al., KDD 2023, model inputs: `X = {[CLS], T_n, ..., T_1}`, item places counted in this
        order, from the latest.
        """
        items = np.concatenate(histories)
        counts_B = np.array([len(history) for history in histories])
        sentences = self.words.take(items)
        nth = 1 + np.arange(len(items)) - np.repeat(np.cumsum(counts_B) - counts_B, counts_B)
        ends_B = np.concatenate([[0], np.cumsum(counts_B)])
        lengths_B = 1 + np.diff(sentences.offsets[ends_B])
        columns_L = np.arange(lengths_B.max())
        words_BL = np.zeros((len(histories), len(columns_L)), dtype=np.int64)
        types_BL, items_BL = np.zeros_like(words_BL), np.zeros_like(words_BL)
        of_items_BL = (columns_L >= 1) & (columns_L < lengths_B[:, None])
        words_BL[of_items_BL] = sentences.values
        types_BL[of_items_BL] = Ragged(self.types_S, self.words.offsets).take(items).values
        items_BL[of_items_BL] = np.repeat(nth, sentences.lengths())
        most = self.max_tokens  # the latest item's sentence may be longer all alone
        return Tokens(words_BL[:, :most], types_BL[:, :most], items_BL[:, :most], np.minimum(lengths_B, most))


def attribute_pairs(data: SearchData, attributes: Sequence[str] | None) -> list[Pairs]:
    """Keys and values of every item; an item of which nothing is known has its title, which names it in the file.

    Raises:
        InputError: If the data lacks an attribute.
    """
    # Sorted, since a package's attributes come in another order than the files'.
    read = sorted(data.attributes, key=lambda name: (name != "title", name))
    names = [name for name in read if name != "description"] if attributes is None else attributes
    if unknown := [name for name in names if name not in data.attributes]:
        raise InputError(
            f"attributes: data {data.name} must have each, got {', '.join(unknown)}; it has "
            f"{', '.join(data.attributes)}; name those, or leave attributes out to read all"
        )
    columns = [(name, data.attributes[name]) for name in names]
    return [
        [(name, column[item]) for name, column in columns if column[item].split()] or [("item", data.titles[item])]
        for item in range(data.num_items)
    ]


def vocabulary_texts(pairs: Sequence[Pairs]) -> list[str]:
    """All that a tokenizer has to know."""
    return sorted({text for item in pairs for pair in item for text in pair})


def tokenise(
    lm: MaskedLM, pairs: Sequence[Pairs], max_attribute_tokens: int, max_items: int, max_tokens: int
) -> Sentences:
    """Sentences as the backbone's tokens.

    Args:
        lm: The backbone.
        pairs: Of every item.
        max_attribute_tokens: First tokens of a key and its value that are kept.
        max_items: As of `Sentences`.
        max_tokens: Likewise.
    """
    flat = [pair for item in pairs for pair in item]
    keys = sorted({key for key, _ in flat})
    key_ids = dict(zip(keys, lm.tokenize(keys), strict=True))
    values = lm.tokenize([value for _, value in flat])
    tokens, types = [], []
    for (key, _), value in zip(flat, values, strict=True):
        tokens.append([*key_ids[key], *value][:max_attribute_tokens])
        types.append(([KEY] * len(key_ids[key]) + [VALUE] * len(value))[:max_attribute_tokens])
    attributes = Ragged.of(tokens)
    first_of_item = np.concatenate([[0], np.cumsum([len(item) for item in pairs])])
    ids_R, words_S = np.unique(attributes.values, return_inverse=True)
    special = torch.tensor([lm.cls_id, lm.mask_id])
    table_RD = lm.words_VD[torch.cat([special, torch.from_numpy(ids_R)])].clone()
    words = Ragged(words_S.reshape(-1) + len(special), attributes.offsets[first_of_item])
    return Sentences(words, Ragged.of(types).values, table_RD, max_items, max_tokens)
