"""Packed inputs, token by token."""

from __future__ import annotations

import numpy as np
import pytest

from trials.dual.inputs import ALIGN, SEQ, SentenceTokens
from trials.nn.ragged import Ragged

SENTENCES = SentenceTokens(Ragged.of([[11, 12, 13], [21], [31, 32]]), np.array([7, 8]))


def test_sequences() -> None:
    tokens = SENTENCES.sequences(Ragged.of([np.array([2, 0]), np.array([1])]), "cpu")
    assert tokens.special == SEQ
    assert tokens.ids_S.tolist() == [31, 32, 0, 11, 12, 13, 0, 21, 0]
    assert tokens.positions_S.tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 1]
    assert tokens.special_M.tolist() == tokens.read_R.tolist() == [2, 6, 8]
    assert tokens.owner_M.tolist() == [0, 0, 1]
    assert tokens.items_M.tolist() == [2, 0, 1]
    assert tokens.sequences.lengths_M.tolist() == [7, 2]
    assert tokens.items.lengths_M.tolist() == [3, 4, 2]
    assert tokens.reads.lengths_M.tolist() == [2, 1]


def test_reading_out_the_last_only() -> None:
    tokens = SENTENCES.sequences(Ragged.of([np.array([2, 0]), np.array([1])]), "cpu", last=True)
    assert tokens.special_M.tolist() == [2, 6, 8]
    assert tokens.read_R.tolist() == [6, 8]
    assert tokens.read_items_R.tolist() == [1, 2]
    assert tokens.reads.lengths_M.tolist() == [1, 1]


def test_empty_history_is_a_lone_special_token() -> None:
    tokens = SENTENCES.sequences(Ragged.of([np.zeros(0, int), np.array([1]), np.zeros(0, int)]), "cpu", last=True)
    assert tokens.ids_S.tolist() == [0, 21, 0, 0]
    assert tokens.items_M.tolist() == [-1, 1, -1]
    assert tokens.positions_S.tolist() == [0, 0, 1, 0]
    assert tokens.read_R.tolist() == [0, 2, 3]
    assert tokens.items.lengths_M.tolist() == [1, 2, 1]


def test_alignments_begin_with_the_prompt() -> None:
    tokens = SENTENCES.alignments(np.array([1, 0]), "cpu")
    assert tokens.special == ALIGN
    assert tokens.ids_S.tolist() == [7, 8, 21, 0, 7, 8, 11, 12, 13, 0]
    assert tokens.positions_S.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert tokens.read_R.tolist() == [3, 9]
    assert tokens.items.lengths_M.tolist() == tokens.sequences.lengths_M.tolist() == [4, 6]


def test_special_tokens_that_join_the_last_word() -> None:
    joined = SentenceTokens(Ragged.of([[11, 12, 13], [], [31, 32]]), np.array([7, 8]), join=True)
    tokens = joined.sequences(Ragged.of([np.array([2, 0, 1]), np.zeros(0, int)]), "cpu")
    assert tokens.ids_S.tolist() == [31, 32, 11, 12, 13, 0, 0]
    assert tokens.positions_S.tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert tokens.special_M.tolist() == [1, 4, 5, 6]
    assert tokens.worded_M is not None
    assert tokens.worded_M.tolist() == [True, True, False, False]
    assert tokens.items.lengths_M.tolist() == [2, 3, 1, 1]
    aligned = joined.alignments(np.array([0, 1]), "cpu")
    assert aligned.ids_S.tolist() == [7, 8, 11, 12, 13, 7, 8, 0]
    assert aligned.read_R.tolist() == [4, 7]


def test_sentence_without_tokens() -> None:
    sentences = SentenceTokens(Ragged.of([[], [5]]), np.array([7]))
    assert sentences.alignments(np.array([0, 1]), "cpu").ids_S.tolist() == [7, 0, 7, 5, 0]


@pytest.mark.parametrize("rows", [[2, 0, 0], []])
def test_ragged_take(rows: list[int]) -> None:
    ragged = Ragged.of([[1, 2], [], [3]])
    taken = ragged.take(np.array(rows, dtype=int))
    assert [taken.row(i).tolist() for i in range(len(taken))] == [ragged.row(i).tolist() for i in rows]
    assert ragged.lengths().tolist() == [2, 0, 1]
