"""What P5 reads and writes: words, and numbers in pieces of two digits.

Shape letters: `B` prompts, `L` their tokens, `N` items, `C` pieces of an item's number.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, SearchData

PAD, START = 0, 1
TEMPLATES = (
    "given the purchase history of {user} : {history} , predict the next item ?",
    "here is what {user} has bought so far : {history} . which item comes next for the user ?",
    "{user} bought these items in order : {history} . recommend the next one",
    "what will {user} buy after {history} ?",
)
"""The first one is read in evaluation. Ours, in the manner of the paper's prompts 2-1 to 2-6, which generate."""
SEPARATOR = ","
STRANGER = "somebody"
_WORDS = sorted({word for text in TEMPLATES for word in re.findall(r"(?<!\{)\b[a-z]+\b(?!\})|[:.?,]", text)})
_TOKENS = [
    *("<pad>", "<start>", "user_", STRANGER),
    *_WORDS,
    *(f"{pair:02d}" for pair in range(100)),
    *(str(digit) for digit in range(10)),
]
IDS = {token: place for place, token in enumerate(_TOKENS)}
VOCABULARY = len(_TOKENS)
FIRST_PAIR = IDS["00"]


@dataclass(frozen=True)
class Prompts:
    """Prompts as tokens, padded on the right.

    Args:
        ids_BL: `PAD` where a prompt has ended.
        words_BL: Which word of its prompt a token is of, from 0; a number is one word.
    """

    ids_BL: IntArray
    words_BL: IntArray

    def __len__(self) -> int:
        return len(self.ids_BL)

    def rows(self, rows: slice) -> Prompts:
        """Some of them."""
        return Prompts(self.ids_BL[rows], self.words_BL[rows])


Words = list[list[int]]
"""A prompt: the tokens of each of its words."""


def number_pieces(number: int) -> list[int]:
    """A number's digits in pairs from the left, the last perhaps alone, as T5's vocabulary cuts most.

    >>> [_TOKENS[piece] for piece in number_pieces(15466)]
    ['15', '46', '6']
    """
    digits = str(number)
    return [IDS[digits[start : start + 2]] for start in range(0, len(digits), 2)]


def item_pieces(data: SearchData, indexing: Literal["sequential", "random"], rng: np.random.Generator) -> IntArray:
    """Tokens `[N, C]` of each item's number.

    All numbers have the same even count of digits, so that none begins another and no token has to end one: the first
    is 10, 1000 or 100000.
    """
    count, first = data.num_items, 10
    while count > 9 * first:
        first *= 100
    if indexing == "random":
        order = rng.permutation(count)
    else:
        named, places = np.unique(data.train_items, return_index=True)
        named = named[np.argsort(places, kind="stable")]
        order = np.concatenate([named, np.setdiff1d(np.arange(count), named)])
    numbers_N = np.empty(count, dtype=np.int64)
    numbers_N[order] = first + np.arange(count)
    pieces: list[IntArray] = []
    while (numbers_N > 0).any():
        pieces.insert(0, FIRST_PAIR + numbers_N % 100)
        numbers_N = numbers_N // 100
    return np.stack(pieces, axis=1)


def prompt(template: str, user: int, items: Sequence[list[int]]) -> Words:
    """A template of a user and a history, whose items are given as tokens."""
    words: Words = []
    for word in template.split():
        if word == "{user}":
            words.append([IDS[STRANGER]] if user == UNKNOWN_USER else [IDS["user_"], *number_pieces(user + 1)])
        elif word == "{history}":
            for place, item in enumerate(items):
                words += [[IDS[SEPARATOR]], item] if place else [item]
        else:
            words.append([IDS[word]])
    return words


def padded(prompts: Sequence[Words]) -> Prompts:
    """Prompts side by side."""
    lengths_B = np.array([sum(len(word) for word in words) for words in prompts])
    there_BL = np.arange(lengths_B.max()) < lengths_B[:, None]
    ids_BL, words_BL = np.full(there_BL.shape, PAD, dtype=np.int64), np.zeros(there_BL.shape, dtype=np.int64)
    ids_BL[there_BL] = [token for words in prompts for word in words for token in word]
    words_BL[there_BL] = [place for words in prompts for place, word in enumerate(words) for _ in word]
    return Prompts(ids_BL, words_BL)


def longest(max_items: int) -> int:
    """Words of the longest prompt."""
    return max(len(template.split()) for template in TEMPLATES) + 2 * max_items
