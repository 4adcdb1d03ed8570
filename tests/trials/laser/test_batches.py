"""An epoch's batches: every user once, a target from the training sequence and what stands before it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from trials.data.preparing.dataset import SearchData
from trials.laser.batches import Batch, Batcher, share


def examples(batcher: Batcher) -> list[tuple[tuple[int, ...], int]]:
    """What an epoch reads and predicts."""
    batches = list(batcher.epoch(np.random.default_rng(0)))
    assert len(batches) == len(batcher)
    return [
        (tuple(items.tolist()), int(target))
        for batch in batches
        for items, target in zip(batch.histories, batch.targets_B, strict=True)
    ]


@pytest.mark.parametrize("targets", ["last", "random"])
def test_every_user_once_with_what_stands_before_the_target(make_model: Any, data: SearchData, targets: str) -> None:
    batcher = make_model(targets=targets, max_items=50, max_tokens=400).batcher
    seen = examples(batcher)
    users = [u for u in range(data.num_users) if len(data.history(u)) >= 2]
    assert len(seen) == len(users)
    possible = {
        (tuple(data.history(u)[:place].tolist()), int(data.history(u)[place]))
        for u in users
        for place in (range(1, len(data.history(u))) if targets == "random" else [len(data.history(u)) - 1])
    }
    assert set(seen) <= possible


@pytest.mark.parametrize("most", [3, None])
def test_several_targets_of_a_user_or_all_and_none_twice(make_model: Any, data: SearchData, most: int | None) -> None:
    batcher = make_model(targets_per_user=most, max_items=50, max_tokens=400).batcher
    seen = examples(batcher)
    possible = [
        [
            (tuple(data.history(u)[:place].tolist()), int(data.history(u)[place]))
            for place in range(1, len(data.history(u)))
        ]
        for u in range(data.num_users)
    ]
    assert Counter(seen) <= Counter(pair for pairs in possible for pair in pairs)
    assert len(seen) == sum(len(pairs) if most is None else min(most, len(pairs)) for pairs in possible)


def test_an_epoch_is_what_its_generator_says(make_model: Any) -> None:
    batcher = make_model(targets="random").batcher

    def epoch(seed: int) -> list[list[int]]:
        return [batch.targets_B.tolist() for batch in batcher.epoch(np.random.default_rng(seed))]

    assert epoch(1) == epoch(1) != epoch(2)


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_shares_cover_the_batch(workers: int) -> None:
    batch = Batch([np.array([i]) for i in range(3)], np.ones(3, dtype=np.int64), np.arange(3))
    parts = [share(batch, rank, workers) for rank in range(workers)]
    assert all(len(part.targets_B) == len(part.histories) >= 1 for part, _ in parts)
    assert sum(weight for _, weight in parts) == pytest.approx(1)
    covered = [t for part, weight in parts if weight for t in part.targets_B.tolist()]
    assert covered == [0, 1, 2]
