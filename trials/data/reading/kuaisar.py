"""KuaiSAR: what users of a video app watched and what they searched for (Sun et al., 2023), as csv files.

Captions and searched words are anonymised: lists of numbers. Categories have English names.
"""

from __future__ import annotations

import json
from array import array
from pathlib import Path

import numpy as np

from searchplat.errors import DataError
from trials.data.preparing.options import KuaiSAROptions
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items
from trials.data.reading.lines import LARGEST_TIME, a_number, a_text, csv_columns, shown

RECOMMENDED = ("user_id", "item_id", "timestamp", "click")
SEARCHED = ("user_id", "item_id", "search_session_timestamp", "click_cnt", "keyword")
LEVELS = ("first", "second", "third", "fourth")
FEATURES = ("item_id", "caption", *(f"{level}_level_category_name_en" for level in LEVELS))
NOTHING = {"", "empty", "nan", "UNKNOWN"}
"""What stands in the place of a category that an item does not have."""


class _Log:
    """Interactions in the making."""

    def __init__(self) -> None:
        self.users, self.items = Ids("user"), Ids("item")
        self.user_codes, self.item_codes, self.times = array("q"), array("q"), array("d")
        self.notes: list[str] = []

    def add(self, path: Path, number: int, user: str, item: str, milliseconds: str, note: str) -> None:
        user, item = a_text(path, number, "user_id", user), a_text(path, number, "item_id", item)
        self.user_codes.append(self.users.code(path, number, user))
        self.item_codes.append(self.items.code(path, number, item))
        self.times.append(a_number(path, number, "a timestamp", milliseconds, 0.0, 1000 * LARGEST_TIME) / 1000)
        self.notes.append(note)


def read_kuaisar(recommended: Path, searched: Path, features: Path, options: KuaiSAROptions) -> Interactions:
    """Read `rec_inter.csv`, `src_inter.csv` and `item_features.csv`.

    A recommended video counts as liked when it was clicked, which is its publisher's advice; a search result when it
    was clicked at least once. What was searched for comes with the search result, as its anonymous words.

    Args:
        recommended: One line for each video shown by the recommender.
        searched: One line for each result shown by the search.
        features: One line an item, its caption and categories.
        options: Which interactions to take.

    Returns:
        Interactions with times and without ratings. Items have the attributes `title` (the caption's anonymous
        words) and `categories`.

    Raises:
        DataError: If a file breaks the format, with its line.

    Source: CRAMER, appendix B.1 ("we keep only positive interactions"); which of the two logs it takes is not said.
    """
    log = _Log()
    for number, (user, item, time, click) in csv_columns(recommended, "KuaiSAR's rec_inter.csv", RECOMMENDED):
        if a_number(recommended, number, "click", click) > 0 or not options.clicked:
            log.add(recommended, number, user, item, time, "")
    if options.searched:
        for number, (user, item, time, clicks, words) in csv_columns(searched, "KuaiSAR's src_inter.csv", SEARCHED):
            if a_number(searched, number, "click_cnt", clicks or "0") > 0:
                log.add(searched, number, user, item, time, _words(searched, number, "keyword", words))
    refuse_alike(log.users)
    known, attributes = _features(features, log.items)
    found = join_items(log.items, np.array(log.item_codes, dtype=np.int64), known, attributes, features)
    return Interactions(
        users_E=np.array(log.user_codes, dtype=np.int64),
        items_E=found.items_E,
        ratings_E=None,
        times_E=np.array(log.times, dtype=np.float64),
        item_keys=found.keys,
        attributes=found.attributes,
        warnings=found.warnings,
        user_keys=log.users.names,
        notes_E=np.array(log.notes, dtype=object) if options.requests_from_previous else None,
    )


def _features(path: Path, wanted: Ids) -> tuple[Ids, dict[str, list[str]]]:
    known = Ids("item")
    refuse_alike(wanted)
    titles: list[str] = []
    categories: list[str] = []
    for number, (key, caption, *levels) in csv_columns(path, "KuaiSAR's item_features.csv", FEATURES):
        if key not in wanted:
            wanted.refuse_like(path, number, key)
            continue
        if key in known:
            raise DataError(f"{path}:{number} item {key!r} must stand in one line only, as {known.place(key)}.")
        known.code(path, number, key)
        titles.append(_words(path, number, "caption", caption))
        categories.append(", ".join(dict.fromkeys(level for level in levels if level not in NOTHING)))
    return known, {"title": titles, "categories": categories}


def _words(path: Path, number: int, name: str, value: str) -> str:
    """`[20, 34, 3]` as `20 34 3`."""
    if value in NOTHING:
        return ""
    try:
        words = json.loads(value)
    except (ValueError, RecursionError):
        words = None
    if not isinstance(words, list) or not all(isinstance(word, int) for word in words):
        raise DataError(f"{path}:{number} {name} must be a list of whole numbers, got {shown(value)}.")
    return " ".join(map(str, words))
