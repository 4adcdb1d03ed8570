"""From histories to prompts: pieces that are tokenised once, then laid one after the other (section 3.1).

A prompt is `[CLS]`, what the user is doing, one statement an interaction, the cloze sentence with `[MASK]`, `[SEP]`:

    The user is watching movies: The user watches Toy Story, genre is Animation Comedy, rating is 4. Then, the user
    watches [MASK].

`Toy Story` is one token of its own, a *title token*. Token ids are rows of the model's embedding table: first the `W`
words that prompts can hold, then the `N` title tokens. Words that no prompt can hold are left out: they would get no
gradient. Shape letters: `B` prompts, `L` places, `E` interactions, `N` items, `W` words, `D` width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import MaskedLM
from trials.data.preparing.dataset import FloatArray, IntArray, SearchData
from trials.nn.ragged import Ragged


@dataclass(frozen=True)
class Template:
    """The words of a kind of data: `The user is {doing}: The user {verb} ...`."""

    doing: str
    verb: str


TEMPLATES = {
    "movies": Template("watching movies", "watches"),
    "products": Template("shopping for items", "shops"),
    "items": Template("choosing items", "chooses"),
}
"""The first two are the paper's; `items` is for other data (ours)."""

KINDS = {"ml-": "movies", "redial": "movies", "amazon-": "products", "scientific": "products"}
"""Beginnings of data sets' names, and what their items are."""

GENRES = ("genres", "categories", "genre", "category")
"""Attributes that may fill the genre clause; the first that the data has."""

HIGHEST = 10
"""Ratings are said to the nearest half from 0 to this. Fixed, so that a model knows the same words wherever it is."""

RATINGS = tuple(f"{half / 2:g}" for half in range(2 * HIGHEST + 1))

_HEAD, _TAIL, _PERIOD, _RATED = 0, 1, 2, 3
"""Pieces: start of a prompt, its end, the end of a statement without a rating, that of rating 0. Items follow."""

_ITEMS = _RATED + len(RATINGS)


def template_of(name: str) -> Template:
    """The template of a data set, by its name."""
    for beginning, kind in KINDS.items():
        if name.startswith(beginning):
            return TEMPLATES[kind]
    return TEMPLATES["items"]


@dataclass(frozen=True)
class Prompts:
    """Token ids of prompts, padded on the right with 0.

    Args:
        ids_BL: Rows of the embedding table.
        lengths_B: Tokens of each prompt.
        mask_B: Place of [MASK].
    """

    ids_BL: IntArray
    lengths_B: IntArray
    mask_B: IntArray

    def __len__(self) -> int:
        return len(self.lengths_B)

    def rows(self, start: int, stop: int) -> Prompts:
        """Prompts `start` to `stop - 1`, at their own width."""
        lengths_B = self.lengths_B[start:stop]
        return Prompts(self.ids_BL[start:stop, : lengths_B.max(initial=0)], lengths_B, self.mask_B[start:stop])


class PromptTokens:
    """Everything that prompts are made of, tokenised; made once and shared by all trials of a process.

    Args:
        pieces: Rows of ids: start, end, ends of statements, then the front of every item's statement.
        after_mask: Tokens of the end from [MASK] on.
        table_RD: `[W + N, D]` initial embeddings of words and title tokens.
        num_words: `W`.
    """

    def __init__(self, pieces: Ragged, after_mask: int, table_RD: Tensor, num_words: int) -> None:
        self.pieces = pieces
        self.after_mask = after_mask
        self.table_RD = table_RD
        self.num_words = num_words
        self._lengths = pieces.lengths()
        self.frame = int(self._lengths[_HEAD] + self._lengths[_TAIL])
        """Tokens of a prompt without any statement."""

    @property
    def longest(self) -> int:
        """Tokens of the longest statement that there can be."""
        return int(self._lengths[_ITEMS:].max() + self._lengths[_PERIOD:_ITEMS].max())

    def statements(self, items_E: IntArray, ratings_E: FloatArray | None) -> IntArray:
        """The two pieces of each interaction's statement: `[E, 2]`.

        Args:
            items_E: Items.
            ratings_E: In the data set's unit; None, or NaN for one interaction, leaves the clause out.

        Raises:
            InputError: If a rating is outside [0, 10].
        """
        ends_E = np.full(len(items_E), _PERIOD, dtype=np.int64)
        if ratings_E is not None and len(ratings_E):
            said_E = ~np.isnan(ratings_E)
            ratings = ratings_E[said_E]
            if len(ratings) and not (ratings.min() >= 0 and ratings.max() <= HIGHEST):
                raise InputError(
                    f"ratings: a prompt says ratings from 0 to {HIGHEST}, got {ratings.min():g} to {ratings.max():g}; "
                    "scale them to that range"
                )
            ends_E[said_E] = _RATED + np.rint(2 * ratings).astype(np.int64)
        return np.stack([_ITEMS + np.asarray(items_E, dtype=np.int64), ends_E], axis=1)

    def unrated(self, statements_E2: IntArray) -> IntArray:
        """The same statements without their ratings."""
        return np.stack([statements_E2[:, 0], np.full(len(statements_E2), _PERIOD)], axis=1)

    def lengths(self, statements_E2: IntArray) -> IntArray:
        """Tokens of each statement: `[E]`."""
        lengths_E: IntArray = self._lengths[statements_E2].sum(axis=1)
        return lengths_E

    def assemble(self, statements: Sequence[IntArray]) -> Prompts:
        """Prompts `[B, L]` of these statements, oldest first; without any, the cloze sentence alone.

        Args:
            statements: `[*, 2]` pieces of each prompt's statements, within the budget already.
        """
        rows = [np.concatenate([[_HEAD], part.reshape(-1), [_TAIL]]) for part in statements]
        lengths_B = np.array([self._lengths[row].sum() for row in rows], dtype=np.int64)
        inside_BL = np.arange(lengths_B.max(initial=0)) < lengths_B[:, None]
        ids_BL = np.zeros(inside_BL.shape, dtype=np.int64)
        if rows:
            ids_BL[inside_BL] = self.pieces.take(np.concatenate(rows).astype(np.int64)).values
        return Prompts(ids_BL, lengths_B, lengths_B - self.after_mask)


