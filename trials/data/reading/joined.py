"""Whether the files of a data set fit together: interactions on the one side, what is known of items on the other.

What does not fit is refused with file and line, or counted and told as a warning; `searchplat data NAME` shows these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from searchplat.errors import DataError
from trials.data.reading.encoding import cut_off
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions, Ints


@dataclass(frozen=True)
class Joined:
    """The items of a data set. Shape letters: `E` interactions, `N` items.

    Args:
        items_E: The item of every interaction.
        keys: `[N]` what the items are called: those of the item file in its order, then the others.
        attributes: Name -> `[N]` texts; "" where an item has none.
        warnings: What was let pass, with counts.
        unmet: Items of the item file with which nobody interacted.
    """

    items_E: Ints
    keys: list[str]
    attributes: dict[str, list[str]]
    warnings: tuple[str, ...]
    unmet: int


def join_items(
    met: Ids, codes_E: Ints, known: Ids, attributes: dict[str, list[str]], item_file: Path | None = None
) -> Joined:
    """Bring the items of an interaction file and of an item file together.

    Args:
        met: Items of the interaction file.
        codes_E: Index into `met` of every interaction.
        known: Items of the item file.
        attributes: Column name -> texts in the order of `known`.
        item_file: None if the data set has none, so that no item needs to be in it.

    Raises:
        DataError: If the files write an id differently, or have no item in common.
    """
    refuse_alike(known, met)
    rows = {key: row for row, key in enumerate(known.names)}
    keys, names = known.names, met.names
    strangers = [name for name in names if name not in rows]
    for name in strangers:
        rows[name] = len(keys)
        keys.append(name)
    code_of = np.array([rows[name] for name in names], dtype=np.int64)
    missing = [""] * len(strangers)
    padded = {name: column + missing for name, column in attributes.items()}
    warnings: tuple[str, ...] = ()
    if strangers and item_file is not None:
        first, counts = strangers[0], np.bincount(codes_E, minlength=len(names))
        if len(strangers) == len(names):
            raise DataError(
                f"{met.place(first)} item {first!r} must be in {item_file.name}, which has none of the "
                f"{len(names):,} items; check whether these files belong together."
            )
        concerned = int(sum(count for name, count in zip(names, counts.tolist(), strict=True) if name not in known))
        warnings = (
            f"{item_file.name}: has no line for {len(strangers):,} of {len(names):,} items with {concerned:,} "
            f"interactions, {first!r} ({met.place(first)}) the first; they stay, without attributes",
        )
    return Joined(code_of[codes_E], keys, padded, warnings, len(known) - len(names) + len(strangers))


def looked_over(found: Interactions, files: Sequence[Path]) -> Interactions:
    """What a reader returned, with what there is to say of it as a whole.

    Raises:
        DataError: If there is no interaction.
    """
    if files and not len(found):
        raise DataError(f"{files[0]}:1 must hold interactions, got none; get it again.")
    warnings = [*found.warnings, *filter(None, map(cut_off, files))]
    if again := repeated(found):
        warnings.append(
            f"{again:,} of {len(found):,} interactions repeat another of the same user with the same item at the "
            "same time; each counts, unless the data option duplicates is set"
        )
    return replace(found, warnings=tuple(warnings))


def repeated(found: Interactions) -> int:
    """Interactions that equal an earlier one in user, item and time; without times nobody can tell."""
    if found.times_E is None or not len(found):
        return 0
    columns = (found.times_E, found.items_E, found.users_E)
    order = np.lexsort(columns)
    same = np.ones(len(found) - 1, dtype=bool)
    for column in columns:
        ordered = column[order]
        same &= ordered[1:] == ordered[:-1]
    return int(same.sum())
