"""What is said, and the item that it is said of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError
from trials.backbones.encoders.request_encoder import UNASKED, distinct
from trials.data.preparing.dataset import SearchData

Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Pairs:
    """Contexts and their items. Shape letter: `I` pairs.

    Args:
        contexts: Different texts.
        contexts_I: Row of each pair's context in `contexts`.
        items_I: Its item.
    """

    contexts: list[str]
    contexts_I: Ints
    items_I: Ints

    def __len__(self) -> int:
        return len(self.items_I)


def pairs_of(data: SearchData, context: Literal["auto", "requests", "items"]) -> Pairs:
    """Pairs of the training interactions: none of validation or test.

    Source: Hou et al., 2024, section 3, where a user's review is the context of its item. Here that is what was asked
    before the interaction (in data whose requests are made of reviews, what the user wrote before), or the text of the
    item that the user met just before: the review of the item itself is not read, as no data set keeps it.

    Raises:
        InputError: If requests are wanted, and there are none.
    """
    if context == "requests" and not len(data.requests):
        raise InputError(
            f"context: data set {data.name!r} has no requests of its own, got context=requests; set context: items",
            fields=("context",),
        )
    items_E = np.asarray(data.train_items, dtype=np.int64)
    if context != "items" and len(data.requests):
        texts, rows_E = distinct(data.requests)
        asked_E = rows_E != UNASKED
        return Pairs(texts, rows_E[asked_E], items_E[asked_E])
    follows_E = np.ones(len(items_E), dtype=np.bool_)
    offsets = np.asarray(data.train_offsets)
    follows_E[offsets[:-1][np.diff(offsets) > 0]] = False
    places_I = np.flatnonzero(follows_E)
    return Pairs(list(data.sentences), items_E[places_I - 1], items_E[places_I])
