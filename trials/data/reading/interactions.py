"""What every reader returns: who interacted with what, in the file's order, and what is known of the items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Interactions:
    """Interactions as flat arrays. Shape letters: `E` interactions, `N` items.

    Args:
        users_E: User codes from 0; `compact` closes gaps.
        items_E: Item codes, 0..N-1.
        ratings_E: Ratings in the file's own unit, or None if the data has none.
        times_E: Unix seconds, or None if the file's order is all that is known.
        item_keys: `[N]` the items' names in the file.
        attributes: Column name -> `[N]` texts; "" where an item has none.
        requests_E: `[E]` object array of str, what was asked before each interaction, or None if nobody asked.
        notes_E: `[E]` object array of str, what came with each interaction, e.g. a review or a search's words, or
            None; `requests.py` makes requests of it.
        warnings: What was let pass in the files, with counts, a sentence each.
        unmet_items: Items of the item file with which nobody interacted; no filter changes it.
        user_keys: `[U]` the users' names in the file; empty if the reader does not tell.
    """

    users_E: Ints
    items_E: Ints
    ratings_E: Floats | None
    times_E: Floats | None
    item_keys: Sequence[str]
    attributes: dict[str, list[str]] = field(default_factory=dict)
    requests_E: NDArray[np.object_] | None = None
    notes_E: NDArray[np.object_] | None = None
    warnings: tuple[str, ...] = ()
    unmet_items: int = 0
    user_keys: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.users_E)

    @property
    def num_users(self) -> int:
        """`U`."""
        return int(self.users_E.max()) + 1 if len(self.users_E) else 0

    @property
    def num_items(self) -> int:
        """`N`."""
        return len(self.item_keys)

    def take(self, which: NDArray[Any]) -> Interactions:
        """The interactions that a mask or index array selects; users and items keep their codes."""
        return replace(
            self,
            users_E=self.users_E[which],
            items_E=self.items_E[which],
            ratings_E=None if self.ratings_E is None else self.ratings_E[which],
            times_E=None if self.times_E is None else self.times_E[which],
            requests_E=None if self.requests_E is None else self.requests_E[which],
            notes_E=None if self.notes_E is None else self.notes_E[which],
        )

    def compact(self) -> Interactions:
        """Number users and items anew without gaps, each in their present order; unused items are dropped."""
        there, users_E = np.unique(self.users_E, return_inverse=True)
        kept, items_E = np.unique(self.items_E, return_inverse=True)
        return replace(
            self,
            users_E=users_E.astype(np.int64),
            items_E=items_E.astype(np.int64),
            item_keys=[self.item_keys[i] for i in kept],
            user_keys=[self.user_keys[u] for u in there] if self.user_keys else (),
            attributes={name: [column[i] for i in kept] for name, column in self.attributes.items()},
        )
