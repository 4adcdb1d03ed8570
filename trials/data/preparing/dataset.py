"""What training and evaluation see of a data set: flat arrays, and no test split in the type for search.

Users are rows 0..U-1 of the present selection, items are 0..N-1 of the whole data set. Shape letters:
`U` users, `N` items, `E` training interactions, `B` queries in a batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import TestPermit
from searchplat.errors import TestSplitError
from trials.data.preparing.selection import NO_TARGET, places_of

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.floating[Any]]

UNKNOWN_USER = -1
"""The user row of a query whose user was not in training."""


@dataclass(frozen=True)
class Queries:
    """Histories to continue, as ragged rows: query b is `items[offsets[b]:offsets[b+1]]`, oldest first.

    Args:
        users_B: User rows of the training data, `UNKNOWN_USER` where there is none.
        items: Item indices of all histories, one after the other.
        offsets: `[B + 1]`, from 0.
        requests: A natural-language request per query, for methods that read one.
        ratings: float32, aligned with `items`, in the data set's unit; None where nobody knows them: the data set
            has none, or a person asks who gave no ratings.
    """

    users_B: IntArray
    items: IntArray
    offsets: IntArray
    requests: Sequence[str] | None = None
    ratings: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.users_B)

    def history(self, b: int) -> IntArray:
        """Items of query `b`, oldest first."""
        return self.items[self.offsets[b] : self.offsets[b + 1]]

    def rows(self, start: int, stop: int) -> Queries:
        """Queries `start` to `stop - 1`."""
        offsets = self.offsets[start : stop + 1]
        within = slice(offsets[0], offsets[-1])
        return Queries(
            self.users_B[start:stop],
            self.items[within],
            offsets - offsets[0],
            None if self.requests is None else self.requests[start:stop],
            None if self.ratings is None else self.ratings[within],
        )

    def of(self, rows: IntArray) -> Queries:
        """Some of the queries, by their rows in order."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self
        places, offsets = places_of(np.asarray(self.offsets, dtype=np.int64), np.asarray(rows, dtype=np.int64))
        return Queries(
            self.users_B[rows],
            self.items[places],
            offsets,
            None if self.requests is None else [self.requests[row] for row in rows.tolist()],
            None if self.ratings is None else self.ratings[places],
        )


