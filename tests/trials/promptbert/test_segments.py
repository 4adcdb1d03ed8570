from __future__ import annotations

import doctest

import numpy as np
import pytest

from trials.data.preparing.dataset import SearchData
from trials.promptbert import segments as module
from trials.promptbert.segments import Segments, segments
from trials.promptbert.windows import targets


def make(data: SearchData, size: int = 4, stride: int = 1, most: int | None = None, batch_size: int = 3) -> Segments:
    return Segments(data, max_statements=size, stride=stride, most=most, batch_size=batch_size)


def told(data: SearchData, made: Segments, seed: int) -> list[tuple[int, int, list[int]]]:
    """User, target and statements before it, of every [MASK] of an epoch."""
    found = []
    for batch in made.epoch(np.random.default_rng(seed)):
        for b in range(len(batch)):
            items = batch.items_BL[b, : batch.lengths_B[b]].tolist()
            assert not batch.items_BL[b, batch.lengths_B[b] :].any()
            for t in np.flatnonzero(batch.asked_BT[b]):
                found.append((int(batch.users_B[b]), int(batch.targets_BT[b, t]), items[: batch.read_BT[b, t]]))
    return found


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("phase", [1, 2, 5])
@pytest.mark.parametrize("stop", [3, 4, 8, 17])
def test_segments_are_all_places_in_runs(stop: int, phase: int) -> None:
    cut = segments(2, stop, most=5, phase=phase)
    assert [place for first, last in cut for place in range(first, last)] == list(range(2, stop))
    assert all(1 <= last - first <= 5 for first, last in cut)
    assert cut[0][1] - cut[0][0] == min(phase, stop - 2)


@pytest.mark.parametrize(("stride", "most"), [(1, None), (1, 3), (2, None), (3, 2)])
def test_every_target_of_the_paper_is_asked_for_once_behind_what_preceded_it(
    data: SearchData, stride: int, most: int | None
) -> None:
    made = make(data, stride=stride, most=most)
    users_W, places_W = targets(np.asarray(data.train_offsets), stride, most)
    for seed in range(3):
        found = told(data, made, seed)
        assert len(found) == len(places_W)
        expected = {(u, int(data.train_items[p])): p for u, p in zip(users_W.tolist(), places_W.tolist(), strict=True)}
        assert {(user, target) for user, target, _ in found} == set(expected)
        for user, target, before in found:
            place = expected[user, target]
            assert 1 <= len(before) <= 4
            assert before == data.train_items[place - len(before) : place].tolist()
            assert place - len(before) >= data.train_offsets[user]


def test_an_epoch_is_cut_and_ordered_by_its_seed_and_has_as_many_batches(data: SearchData) -> None:
    made = make(data, batch_size=2)
    assert told(data, made, 1) == told(data, made, 1)
    assert sorted(told(data, made, 1)) != sorted(told(data, made, 2))  # other histories of the same targets
    for seed in range(5):
        assert len(list(made.epoch(np.random.default_rng(seed)))) == len(made)


def test_a_part_of_a_batch_is_its_rows(data: SearchData) -> None:
    batch = next(make(data, batch_size=4).epoch(np.random.default_rng(0)))
    part = batch.rows(1, 3)
    assert len(part) == 2
    assert part.items_BL.tolist() == batch.items_BL[1:3].tolist()
    assert part.targets_BT.tolist() == batch.targets_BT[1:3].tolist()
