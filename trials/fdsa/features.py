"""What FDSA reads of items: words of their attributes, each attribute a vector, all of them weighed into one.

Shape letters: `N` items, `M` some of them, `K` attributes, `T` words of an attribute, `D` width.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor, nn

_WORD = re.compile(r"\w+")
NO_WORD = 0


def words_of(texts: Sequence[str]) -> list[list[str]]:
    """Lower-case words of each text, in order.

    >>> words_of(["Heat (1995)", ""])
    [['heat', '1995'], []]
    """
    return [_WORD.findall(text.lower()) for text in texts]


def number_words(columns: Sequence[Sequence[str]], max_words: int, min_items: int) -> tuple[Tensor, int]:
    """Number the words of attributes; the same word of two attributes is two words.

    Args:
        columns: For each attribute `[N]` texts.
        max_words: First known words of a text that are kept.
        min_items: Items that must have a word for it to be known.

    Returns:
        `[N, K, T]` numbers, `NO_WORD` where there is none, and how many numbers there are.
    """
    numbers: list[list[list[int]]] = []
    count = 1
    for column in columns:
        texts = words_of(column)
        having = Counter(word for text in texts for word in set(text))
        known = sorted(word for word, items in having.items() if items >= min_items)
        number = {word: count + place for place, word in enumerate(known)}
        count += len(known)
        numbers.append([[number[word] for word in text if word in number][:max_words] for text in texts])
    longest = max((len(text) for column in numbers for text in column), default=0)
    rows = [[text + [NO_WORD] * (longest - len(text)) for text in of_item] for of_item in zip(*numbers, strict=True)]
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), len(columns), longest), count


class ItemFeatures(nn.Module):
    """Vectors of items that come from their attributes alone.

    Source: Zhang et al., IJCAI 2019, section 3.2 and 3.3: an attribute's vector is the mean of its words', as theirs of
    texts; eq. 2 and 3 weigh attributes by one linear score each (vanilla attention). Differs: attributes of few values,
    category and brand, are read as words too, each with a vector of its own, and words start at random, where they
    took the topics of texts from word2vec; an attribute without a known word has no weight.

    Args:
        words_NKT: As of `number_words`.
        count: Likewise.
        width: `D`.
    """

    words_NKT: Tensor

    def __init__(self, words_NKT: Tensor, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("words_NKT", words_NKT, persistent=False)
        self.embedding = nn.Embedding(count, width)
        self.score = nn.Linear(width, 1)

    def forward(self, items_M: Tensor) -> Tensor:
        """Vectors `[M, D]`; of an item of which nothing is known, zeros."""
        words_MKT = self.words_NKT[items_M]
        is_word_MKT = words_MKT != NO_WORD
        count_MK = is_word_MKT.sum(-1)
        sums_MKD = (self.embedding(words_MKT) * is_word_MKT[..., None]).sum(-2)
        vectors_MKD = sums_MKD / count_MK.clamp(min=1)[..., None]
        scores_MK = self.score(vectors_MKD).squeeze(-1).masked_fill(count_MK == 0, torch.finfo(torch.float32).min)
        vectors_MD: Tensor = (scores_MK.softmax(-1)[..., None] * vectors_MKD).sum(-2)
        return vectors_MD