@dataclass(frozen=True)
class SearchData:
    """Training sequences and validation targets of a selection of users. Holds no test item.

    Args:
        name: The data set's name.
        train_items: `[E]` int32, users one after the other, oldest first; validation and test
            items (leave-one-out: the last two of every user's full sequence) are not among them.
        train_offsets: `[U + 1]` int64; user u is `train_items[train_offsets[u]:train_offsets[u+1]]`.
        valid_target_U: `[U]` int32, the validation item of every user, the second last one unless a space splits
            otherwise; `NO_TARGET` where a user has none, who only trains.
        users_U: `[U]` int64, row of each user in the whole prepared data set.
        num_items: `N`.
        sentences: `[N]` item sentences, `key value key value ...` (DARec, section 2.2.1).
        titles: `[N]` item titles.
        fingerprint: Hex digest of everything above; equal data has equal fingerprints.
        keys: `[N]` what the data set's files call the items; empty where nobody asks for it.
        ratings: `[E]` float32, aligned with `train_items`, in the files' unit; empty if the data set has none.
        valid_rating_U: `[U]` float32, of the validation interactions; empty likewise.
        more_valid_UM: `[U, M]` int32, the further validation items of every user, in order, where a split leaves
            several; `NO_TARGET` at the end of a user's row who has fewer.
        more_valid_rating_UM: `[U, M]` float32, their ratings; `[U, 0]` if the data set has none.
        times: `[E]` int64 Unix seconds, aligned with `train_items`; empty if only the order is known.
        attributes: Name -> `[N]` texts of all that the files say of the items, not only what the sentences show;
            "" where an item has none.
        requests: `[E]` what was asked before each training interaction; empty if the data set has no requests.
        valid_requests_U: `[U]` what was asked before the validation interactions; empty likewise.
        rank_met: Whether a query's rankings hold what is in its history as well; not in the fingerprint, as it says
            nothing of users and items.
    """

    name: str
    train_items: IntArray
    train_offsets: IntArray
    valid_target_U: IntArray
    users_U: IntArray
    num_items: int
    sentences: Sequence[str]
    titles: Sequence[str]
    fingerprint: str
    keys: Sequence[str] = ()
    ratings: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    valid_rating_U: FloatArray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    more_valid_UM: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int32))
    more_valid_rating_UM: FloatArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.float32))
    times: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    requests: Sequence[str] = ()
    valid_requests_U: Sequence[str] = ()
    rank_met: bool = True

    @property
    def num_users(self) -> int:
        """`U`, the users of this selection."""
        return len(self.valid_target_U)

    def history(self, user: int) -> IntArray:
        """Training items of a user, oldest first."""
        return self.train_items[self.train_offsets[user] : self.train_offsets[user + 1]]

    @property
    def has_texts(self) -> bool:
        """Whether anything is known of any item but its id."""
        return any(text for column in self.attributes.values() for text in column)

    @property
    def valid_rows(self) -> IntArray:
        """`[V]` rows of the users who have a validation item."""
        return np.flatnonzero(np.asarray(self.valid_target_U) != NO_TARGET)

    def valid_targets(self) -> IntArray:
        """What is to be found for each of `valid_rows`: `[V]` items, or `[V, T]` where the split leaves several."""
        return _targets(self.valid_target_U, self.more_valid_UM, self.valid_rows)

    def valid_queries(self) -> Queries:
        """One query for each of `valid_rows`: the training sequence, whose answer is in `valid_target_U`."""
        users_U = np.arange(self.num_users, dtype=np.int64)
        queries = Queries(
            users_U,
            self.train_items,
            self.train_offsets,
            self.valid_requests_U if len(self.valid_requests_U) else None,
            self.ratings if len(self.ratings) else None,
        )
        return queries.of(self.valid_rows)

    def known_queries(self) -> Queries:
        """One query for every user: the training sequence, and the validation items where there are some."""
        more_UM = self.more_valid_UM if self.more_valid_UM.size else np.zeros((self.num_users, 0), dtype=np.int32)
        items_UT = np.concatenate([np.asarray(self.valid_target_U)[:, None], more_UM], axis=1)
        there_UT = items_UT != NO_TARGET
        counts_U = there_UT.sum(axis=1)
        ends = np.repeat(np.asarray(self.train_offsets)[1:], counts_U)
        ratings = None
        if len(self.ratings):
            further_UM = self.more_valid_rating_UM if self.more_valid_rating_UM.size else np.zeros(more_UM.shape)
            ratings_UT = np.concatenate([np.asarray(self.valid_rating_U)[:, None], further_UM], axis=1)
            ratings = np.insert(self.ratings, ends, ratings_UT[there_UT])
        return Queries(
            np.arange(self.num_users, dtype=np.int64),
            np.insert(self.train_items, ends, items_UT[there_UT]),
            self.train_offsets + np.concatenate([[0], np.cumsum(counts_U)]),
            None,
            ratings,
        )

    def popularity_N(self) -> IntArray:
        """`[N]` number of training interactions of each item."""
        return np.bincount(self.train_items, minlength=self.num_items)

    def without_latest(self, count_U: int | IntArray) -> SearchData:
        """The same users and items, but their latest training interactions; each user's first always stays.

        The validation targets are the same, so between them and the training sequences there is a gap: to train on,
        not to evaluate on.

        Args:
            count_U: How many of each user, >= 0, or of every user.
        """
        offsets = np.asarray(self.train_offsets, dtype=np.int64)
        lengths_U = np.diff(offsets)
        left_U = np.minimum(lengths_U, np.maximum(lengths_U - count_U, 1))
        kept_E = np.arange(len(self.train_items)) < np.repeat(offsets[:-1] + left_U, lengths_U)
        return replace(
            self,
            train_items=self.train_items[kept_E],
            train_offsets=np.concatenate([[0], np.cumsum(left_U)]),
            ratings=self.ratings[kept_E] if len(self.ratings) else self.ratings,
            times=self.times[kept_E] if len(self.times) else self.times,
            requests=[self.requests[e] for e in np.flatnonzero(kept_E).tolist()] if len(self.requests) else (),
            fingerprint=hashlib.sha256(f"{self.fingerprint} {left_U.tolist()}".encode()).hexdigest(),
        )


@dataclass(frozen=True)
class FinalData:
    """`SearchData` with the test split; `trials.data.open_final` makes it, for promotion only.

    Args:
        search: The same users' training and validation data.
        test_target_U: `[U]` int32, the test item of every user, the last one unless a space splits otherwise;
            `NO_TARGET` where a user has none.
        permit: Promotion's leave to open it.
        test_requests_U: `[U]` what was asked before the first test interactions; empty if the data set has no requests.
        more_test_UM: `[U, M]` int32, the further test items of every user, in order, where a split leaves several.

    Raises:
        TestSplitError: If `permit` is none.
    """

    search: SearchData
    test_target_U: IntArray
    permit: TestPermit
    test_requests_U: Sequence[str] = ()
    more_test_UM: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int32))

    def __post_init__(self) -> None:
        if not isinstance(self.permit, TestPermit):
            raise TestSplitError(f"the test split is opened with promotion's permit, got {self.permit!r}")

    @property
    def test_rows(self) -> IntArray:
        """`[T]` rows of the users who have a test item; they have a validation item as well."""
        return np.flatnonzero(np.asarray(self.test_target_U) != NO_TARGET)

    def test_targets(self) -> IntArray:
        """What is to be found for each of `test_rows`: `[R]` items, or `[R, T]` where the split leaves several."""
        return _targets(self.test_target_U, self.more_test_UM, self.test_rows)

    def test_queries(self) -> Queries:
        """One query for each of `test_rows`: training sequence and validation items, whose answer is `test_targets`."""
        known = self.search.known_queries()
        return replace(known, requests=self.test_requests_U if len(self.test_requests_U) else None).of(self.test_rows)


def _targets(first_U: IntArray, more_UM: IntArray, rows: IntArray) -> IntArray:
    """Targets of some users; an item that a user has twice among them counts once."""
    if not more_UM.size:
        return first_U[rows]
    found_RT = np.concatenate([np.asarray(first_U)[rows, None], np.asarray(more_UM)[rows]], axis=1)
    for place in range(1, found_RT.shape[1]):
        again = (found_RT[:, :place] == found_RT[:, place, None]).any(axis=1)
        found_RT[again, place] = NO_TARGET
    return found_RT
