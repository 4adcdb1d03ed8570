from __future__ import annotations

import doctest
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from trials.data.preparing.dataset import SearchData
from trials.promptbert import windows
from trials.promptbert.windows import Windows, targets


def slow_targets(offsets: list[int], stride: int, most: int) -> list[tuple[int, int]]:
    """The paper's text, one step after the other: from the latest interaction towards earlier ones."""
    found = []
    for user in range(len(offsets) - 1):
        place, count = offsets[user + 1] - 1, 0
        while place > offsets[user] and count < most:  # at least one interaction before it
            found.append((user, place))
            place, count = place - stride, count + 1
    return found


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(windows).failed == 0


@pytest.mark.parametrize("stride", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("most", [1, 2, 8, 1000])
def test_targets_are_those_of_a_slow_loop(stride: int, most: int) -> None:
    lengths = [0, 1, 2, 3, 4, 5, 9, 16, 17, 40]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    users, places = targets(offsets, stride, most)
    assert list(zip(users.tolist(), places.tolist(), strict=True)) == slow_targets(offsets.tolist(), stride, most)


def make(make_model: Callable[..., Any], **settings: Any) -> Windows:
    found: Windows = make_model(**settings).windows
    return found


def test_every_window_holds_the_interactions_before_its_target_as_far_as_they_fit(
    make_model: Callable[..., Any], data: SearchData
) -> None:
    model = make_model(max_tokens=70, max_windows=100, stride=1)
    tokens, made = model.tokens, model.windows
    dropped = 0
    for w, (user, target) in enumerate(zip(made.users_W.tolist(), made.targets_W.tolist(), strict=True)):
        batch = made.batch(np.array([w]))
        first = int(data.train_offsets[user])
        statements = tokens.statements(data.train_items[first:target], data.ratings[first:target])
        while len(prompt := tokens.assemble([statements]).ids_BL[0]) > 70:
            statements, dropped = statements[1:], dropped + 1
        assert batch.prompts.ids_BL[0].tolist() == prompt.tolist()
        assert (batch.users_B.tolist(), batch.targets_B.tolist()) == ([user], [data.train_items[target]])
        assert made.lengths_W[w] == len(prompt)
        assert len(statements) >= 1
    assert dropped > 0


def test_validation_items_are_never_targets_nor_read(make_model: Callable[..., Any], data: SearchData) -> None:
    made = make(make_model, max_windows=1000, stride=1)
    assert made.targets_W.max() < len(data.train_items)
    assert len(made.users_W) == sum(max(0, n - 1) for n in np.diff(data.train_offsets))


def test_an_epoch_visits_every_window_once_in_an_order_of_its_own(make_model: Callable[..., Any]) -> None:
    made = make(make_model, max_windows=1000, stride=1)

    def epoch(seed: int) -> list[list[tuple[int, ...]]]:
        batches = list(made.epoch(np.random.default_rng(seed)))
        return [
            [(u, t, *ids) for u, t, ids in zip(b.users_B, b.targets_B, b.prompts.ids_BL, strict=True)] for b in batches
        ]

    one, again, other = epoch(1), epoch(1), epoch(2)
    assert one == again
    assert one != other
    assert len(one) == len(made)
    users = [sorted(row[:2] for batch in found for row in batch) for found in (one, other)]
    assert users[0] == users[1]
    assert sum(map(len, one)) == len(made.users_W)


def test_a_share_of_the_windows_says_no_ratings(make_model: Callable[..., Any]) -> None:
    model = make_model(max_windows=1000, stride=1, unrated_share=0.5)
    made, tokens = model.windows, model.tokens
    rated = {made.batch(np.array([w])).prompts.ids_BL.tobytes() for w in range(len(made.users_W))}
    counts = []
    for epoch in range(3):
        prompts = [b.prompts.rows(i, i + 1) for b in made.epoch(np.random.default_rng(epoch)) for i in range(len(b))]
        counts.append(sum(p.ids_BL.tobytes() in rated for p in prompts))
        assert len(prompts) == len(rated)
    assert all(0.2 < count / len(rated) < 0.8 for count in counts)
    assert len(set(counts)) > 1
    plain = tokens.unrated(tokens.statements(np.array([3, 4]), np.array([1.0, 2.5])))
    assert plain.tolist() == tokens.statements(np.array([3, 4]), None).tolist()


def test_batches_hold_little_padding(make_model: Callable[..., Any], make_data: Callable[..., SearchData]) -> None:
    long = make_data(lengths=tuple(range(2, 26)))
    made: Windows = make_model(on=long, max_tokens=400, max_windows=4).windows
    tokens, places = made.lengths_W.sum(), 0
    for batch in made.epoch(np.random.default_rng(0)):
        places += batch.prompts.ids_BL.size
    assert places <= 1.1 * tokens
