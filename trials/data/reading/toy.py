"""A generated data set that needs no file: small, deterministic, and with structure that a model can learn.

Items belong to themes. Within a theme they form a ring, and the usual next item is the successor on the ring;
titles of one theme share their words. So order, text and taste all carry signal, and popularity carries little.
A request names the theme of the item that it led to, so that who reads it ranks better than who does not.
"""

from __future__ import annotations

import numpy as np

from trials.data.preparing.options import ToyOptions
from trials.data.reading.interactions import Interactions, Ints

VERSION = 1
"""Part of the prepared data's key: raise it when the generated data changes."""

THEMES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("space", ("Silent", "Distant", "Frozen", "Burning", "Lost"), ("Planet", "Comet", "Galaxy", "Orbit", "Starship")),
    ("cooking", ("Spicy", "Sweet", "Roasted", "Simple", "Rustic"), ("Kitchen", "Recipes", "Bread", "Soup", "Dinner")),
    ("crime", ("Cold", "Hidden", "Final", "Broken", "Guilty"), ("Detective", "Witness", "Alibi", "Murder", "Verdict")),
    ("garden", ("Wild", "Blooming", "Shady", "Green", "Little"), ("Roses", "Orchard", "Hedge", "Meadow", "Seeds")),
    (
        "sailing",
        ("Stormy", "Salty", "Calm", "Northern", "Deep"),
        ("Harbour", "Voyage", "Anchor", "Tides", "Lighthouse"),
    ),
)

SUCCESSOR, SECOND, SAME_THEME, OTHER = 10.0, 2.0, 0.3, 0.02
"""Relative chances of the next item: the ring's next, the one after, the same theme, any other."""


REQUESTS = ("Something about {}, please.", "Today I feel like {}.", "What would you take for {}?")


def generate(options: ToyOptions) -> Interactions:
    """Draw the data set: no user meets an item twice; with at least as many users as items, every item occurs."""
    rng = np.random.default_rng(options.seed)
    users, items = options.users, options.items
    theme_N = np.arange(items) % len(THEMES)
    weights_NN = _weights(theme_N)

    longest = min(items, 2 * options.length - 3)
    lengths_U = rng.integers(min(3, longest), longest + 1, size=users)
    seen_UN = np.zeros((users, items), dtype=bool)
    last_U = np.arange(users) % items
    steps = [last_U]
    for _ in range(longest - 1):
        seen_UN[np.arange(users), last_U] = True
        # The largest of log-weights with Gumbel noise is a draw by weight.
        noise_UN = rng.gumbel(size=(users, items))
        last_U = np.where(seen_UN, -np.inf, np.log(weights_NN[last_U]) + noise_UN).argmax(axis=1)
        steps.append(last_U)
    items_UL = np.stack(steps, axis=1)
    kept_UL = np.arange(longest) < lengths_U[:, None]
    attributes = _attributes(theme_N)
    items_E = items_UL[kept_UL].astype(np.int64)
    users_UL = np.broadcast_to(np.arange(users)[:, None], items_UL.shape)
    times_UL = np.broadcast_to(np.arange(longest) * 86_400.0, items_UL.shape)
    return Interactions(
        users_E=users_UL[kept_UL].astype(np.int64),
        items_E=items_E,
        ratings_E=rng.integers(3, 6, size=int(kept_UL.sum())).astype(np.float64),
        times_E=times_UL[kept_UL],
        item_keys=[f"toy-{item}" for item in range(items)],
        user_keys=[f"toy-user-{user}" for user in range(users)],
        attributes=attributes,
        requests_E=_requests(items_E, attributes["genres"]) if options.requests else None,
    )


def _requests(items_E: Ints, genres: list[str]) -> np.ndarray:
    """`[E]` one sentence an interaction, in one of three wordings."""
    texts = [REQUESTS[place % len(REQUESTS)].format(genres[item]) for place, item in enumerate(items_E.tolist())]
    return np.array(texts, dtype=object)


def _weights(theme_N: np.ndarray) -> np.ndarray:
    """`[N, N]` chance of each next item, up to a factor."""
    weights_NN = np.where(theme_N[:, None] == theme_N[None, :], SAME_THEME, OTHER)
    for theme in range(len(THEMES)):
        ring = np.flatnonzero(theme_N == theme)
        if len(ring) > 2:
            weights_NN[ring, np.roll(ring, -2)] = SECOND
        weights_NN[ring, np.roll(ring, -1)] = SUCCESSOR
    return weights_NN


def _attributes(theme_N: np.ndarray) -> dict[str, list[str]]:
    titles, years, genres = [], [], []
    for item, theme in enumerate(theme_N.tolist()):
        genre, adjectives, nouns = THEMES[theme]
        place = item // len(THEMES)
        volume, within = divmod(place, len(adjectives) * len(nouns))
        # Steps of 6 through the 5 x 5 pairs, so that neighbours on the ring share no word.
        pair = within * 6 % 25
        title = f"{adjectives[pair // 5]} {nouns[pair % 5]}"
        titles.append(title if volume == 0 else f"{title} {volume + 1}")
        years.append(str(1980 + item % 40))
        genres.append(genre)
    return {"title": titles, "year": years, "genres": genres}
