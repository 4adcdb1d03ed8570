"""The generated data: deterministic, complete, and with an order that can be learnt."""

from __future__ import annotations

import numpy as np
import pytest

from trials.data.preparing.options import ToyOptions
from trials.data.reading.toy import generate


def test_equal_seeds_equal_data() -> None:
    one, two, other = (generate(ToyOptions(seed=seed)) for seed in (3, 3, 4))
    assert one.items_E.tolist() == two.items_E.tolist()
    assert one.items_E.tolist() != other.items_E.tolist()


@pytest.mark.parametrize(("users", "items", "length"), [(60, 40, 12), (8, 8, 3), (200, 30, 20), (40, 300, 5)])
def test_sizes(users: int, items: int, length: int) -> None:
    found = generate(ToyOptions(users=users, items=items, length=length))
    assert found.num_users == users
    assert found.num_items == items
    lengths = np.bincount(found.users_E)
    assert lengths.min() >= 3
    pairs = found.users_E * items + found.items_E
    assert len(np.unique(pairs)) == len(pairs)
    if users >= items:
        assert len(np.unique(found.items_E)) == items


def test_requests_name_the_theme_and_change_nothing_else() -> None:
    plain, asked = generate(ToyOptions()), generate(ToyOptions(requests=True))
    assert plain.requests_E is None
    assert asked.requests_E is not None
    assert asked.items_E.tolist() == plain.items_E.tolist()
    for text, item in zip(asked.requests_E, asked.items_E, strict=True):
        assert asked.attributes["genres"][item] in text
    assert len(set(asked.requests_E)) == 15


def test_titles_are_distinct_and_share_words_within_a_theme() -> None:
    found = generate(ToyOptions(items=200))
    titles, genres = found.attributes["title"], found.attributes["genres"]
    assert len(set(titles)) == 200
    words = [
        {word for t, g in zip(titles, genres, strict=True) if g == genre for word in t.split() if word.isalpha()}
        for genre in sorted(set(genres))
    ]
    assert all(not a & b for i, a in enumerate(words) for b in words[:i])


def test_the_last_item_predicts_the_next_better_than_popularity() -> None:
    found = generate(ToyOptions(users=300))
    same = found.users_E[1:] == found.users_E[:-1]
    before, after = found.items_E[:-1][same], found.items_E[1:][same]
    counts = np.zeros((40, 40))
    np.add.at(counts, (before, after), 1)
    by_order = counts.max(axis=1).sum() / counts.sum()
    by_popularity = counts.sum(axis=0).max() / counts.sum()
    assert by_order > 0.35
    assert by_popularity < 0.06
