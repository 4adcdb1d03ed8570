"""Requests made of what a user met before, for data in which nobody wrote one down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trials.data.reading.interactions import Interactions
from trials.data.sentences import attribute_texts, one_line


def with_requests(interactions: Interactions, keys: Sequence[str], count: int, name: str) -> Interactions:
    """Give every interaction a request: the texts of the user's `count` interactions before it, oldest first.

    The text of an interaction is its item's attributes `keys` and what came with it (a review, a search's words).
    A user's first request is empty.

    Args:
        interactions: In order, each user's one after the other.
        keys: Attributes, in order.
        count: At least 1.
        name: The data set's, for messages.

    Raises:
        InputError: If a key is no attribute of this data set.

    Source: CRAMER, appendix B.1, with count = 3. Differs: where there is nothing before, the paper falls back
    "optionally" to the present interaction, whose text tells the answer; here the request stays empty.
    """
    columns = [column for _, column in attribute_texts(interactions, keys, name)]
    texts_N = [". ".join(column[item] for column in columns if column[item]) for item in range(interactions.num_items)]
    texts = [texts_N[item] for item in interactions.items_E.tolist()]
    if interactions.notes_E is not None:
        notes = (one_line(note) for note in interactions.notes_E)
        texts = [". ".join(part for part in pair if part) for pair in zip(texts, notes, strict=True)]
    users = interactions.users_E.tolist()
    requests = np.empty(len(texts), dtype=object)
    start = 0
    for place, user in enumerate(users):
        if user != users[start]:
            start = place
        requests[place] = "\n".join(filter(None, texts[max(start, place - count) : place]))
    return replace(interactions, requests_E=requests, notes_E=None)
