"""The item sentence `T_i`: an item's attributes flattened to `key value key value ...`."""

from __future__ import annotations

from collections.abc import Sequence

from searchplat.errors import InputError
from trials.data.reading.interactions import Interactions


def item_sentences(interactions: Interactions, keys: Sequence[str], name: str) -> list[str]:
    """One sentence an item, e.g. `title Toy Story year 1995 genres Animation Comedy`.

    Attributes stand in the order of `keys`; one without a value is left out with its key. An item without any is
    `item <its name in the file>`, so that no sentence is empty.

    Raises:
        InputError: If a key is no attribute of this data set.

    Source: DARec, section 2.2.1, after RecFormer. The length limit (30 tokens) is the tokeniser's business.
    """
    columns = attribute_texts(interactions, keys, name)
    return [
        " ".join(f"{key} {column[item]}" for key, column in columns if column[item])
        or f"item {one_line(interactions.item_keys[item])}"
        for item in range(interactions.num_items)
    ]


def attribute_texts(interactions: Interactions, keys: Sequence[str], name: str) -> list[tuple[str, list[str]]]:
    """The columns `keys` of the items' attributes, every text in one line.

    Raises:
        InputError: If a key is no attribute of this data set.
    """
    known = interactions.attributes
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise InputError(
            f"data {name}: attributes must be among {', '.join(known) or '(none)'}, got {', '.join(unknown)}."
        )
    return [(key, [one_line(text) for text in known[key]]) for key in keys]


def item_titles(interactions: Interactions) -> list[str]:
    """One title an item; an item without one is called by its name in the file."""
    titles = interactions.attributes.get("title") or [""] * interactions.num_items
    return [one_line(title) or one_line(key) for title, key in zip(titles, interactions.item_keys, strict=True)]


def one_line(text: str) -> str:
    """`text` with every run of white space, line ends included, as one blank."""
    return " ".join(text.split())