def first_kept(ends_E: IntArray, first_B: IntArray, stop_B: IntArray, budget: int) -> IntArray:
    """First statement kept of each history, such that those to its end have at most `budget` tokens: `[B]`.

    The oldest statement is dropped whole, again and again, until the rest fits (section 4.1.2, left boundary a_j).

    Args:
        ends_E: `[E + 1]` tokens of all statements before each, and in all.
        first_B, stop_B: The histories, as ranges of statements.

    >>> first_kept(np.array([0, 5, 9, 12, 20]), np.array([0, 0]), np.array([3, 4]), 8).tolist()
    [1, 3]
    """
    kept_B: IntArray = np.searchsorted(ends_E, ends_E[stop_B] - budget, side="left")
    return np.maximum(kept_B, first_B)


def genres_of(data: SearchData) -> Sequence[str]:
    """`[N]` texts of the genre clause, "" where an item has none or the data knows of none."""
    for name in GENRES:
        if name in data.attributes:
            return [" ".join(text.split()) for text in data.attributes[name]]
    return [""] * data.num_items


def vocabulary_texts(data: SearchData, template: Template) -> list[str]:
    """All words that prompts of this data can hold, and those of the titles."""
    frame = f"The user is {template.doing}: {template.verb} , genre is rating is. Then, the"
    return [frame, *RATINGS, *genres_of(data), *data.titles]


def tokenise(lm: MaskedLM, data: SearchData, template: Template, max_genre_tokens: int | None = None) -> PromptTokens:
    """Tokenise every piece of this data's prompts, and start the embedding table.

    A title token starts as the mean of its title's words in the backbone's embeddings (section 3.1, after Mundra et
    al.); as words the pieces count that the tokenizer makes of the title. Pieces are tokenised with the space before
    them, and cut where tokenizers cut anyway (before punctuation and spaces), so that the ids are those of the whole
    text.

    Args:
        lm: The backbone.
        data: Whose items.
        template: The words.
        max_genre_tokens: Tokens kept of an item's genres; None keeps all.
    """
    genres = genres_of(data)
    distinct = sorted({text for text in genres if text})
    fixed = [
        f"The user is {template.doing}:",
        f" Then, the user {template.verb}",
        f" The user {template.verb}",
        ", genre is",
        ".",
        *(f", rating is {rating}." for rating in RATINGS),
    ]
    doing, then, user, clause, period, *rated = lm.tokenize(fixed)
    of_genre = dict(zip(distinct, lm.tokenize([f" {text}" for text in distinct]), strict=True))
    clauses = [[*clause, *of_genre[text][:max_genre_tokens]] if text else [] for text in genres]
    words = [[lm.cls_id, *doing], [*then, lm.mask_id, *period, lm.sep_id], period, *rated]

    used = np.unique(np.concatenate([np.asarray(row, dtype=np.int64) for row in [*words, user, *clauses]]))
    row_of = np.zeros(len(lm.words_VD), dtype=np.int64)
    row_of[used] = np.arange(len(used))
    rows = [row_of[row] for row in words]
    rows += [
        np.concatenate([row_of[user], [len(used) + item], row_of[np.asarray(ids, dtype=np.int64)]])
        for item, ids in enumerate(clauses)
    ]
    table_RD = torch.cat([lm.words_VD[torch.from_numpy(used)], _title_means(lm, data.titles)])
    return PromptTokens(Ragged.of(rows), len(period) + 2, table_RD, len(used))


def _title_means(lm: MaskedLM, titles: Sequence[str]) -> Tensor:
    """`[N, D]` mean of the embeddings of each title's words; of all words where a title has none."""
    words = Ragged.of(lm.tokenize([f" {' '.join(title.split())}" for title in titles]))
    owner = torch.from_numpy(np.repeat(np.arange(len(words)), words.lengths()))
    sums_ND = torch.zeros(len(words), lm.hidden_size).index_add_(0, owner, lm.words_VD[torch.from_numpy(words.values)])
    counts_N1 = torch.from_numpy(words.lengths()).unsqueeze(1)
    return torch.where(counts_N1 > 0, sums_ND / counts_N1.clamp(min=1), lm.words_VD.mean(0))
