"""What users ask: requests of the data set, or the text of the latest items of a history; and training examples.

Shape letters: `B` queries, `I` training examples, `U` users, `N` items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError
from trials.data.preparing.dataset import IntArray, Queries, SearchData

Ints = NDArray[np.int64]

Origin = Literal["history", "data", "same", "none"]
"""Where requests come from; `none` leaves the backbone as it is."""

SAME = "I am looking for something to watch."
"""What everybody asks where the request is `same`."""


def origin(wanted: Literal["auto", "history", "data", "same", "none"], data: SearchData) -> Origin:
    """Where this data's requests come from; `auto` takes the data set's own if it has any.

    Raises:
        InputError: If the data set's own are wanted, and it has none.
    """
    if wanted == "auto":
        return "data" if len(data.requests) else "history"
    if wanted == "data" and not len(data.requests):
        raise InputError(
            f"request: data set {data.name!r} has no requests of its own, got request=data; set request: history",
            fields=("request",),
        )
    return wanted


@dataclass(frozen=True)
class HistoryTexts:
    """Requests made of histories: the texts of the latest `count` items, oldest first.

    Args:
        sentences_N: An item's text.
        count: Items, >= 1; the paper: 3.

    Source: appendix B.1. Differs: where nothing comes before, the paper falls back to the interaction that is to be
    predicted; here there is no such case, since what is predicted follows at least one item.
    """

    sentences_N: Sequence[str]
    count: int

    def of(self, items: IntArray) -> str:
        """The request after a history."""
        return " ".join(self.sentences_N[item] for item in items[-self.count :].tolist())


@dataclass(frozen=True)
class Examples:
    """Training examples: an interaction, what came before it, and what was asked.

    Args:
        items: `[E]` all training interactions, users one after the other.
        starts_I: Place in `items` where the example's user starts.
        targets_I: Place in `items` of what is to be predicted; later than `starts_I`.
        requests_I: What was asked.
        users_I: Row of the user in the whole data.
    """

    items: IntArray
    starts_I: Ints
    targets_I: Ints
    requests_I: Sequence[str]
    users_I: Ints

    def __len__(self) -> int:
        return len(self.targets_I)

    def rows(self, chosen: Ints, longest: int) -> tuple[Queries, Ints]:
        """Examples as queries of at most `longest` items with their requests, and the items to predict, `[B]`."""
        stops_B = self.targets_I[chosen]
        firsts_B = np.maximum(self.starts_I[chosen], stops_B - longest)
        places = np.concatenate([np.arange(a, b) for a, b in zip(firsts_B, stops_B, strict=True)])
        offsets = np.concatenate([[0], np.cumsum(stops_B - firsts_B)])
        requests = [self.requests_I[i] for i in chosen.tolist()]
        users_B = np.full(len(chosen), -1)  # the backbone knows histories only
        return Queries(users_B, np.asarray(self.items[places]), offsets, requests), np.asarray(
            self.items[stops_B], dtype=np.int64
        )


def no_examples() -> Examples:
    """Nothing to train on."""
    nothing = np.zeros(0, dtype=np.int64)
    return Examples(nothing, nothing, nothing, [], nothing)


def examples(data: SearchData, texts: HistoryTexts, source: Origin, per_user: int | None, holdout: int = 0) -> Examples:
    """Every training interaction but each user's first, or each user's latest `per_user` of them.

    Args:
        holdout: With more than 0 only what the backbone was not trained on, each user's latest so many.

    Where the data set's own request is blank, as at a dialogue's very beginning, it is made of the history.
    """
    offsets = np.asarray(data.train_offsets, dtype=np.int64)
    starts_E = np.repeat(offsets[:-1], np.diff(offsets))
    stops_E = np.repeat(offsets[1:], np.diff(offsets))
    places_E = np.arange(len(starts_E))
    wanted_E = places_E > starts_E
    if per_user is not None:
        wanted_E &= places_E >= stops_E - per_user
    if holdout:
        wanted_E &= places_E >= stops_E - holdout
    targets_I = places_E[wanted_E]
    starts_I = starts_E[wanted_E]
    items = np.asarray(data.train_items)
    firsts_I = np.maximum(starts_I, targets_I - texts.count)
    users_I = np.repeat(np.asarray(data.users_U, dtype=np.int64), np.diff(offsets))[wanted_E]
    if source == "same":
        return Examples(items, starts_I, targets_I, [SAME] * len(targets_I), users_I)
    requests = [
        _or_history(data.requests[stop] if source == "data" else "", texts, items[first:stop])
        for first, stop in zip(firsts_I.tolist(), targets_I.tolist(), strict=True)
    ]
    return Examples(items, starts_I, targets_I, requests, users_I)


def asked(queries: Queries, texts: HistoryTexts, source: Origin) -> list[str]:
    """`[B]` the request of every query.

    Args:
        source: With `data` the queries' own requests; a blank one, or none, is made of the history.
    """
    if source == "same":
        return [SAME] * len(queries)
    own = queries.requests if source == "data" and queries.requests is not None else [""] * len(queries)
    return [_or_history(request, texts, queries.history(b)) for b, request in enumerate(own)]


def _or_history(request: str, texts: HistoryTexts, history: IntArray) -> str:
    return request if request.strip() else texts.of(history)
