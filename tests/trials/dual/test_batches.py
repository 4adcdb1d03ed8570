"""What a step sees."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from trials.darec.config import DARecConfig
from trials.data.preparing.dataset import SearchData
from trials.dual.batches import Batcher
from trials.nn.cf import Interactions
from trials.nn.ragged import Ragged


def batcher(data: SearchData, **settings: Any) -> Batcher:
    config = DARecConfig(batch_size=4, align_batch_size=6, **{"max_items": 4, "windows": "last", **settings})
    hard = Ragged.of([np.array([(i + 1) % data.num_items, (i + 2) % data.num_items]) for i in range(data.num_items)])
    interactions = Interactions(data.train_items, data.train_offsets, data.num_items)
    words = np.arange(data.num_items) % 5 + 1
    return Batcher(config, data, words, hard=hard, interactions=interactions, align=True)


def test_every_user_with_two_items_once(data: SearchData) -> None:
    batches = list(batcher(data).epoch(np.random.default_rng(0)))
    assert len(batches) == len(batcher(data))
    users = sorted(int(u) for batch in batches for u in batch.users_B)
    assert users == [u for u in range(data.num_users) if len(data.history(u)) >= 2]


def test_histories_and_targets_are_one_step_apart(data: SearchData) -> None:
    for batch in batcher(data).epoch(np.random.default_rng(0)):
        for b, user in enumerate(batch.users_B):
            window = data.history(int(user))[-5:]
            np.testing.assert_array_equal(batch.histories.row(b), window[:-1])
            start, stop = batch.histories.offsets[b : b + 2]
            np.testing.assert_array_equal(batch.targets_R[start:stop], window[1:])


def test_all_windows_have_every_next_item_as_a_target_once(data: SearchData) -> None:
    made = batcher(data, windows="all", max_items=2)
    batches = list(made.epoch(np.random.default_rng(0)))
    assert len(batches) == len(made)
    seen = []
    for batch in batches:
        for b, user in enumerate(batch.users_B):
            start, stop = batch.histories.offsets[b : b + 2]
            assert stop - start <= 2
            row, whole = (
                batch.histories.row(b),
                data.history(int(user)).tolist(),
            )  # an item comes once in these histories
            assert batch.targets_R[start:stop].tolist() == [whole[whole.index(item) + 1] for item in row]
            seen += list(zip(row.tolist(), batch.targets_R[start:stop].tolist(), [int(user)] * len(row), strict=True))
    histories = [data.history(user).tolist() for user in range(data.num_users)]
    expected = [(*pair, user) for user, whole in enumerate(histories) for pair in itertools.pairwise(whole)]
    assert sorted(seen) == sorted(expected)


def test_random_windows_move(data: SearchData) -> None:
    made = batcher(data, windows="random", max_items=2)
    seen = set()
    for epoch in range(20):
        for batch in made.epoch(np.random.default_rng(epoch)):
            for b, user in enumerate(batch.users_B):
                row = batch.histories.row(b)
                if user == 1:
                    seen.add(tuple(row.tolist()))
                whole = data.history(int(user)).tolist()
                assert any(whole[i : i + len(row)] == row.tolist() for i in range(len(whole)))
    assert len(seen) > 3


def test_contrast_takes_next_items_and_their_hard_items(data: SearchData) -> None:
    for batch in batcher(data, num_samples=2, num_negatives=3).epoch(np.random.default_rng(0)):
        contrast = batch.contrast
        assert contrast is not None
        np.testing.assert_array_equal(batch.targets_R[contrast.read_P], contrast.positive_P)
        for positive, negatives in zip(contrast.positive_P, contrast.negatives_PK, strict=True):
            assert set(negatives) <= {(positive + 1) % data.num_items, (positive + 2) % data.num_items}
        per_user = np.minimum(batch.histories.lengths(), 2)
        assert len(contrast.read_P) == per_user.sum()
        assert len(set(contrast.read_P.tolist())) == len(contrast.read_P)


def test_next_item_without_hard_items_is_left_out(data: SearchData) -> None:
    made = batcher(data)
    made.hard = Ragged.of([np.zeros(0, int)] * data.num_items)
    assert all(batch.contrast is None for batch in made.epoch(np.random.default_rng(0)))


def test_items_of_alignment_walk_through_all(data: SearchData) -> None:
    batches = list(batcher(data).epoch(np.random.default_rng(0)))
    first_pass = np.concatenate([batch.align_A for batch in batches])[: data.num_items]
    assert len(set(first_pass.tolist())) == len(first_pass)
    assert all(len(batch.align_A) == 6 for batch in batches)


def test_interactions_of_an_epoch_are_the_whole_matrix(data: SearchData) -> None:
    seen = []
    for batch in batcher(data).epoch(np.random.default_rng(0)):
        assert batch.pairs is not None
        seen += list(zip(batch.pairs.users_P.tolist(), batch.pairs.items_P.tolist(), strict=True))
    expected = [(u, int(i)) for u in range(data.num_users) for i in data.history(u)]
    assert sorted(seen) == sorted(expected)


def test_same_generator_same_batches(data: SearchData) -> None:
    one, two = (list(batcher(data, windows="random").epoch(np.random.default_rng(3))) for _ in range(2))
    for first, second in zip(one, two, strict=True):
        np.testing.assert_array_equal(first.targets_R, second.targets_R)
        np.testing.assert_array_equal(first.align_A, second.align_A)


@pytest.mark.parametrize("size", [1, 3, 100])
def test_any_batch_size(data: SearchData, size: int) -> None:
    made = batcher(data)
    made.config = made.config.model_copy(update={"batch_size": size})
    assert sum(len(batch.users_B) for batch in made.epoch(np.random.default_rng(0))) == len(made.users)
