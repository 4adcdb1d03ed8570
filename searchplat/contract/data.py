"""Which data a trial trains on, and what a data set must say of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from searchplat.contract.assets import AssetSource


@dataclass(frozen=True)
class DataRequest:
    """Which data a trial trains on. Never a test split: only promotion can ask for that.

    Args:
        name: An entry of the entry-point group `searchplat.datasets`, e.g. `ml-100k`.
        options: The space file's other keys under `data:`, e.g. `{"min_length": 5}`.
        fraction: Share of the users, in (0, 1]; the same seed gives the same users, and a smaller
            fraction's users are a subset of a larger one's.
        seed: Draws the users.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    fraction: float = 1.0
    seed: int = 0


FILE = "file"
"""The data set that `data: {file: ...}` stands for, without a `name`: a file of somebody's own."""


@dataclass(frozen=True)
class FileProblem:
    """What is wrong with a file of somebody's own.

    Args:
        file: Its path.
        lines: Of the first places, from 1; of a format without lines the rows; empty if it is not about single ones.
        column: Number from 1 and name; None if it is about whole lines.
        what: The rule, the value and the remedy.
        count: Of the places.
        fatal: Whether the file is refused; otherwise it is told and let pass.
    """

    file: str
    lines: tuple[int, ...]
    column: tuple[int, str] | None
    what: str
    count: int
    fatal: bool

    def sentence(self) -> str:
        """All of it, for a person.

        >>> FileProblem("my.csv", (3, 9), (2, "sku"), "item id must not be empty", 7, True).sentence()
        "my.csv:3 column 2 ('sku'): item id must not be empty (in 7 lines: 3, 9, ...)"
        """
        place = f"{self.file}:{self.lines[0]}" if self.lines else f"{self.file}:"
        column = "" if self.column is None else f" column {self.column[0]} ({self.column[1]!r}):"
        more = ", ..." if self.count > len(self.lines) else ""
        lines = (
            f" (in {self.count:,} lines: {', '.join(map(str, self.lines))}{more})"
            if self.count > 1 < len(self.lines)
            else ""
        )
        return f"{place}{column} {self.what}{lines}"


@dataclass(frozen=True)
class FileReport:
    """What `searchplat data --check` tells of a file.

    Args:
        problems: Those that are fatal first.
        notes: How it was read, a sentence each.
        summary: Figures by name, of the lines that can be read.
    """

    problems: tuple[FileProblem, ...]
    notes: tuple[str, ...]
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Published:
    """What a paper prints for a method on a data set; a method lists such figures as `published`.

    Figures stand beside ours only where the data is the same: name and number of users agree.

    Args:
        method: As the paper calls it.
        data: Our name of the data set.
        users: Of the paper's data, after its filters; None where it gives no number, and nothing stands beside ours.
        items: Of the paper's data, after its filters.
        metrics: By our names, in [0, 1], e.g. `{"ndcg@10": 0.1162}`, or `sampled/ndcg@10` if among sampled items.
        source: Where they are printed.
    """

    method: str
    data: str
    users: int | None
    items: int
    metrics: Mapping[str, float]
    source: str


@dataclass(frozen=True)
class PublishedSize:
    """How large a paper says that a data set is; a data source lists such sizes as `published`.

    Args:
        source: Where it is printed, e.g. `DARec, Table 1`.
        users, items, interactions: As printed, None where nothing is; papers round.
        options: The options under which the data set is meant to have this size.
        note: What to know before comparing, e.g. that only training interactions are counted.
        request_characters: Length of the average request.
    """

    source: str
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    request_characters: float | None = None


class DataSource(Protocol):
    """A data set, found through the entry-point group `searchplat.datasets` (an object, not a class).

    It may also have `published`, a sequence of `PublishedSize`; `defaults`, the options that it sets by itself;
    `options`, a pydantic model of its options, whose fields of type `Path` are made absolute when a space is read;
    `rank_met`, whether users' rankings hold what they have met already unless its option `rank_met` says otherwise; and
    `warnings(assets, options)`, which reads the data as `statistics` does: what was let pass in it, a sentence each.
    That of the name `FILE` has `report(options)`, a `FileReport`, and `check(options)`, an `InputError` if a file that
    the options name is not there.
    """

    name: str
    summary: str
    where: str
    """How a person gets it: publisher's address, terms."""

    def available(self, assets: AssetSource) -> bool:
        """Whether it is on this machine already (no network asked)."""
        ...

    def statistics(self, assets: AssetSource, options: Mapping[str, Any]) -> dict[str, Any]:
        """Users, items, interactions, average length and so on after filtering; fetches if need be."""
        ...

    def fingerprint(self, assets: AssetSource, options: Mapping[str, Any]) -> str:
        """Equal for equal data, different otherwise; covers all users and all splits."""
        ...
