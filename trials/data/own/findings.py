"""What is wrong with the values of a column, by whole arrays: from a mask over rows to a problem with lines."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from searchplat.contract import FileProblem
from trials.data.own.columns import SHOWN, Columns
from trials.data.reading.ids import plain_id, wrong_with
from trials.data.reading.interactions import Ints
from trials.data.reading.lines import shown

Mask = NDArray[np.bool_]


@dataclass
class Findings:
    """Problems of one file, as they are found.

    Args:
        columns: The file.
        bad_E: Rows that are refused.
        problems: In the order in which they were found.
    """

    columns: Columns
    bad_E: Mask
    problems: list[FileProblem] = field(default_factory=list)

    def rows(self, wrong_E: Mask, column: str | None, what: Callable[[int], str], *, fatal: bool) -> None:
        """Note the rows of a mask, if there are any.

        Args:
            what: Rule, value and remedy, given the first row.
        """
        rows = np.flatnonzero(wrong_E)
        if not len(rows):
            return
        if fatal:
            self.bad_E |= wrong_E
        lines = tuple(self.columns.lines_E[rows[:SHOWN]].tolist())
        place = None if column is None else (list(self.columns.names).index(column) + 1, column)
        self.problems.append(FileProblem(str(self.columns.path), lines, place, what(int(rows[0])), len(rows), fatal))

    def whole(self, what: str, *, fatal: bool) -> None:
        """Note what concerns no single row."""
        self.problems.append(FileProblem(str(self.columns.path), (), None, what, 1, fatal))

    def ids(self, column: str, what: str, codes_E: Ints, names: Sequence[str]) -> None:
        """Note ids that cannot be taken as they are written, and such as differ only in how they are written."""
        by_rule: dict[str, list[int]] = {}
        for code, name in enumerate(names):
            if rule := wrong_with(name):
                by_rule.setdefault(rule, []).append(code)
        for rule, codes in by_rule.items():
            wrong_E = np.isin(codes_E, codes)
            first = codes_E[np.argmax(wrong_E)]
            sentence = f"{what} id {rule}, got {shown(names[int(first)])}"
            self.rows(wrong_E, column, partial(_always, sentence), fatal=True)
        taken = {code for codes in by_rule.values() for code in codes}
        good = [name for code, name in enumerate(names) if code not in taken]
        self._alike(column, what, codes_E, names, _groups(good, plain_id), "how they are written", fatal=True)
        self._alike(column, what, codes_E, names, _groups(good, str.casefold), "upper and lower case", fatal=False)

    def _alike(
        self,
        column: str,
        what: str,
        codes_E: Ints,
        names: Sequence[str],
        groups: list[list[str]],
        how: str,
        *,
        fatal: bool,
    ) -> None:
        if not groups:
            return
        code_of = {name: code for code, name in enumerate(names)}
        later = [code_of[name] for group in groups for name in group[1:]]
        first = ", ".join(shown(name) for name in groups[0][:3])
        counted = f"{len(groups):,} {what} ids differ" if len(groups) > 1 else f"{what} ids differ"
        remedy = "write each in one way" if fatal else f"they count as different {what}s"
        self.rows(
            np.isin(codes_E, later),
            column,
            lambda row: f"{counted} from another in {how} only, as {first}; {remedy}",
            fatal=fatal,
        )


def _always(sentence: str, row: int) -> str:
    return sentence


def _groups(names: Sequence[str], key: Callable[[str], str]) -> list[list[str]]:
    """Names whose keys are equal, where there are several."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(key(name), []).append(name)
    return [group for group in found.values() if len(group) > 1]


def missing(wanted: Mapping[str, str | None], names: Sequence[str]) -> list[str]:
    """A sentence for each column that is asked for by a name that there is not, or that must be named and is not.

    Args:
        wanted: By key of the space file; None where the space file names none.
    """
    said = []
    for key, name in wanted.items():
        if name is None:
            said.append(f"which column is the {key} must be said, as `{key}: NAME`; columns are {_listed(names)}")
        elif name not in names:
            near = nearest(name, names)
            meant = f"did you mean {near[0]!r}? " if near else ""
            said.append(f"there is no column {name!r} for the {key}; {meant}columns are {_listed(names)}")
    return said


def nearest(name: str, names: Sequence[str]) -> list[str]:
    """Names that are like this one, the nearest first."""
    folded = {each.casefold().strip(): each for each in names}
    close = difflib.get_close_matches(name.casefold().strip(), list(folded), n=3, cutoff=0.6)
    return [folded[each] for each in close]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(shown(name) for name in names[:20]) + more
