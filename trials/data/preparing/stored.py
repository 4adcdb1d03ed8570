"""What a prepared data set's folder holds: written once by `prepared.py`, then memory-mapped by every trial.

| file | content |
|---|---|
| `train_items`, `train_offsets`, `train_ratings`, `train_times`, `train_requests` | the training interactions |
| `valid`, `valid_ratings`, `valid_requests` | the first validation interaction of each user |
| `more_valid`, `more_valid_ratings` | the further ones, where a split leaves several |
| `sentences`, `titles`, `keys`, `attribute-0`, `attribute-1`, ... | the items |
| `users` | what the files call the users; a folder from before has none until somebody asks |
| `TEST_FILE`, `TEST_REQUESTS` | the test items, and what was asked before them: for `open_test` alone |
| `meta.json` | names, options, statistics; written last, so that a folder without it is none |

Ratings and times of the test interactions are kept nowhere: nobody has a use for them.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import TEST_FILE, TEST_REQUESTS
from searchplat.errors import DataError
from trials.data.preparing.dataset import IntArray, SearchData
from trials.data.preparing.selection import Cut, places_of
from trials.data.preparing.texts import TextColumn
from trials.data.reading.interactions import Floats, Interactions, Ints
from trials.data.reading.lines import LARGEST_RATING, LARGEST_TIME
from trials.data.sentences import item_sentences, item_titles, one_line

META = "meta.json"
_USERS = "users"


@dataclass(frozen=True)
class Content:
    """Everything that a search may see, in memory, before it is written; shapes as in `SearchData`."""

    arrays: Mapping[str, NDArray[Any]]
    texts: Mapping[str, Sequence[str]]
    attributes: tuple[str, ...]

    def digest(self, name: str) -> str:
        """Hex digest of all of it; nothing of the test interactions is in it."""
        digest = hashlib.sha256(f"{name}\n".encode())
        for key, array in self.arrays.items():
            digest.update(f"{key} {array.dtype.str} {array.shape}\n".encode() + array.tobytes())
        for key, texts in self.texts.items():
            digest.update(json.dumps([key, self.attributes, len(texts)]).encode())
            for text in texts:  # the length first, so that no two columns read alike
                coded = text.encode()
                digest.update(len(coded).to_bytes(8, "big") + coded)
        return digest.hexdigest()


def write_folder(
    folder: Path,
    name: str,
    interactions: Interactions,
    cut: Cut,
    sentence_keys: Sequence[str],
    about: Mapping[str, Any],
    facts: Mapping[str, Any],
) -> None:
    """Write cut sequences, durably.

    Args:
        folder: Empty.
        name: The data set's.
        interactions: Filtered.
        cut: Of them.
        sentence_keys: The attributes that make an item's sentence.
        about: More to keep in `meta.json`.
        facts: More to keep in its statistics.

    Raises:
        InputError: If a sentence asks for an attribute that there is not.
        DataError: If a rating or a time is out of all bounds.
    """
    content = _content(name, cut, interactions, sentence_keys)
    for key, array in content.arrays.items():
        np.save(folder / f"{key}.npy", array)
    for key, texts in content.texts.items():
        TextColumn.write(texts, folder / key)
    targets = cut.test_UT.shape[1]
    np.save(folder / TEST_FILE, cut.test_UT if targets > 1 else cut.test_UT[:, 0])
    if interactions.requests_E is not None:
        TextColumn.write(_requests(interactions.requests_E, cut.test_at_UT[:, 0]), folder / TEST_REQUESTS)
    if interactions.user_keys:
        TextColumn.write(interactions.user_keys, folder / _USERS)
    meta = {
        "name": name,
        **about,
        "attributes": content.attributes,
        "ratings": interactions.ratings_E is not None,
        "times": interactions.times_E is not None,
        "requests": interactions.requests_E is not None,
        "targets": targets,
        "content": content.digest(name),
        "warnings": interactions.warnings,
        "statistics": {**_statistics(interactions), **facts},
    }
    (folder / META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def read_meta(folder: Path) -> dict[str, Any]:
    """What `meta.json` says.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / META} cannot be read ({error}); delete the folder, it is made anew.") from error
    return meta


def open_users(folder: Path, name: str, users_U: Ints) -> SearchData:
    """Training and validation data of some users, mapped; what a share of the users needs of it is copied.

    Raises:
        DataError: If a file is missing or damaged.
    """
    meta = read_meta(folder)
    valid_U, offsets = _array(folder, "valid"), _array(folder, "train_offsets")
    places_E = None
    if len(users_U) < len(valid_U):
        places_E, offsets = places_of(offsets, users_U)

    def numbers(key: str, rows: Ints | None, there: bool = True, kind: type[Any] = np.float32) -> Any:
        if not there:
            return np.zeros(0, dtype=kind)
        return _array(folder, key) if rows is None else _array(folder, key)[rows]

    def texts(key: str, rows: Ints | None = None, there: bool = True) -> Sequence[str]:
        if not there:
            return ()
        column = TextColumn.open(folder / key)
        return column if rows is None else column.select(rows)

    picked_U = None if places_E is None else users_U
    several = meta.get("targets", 1) > 1
    none = np.zeros((len(users_U), 0))
    return SearchData(
        name=name,
        train_items=numbers("train_items", places_E),
        train_offsets=offsets,
        valid_target_U=numbers("valid", picked_U),
        users_U=users_U,
        num_items=int(meta["statistics"]["items"]),
        sentences=texts("sentences"),
        titles=texts("titles"),
        keys=texts("keys"),
        fingerprint=hashlib.sha256(f"{meta['content']}\n".encode() + users_U.tobytes()).hexdigest(),
        ratings=numbers("train_ratings", places_E, meta["ratings"]),
        valid_rating_U=numbers("valid_ratings", picked_U, meta["ratings"]),
        more_valid_UM=numbers("more_valid", picked_U) if several else none.astype(np.int32),
        more_valid_rating_UM=(
            numbers("more_valid_ratings", picked_U) if several and meta["ratings"] else none.astype(np.float32)
        ),
        times=numbers("train_times", places_E, meta["times"], np.int64),
        attributes={key: texts(f"attribute-{place}") for place, key in enumerate(meta["attributes"])},
        requests=texts("train_requests", places_E, meta["requests"]),
        valid_requests_U=texts("valid_requests", picked_U, meta["requests"]),
    )


