"""Amazon's reviews as the McAuley lab publishes them: one object a line, reviews and metadata apart, in three editions.

| edition | reviews | metadata | user, item, rating, time |
|---|---|---|---|
| 2014 | JSON | Python dictionaries, mostly | `reviewerID`, `asin`, `overall`, `unixReviewTime` (s) |
| 2018 | JSON | JSON | the same |
| 2023 | JSON | JSON | `user_id`, `parent_asin`, `rating`, `timestamp` (ms) |
"""

from __future__ import annotations

import ast
import html
import warnings
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchplat.errors import DataError
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items
from trials.data.reading.lines import (
    LARGEST_RATING,
    LARGEST_TIME,
    Parse,
    a_number,
    a_text,
    json_objects,
    shown,
    storable,
    strict_json,
)

UNFORMATTED = "getTime"
"""Some titles of 2018 are scraps of a page's script; their publisher leaves out all titles with this word."""

LONGEST_LITERAL = 1 << 20
"""Characters of the longest Python dictionary that is read: its parser is slow and hungry."""

DEEPEST = 4
"""Levels of lists within lists; 2014's categories have two."""


def loose(line: str) -> Any:
    """JSON, or a Python dictionary of constants, as which the metadata of 2014 was written.

    Raises:
        ValueError: If it is neither.
    """
    if not line.lstrip().startswith("{'"):
        return strict_json(line)
    if len(line) > LONGEST_LITERAL:
        raise ValueError(f"a Python dictionary may have {LONGEST_LITERAL:,} characters at most")
    try:
        with warnings.catch_warnings():  # of odd escapes in the texts
            warnings.simplefilter("ignore")
            return ast.literal_eval(line.strip())
    except (ValueError, SyntaxError, MemoryError, TypeError) as error:  # MemoryError is how its parser says "too deep"
        raise ValueError(f"not a Python dictionary either ({str(error)[:80]})") from error


@dataclass(frozen=True)
class Edition:
    """What the fields of an edition are called.

    Args:
        year: Of the edition.
        user, item, rating, time: A review's fields.
        seconds: What one unit of `time` is.
        review: The fields of a review's own text: its title and body.
        attributes: Our attributes by the fields of the metadata.
        parse: Reads a line of metadata.
    """

    year: int
    user: str
    item: str
    rating: str
    time: str
    seconds: float
    review: tuple[str, str]
    attributes: dict[str, str]
    parse: Parse = strict_json


EDITION_2014 = Edition(
    2014,
    *("reviewerID", "asin", "overall", "unixReviewTime"),
    seconds=1.0,
    review=("summary", "reviewText"),
    attributes={"title": "title", "brand": "brand", "categories": "categories", "description": "description"},
    parse=loose,
)

EDITION_2018 = Edition(
    2018,
    *("reviewerID", "asin", "overall", "unixReviewTime"),
    seconds=1.0,
    review=("summary", "reviewText"),
    attributes={"title": "title", "brand": "brand", "categories": "category", "description": "description"},
)

EDITION_2023 = Edition(
    2023,
    *("user_id", "parent_asin", "rating", "timestamp"),
    seconds=0.001,
    review=("title", "text"),
    attributes={"title": "title", "brand": "store", "categories": "categories", "description": "description"},
)

EDITIONS = {edition.year: edition for edition in (EDITION_2014, EDITION_2018, EDITION_2023)}


def read_amazon(reviews: Path, metadata: Path, edition: Edition, with_reviews: bool) -> Interactions:
    """Read one category; both files plain or packed.

    Items are those that somebody reviewed; one without metadata has no attributes. Where the metadata tells of an
    item twice, the first line counts.

    Args:
        reviews: The review file, 5-core or all.
        metadata: The metadata file.
        edition: Of both.
        with_reviews: Whether to keep the reviews' texts (in memory, until the data is prepared).

    Raises:
        DataError: If a file breaks the format, with its line.
    """
    users, items = Ids("user"), Ids("item")
    user_codes, item_codes, ratings, times = array("q"), array("q"), array("d"), array("d")
    notes: list[str] = []
    for number, review in json_objects(reviews, f"Amazon's reviews of {edition.year}"):
        user = a_text(reviews, number, edition.user, review.get(edition.user))
        item = a_text(reviews, number, edition.item, review.get(edition.item))
        user_codes.append(users.code(reviews, number, user))
        item_codes.append(items.code(reviews, number, item))
        ratings.append(a_number(reviews, number, edition.rating, review.get(edition.rating), 0.0, LARGEST_RATING))
        latest = LARGEST_TIME / edition.seconds
        times.append(a_number(reviews, number, edition.time, review.get(edition.time), 0.0, latest) * edition.seconds)
        if with_reviews:
            parts = (_flat(reviews, number, name, review.get(name)) for name in edition.review)
            notes.append(". ".join(part for part in parts if part))
    refuse_alike(users)
    known, attributes, again = _metadata(metadata, edition, items)
    found = join_items(items, np.array(item_codes, dtype=np.int64), known, attributes, metadata)
    return Interactions(
        users_E=np.array(user_codes, dtype=np.int64),
        items_E=found.items_E,
        ratings_E=np.array(ratings, dtype=np.float64),
        times_E=np.array(times, dtype=np.float64),
        item_keys=found.keys,
        attributes=found.attributes,
        notes_E=np.array(notes, dtype=object) if with_reviews else None,
        warnings=(*found.warnings, *again),
        user_keys=users.names,
    )


def _metadata(path: Path, edition: Edition, reviewed: Ids) -> tuple[Ids, dict[str, list[str]], list[str]]:
    """Items that were reviewed, their attributes, and what there is to say of those that are told of again."""
    known, again, first = Ids("item"), 0, ""
    refuse_alike(reviewed)
    columns: dict[str, list[str]] = {name: [] for name in edition.attributes}
    what = f"Amazon's metadata of {edition.year}"
    expected = "a JSON object" if edition.parse is strict_json else "a JSON object or a Python dictionary"
    for number, product in json_objects(path, what, edition.parse, expected):
        key = a_text(path, number, edition.item, product.get(edition.item))
        if key not in reviewed:
            reviewed.refuse_like(path, number, key)
            continue
        if key in known:
            again, first = again + 1, first or f"{path}:{number}"
            continue
        known.code(path, number, key)
        for name, theirs in edition.attributes.items():
            text = _flat(path, number, theirs, product.get(theirs))
            columns[name].append("" if name == "title" and UNFORMATTED in text else text)
    told = f"{path.name}: tells of an item again in {again:,} lines, {first} the first; the first line of each counts"
    return known, columns, [told] if again else []


def _flat(path: Path, number: int, name: str, value: Any, depth: int = 0) -> str:
    """A text, a number, nothing, or lists of these, as one text without the page's escapes (`&amp;`)."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)) and depth < DEEPEST:
        parts: Sequence[str] = [_flat(path, number, name, part, depth + 1) for part in value]
        return ", ".join(part for part in parts if part)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise DataError(f"{path}:{number} {name} must be text or a list of texts, got {shown(value)}.")
    return storable(path, number, name, html.unescape(str(value))).strip()
