"""From a file's interactions to the sequences that a data set consists of: filter, then sort by user and time."""

from __future__ import annotations

import numpy as np

from searchplat.errors import DataError
from trials.data.preparing.options import DataOptions
from trials.data.reading.interactions import Interactions


def filtered(interactions: Interactions, options: DataOptions, name: str) -> Interactions:
    """Apply all filters; users one after the other, each oldest first, users and items numbered without gaps.

    Raises:
        DataError: If the data lacks what a filter looks at, or nothing is left.
    """
    if options.drop_untitled:
        interactions = drop_untitled(interactions, name)
    if options.min_rating is not None:
        interactions = at_least(interactions, options.min_rating, name)
    interactions = in_order(interactions)
    if options.duplicates != "keep":
        interactions = without_duplicates(interactions, keep_last=options.duplicates == "last")
    interactions = core(interactions, max(options.core, options.min_length), max(options.core, options.min_item))
    if not len(interactions):
        shown = options.model_dump(mode="json", exclude=set(options.places), exclude_defaults=True)
        raise DataError(
            f"data {name}: no user with at least {max(options.core, options.min_length)} interactions is left after "
            f"the filters {shown or '(defaults)'}; loosen them."
        )
    return interactions.compact()


def drop_untitled(interactions: Interactions, name: str) -> Interactions:
    """Leave out interactions with items that have no title."""
    titles = interactions.attributes.get("title")
    if titles is None:
        known = ", ".join(interactions.attributes) or "none"
        raise DataError(f"data {name}: drop_untitled needs the attribute title; its items have: {known}.")
    titled_N = np.array([bool(title.strip()) for title in titles], dtype=bool)
    return interactions.take(titled_N[interactions.items_E])


def at_least(interactions: Interactions, rating: float, name: str) -> Interactions:
    """Keep interactions rated `rating` or better."""
    if interactions.ratings_E is None:
        raise DataError(f"data {name}: min_rating needs ratings, and this data set has none; leave the option out.")
    return interactions.take(interactions.ratings_E >= rating)


def in_order(interactions: Interactions) -> Interactions:
    """Sort by user, then time; what happened in the same second keeps the file's order."""
    users_E, times_E = interactions.users_E, interactions.times_E
    # Keys from last to first; lexsort is stable, so that the file's order decides ties.
    order = np.argsort(users_E, kind="stable") if times_E is None else np.lexsort((times_E, users_E))
    return interactions.take(order)


def without_duplicates(interactions: Interactions, keep_last: bool) -> Interactions:
    """Keep a user's first (or last) interaction with each item; the input must be in order."""
    pairs = interactions.users_E * interactions.num_items + interactions.items_E
    if keep_last:
        _, found = np.unique(pairs[::-1], return_index=True)
        found = len(pairs) - 1 - found
    else:
        _, found = np.unique(pairs, return_index=True)
    return interactions.take(np.sort(found))


def core(interactions: Interactions, per_user: int, per_item: int) -> Interactions:
    """Leave out users and items with too few interactions, again and again until none is left."""
    while len(interactions):
        users_U = np.bincount(interactions.users_E) >= per_user
        items_N = np.bincount(interactions.items_E, minlength=interactions.num_items) >= per_item
        keep_E = users_U[interactions.users_E] & items_N[interactions.items_E]
        if keep_E.all():
            break
        interactions = interactions.take(keep_E)
    return interactions