def open_test(folder: Path, users_U: Ints) -> tuple[IntArray, Sequence[str]]:
    """The test items of some users, and what was asked before them (empty if the data set has no requests).

    Returns:
        `[U]` items, or `[U, T]` where the split leaves several; and the requests before the first.

    Raises:
        DataError: If a file is missing or damaged.
        TestSplitError: If a trial's code is running in this process.
    """
    requests = TextColumn.open(folder / TEST_REQUESTS).select(users_U) if read_meta(folder)["requests"] else ()
    return _array(folder, Path(TEST_FILE).stem)[users_U], requests


def open_user_keys(folder: Path) -> Sequence[str] | None:
    """What the files call the users, all of the folder's; None if that is not written down yet."""
    return TextColumn.open(folder / _USERS) if (folder / f"{_USERS}.offsets.npy").is_file() else None


def write_user_keys(folder: Path, keys: Sequence[str]) -> None:
    """Add them to a folder that has none; one process at a time does."""
    TextColumn.write(keys, folder / f".{_USERS}")
    for part in ("blob", "offsets"):  # the offsets last: where they are, all is
        (folder / f".{_USERS}.{part}.npy").replace(folder / f"{_USERS}.{part}.npy")


def _content(name: str, cut: Cut, found: Interactions, sentence_keys: Sequence[str]) -> Content:
    arrays: dict[str, NDArray[Any]] = {
        "train_items": cut.train_items,
        "train_offsets": cut.train_offsets,
        "valid": cut.valid_UT[:, 0],
    }
    more = cut.valid_UT.shape[1] > 1
    if more:
        arrays["more_valid"] = cut.valid_UT[:, 1:]
    if found.ratings_E is not None:
        ratings_E = _bounded(name, "rating", found.ratings_E, LARGEST_RATING).astype(np.float32)
        valid_ratings_UT = np.where(cut.valid_at_UT >= 0, ratings_E[cut.valid_at_UT], np.float32(0))
        arrays |= {"train_ratings": ratings_E[cut.train_E], "valid_ratings": valid_ratings_UT[:, 0]}
        if more:
            arrays["more_valid_ratings"] = valid_ratings_UT[:, 1:]
    if found.times_E is not None:
        times_E = np.floor(_bounded(name, "time", found.times_E, LARGEST_TIME)).astype(np.int64)
        arrays["train_times"] = times_E[cut.train_E]
    texts: dict[str, Sequence[str]] = {
        "sentences": item_sentences(found, sentence_keys, name),
        "titles": item_titles(found),
        "keys": found.item_keys,
    }
    attributes = tuple(found.attributes)
    for place, key in enumerate(attributes):
        texts[f"attribute-{place}"] = [one_line(text) for text in found.attributes[key]]
    if found.requests_E is not None:
        texts["train_requests"] = found.requests_E[cut.train_E].tolist()
        texts["valid_requests"] = _requests(found.requests_E, cut.valid_at_UT[:, 0])
    return Content(arrays, texts, attributes)


def _requests(requests_E: NDArray[np.object_], at_U: Ints) -> list[str]:
    return [requests_E[at] if at >= 0 else "" for at in at_U.tolist()]


def _bounded(name: str, what: str, values_E: Floats, largest: float) -> Floats:
    wrong = np.flatnonzero(~(np.abs(values_E) <= largest))
    if len(wrong):
        raise DataError(f"data {name}: a {what} must lie within {largest:g} of 0, got {values_E[wrong[0]]:g}.")
    return values_E


def _array(folder: Path, name: str) -> Any:
    path = folder / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); delete the folder {folder}, it is made anew.") from error


def _statistics(interactions: Interactions) -> dict[str, Any]:
    lengths_U = np.bincount(interactions.users_E)
    users, items, count = interactions.num_users, interactions.num_items, len(interactions)
    found: dict[str, Any] = {
        "users": users,
        "items": items,
        "interactions": count,
        "average_length": round(count / users, 2),
        "shortest": int(lengths_U.min()),
        "longest": int(lengths_U.max()),
        "density": round(count / (users * items), 6),
    }
    if interactions.unmet_items:
        found["items_without_interactions"] = interactions.unmet_items
    if interactions.requests_E is not None:
        found["request_characters"] = round(sum(map(len, interactions.requests_E)) / count, 2)
    return found
