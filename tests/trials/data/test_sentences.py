"""Item sentences and titles."""

from __future__ import annotations

import numpy as np
import pytest

from searchplat.errors import InputError
from trials.data.reading.interactions import Interactions
from trials.data.sentences import item_sentences, item_titles

ITEMS = Interactions(
    np.array([0, 0]),
    np.array([0, 1]),
    None,
    None,
    ["k0", "k1"],
    {"title": ["Toy  Story\n", ""], "year": ["1995", " "], "genres": ["Comedy", ""]},
)


def test_sentences_follow_the_order_of_keys_and_are_never_empty() -> None:
    assert item_sentences(ITEMS, ("title", "year"), "x") == ["title Toy Story year 1995", "item k1"]
    assert item_sentences(ITEMS, ("genres", "title"), "x")[0] == "genres Comedy title Toy Story"


def test_titles_fall_back_to_the_name() -> None:
    assert item_titles(ITEMS) == ["Toy Story", "k1"]


def test_unknown_attributes_list_the_known() -> None:
    with pytest.raises(InputError, match="attributes must be among title, year, genres, got plot"):
        item_sentences(ITEMS, ("title", "plot"), "x")
