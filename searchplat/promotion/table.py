"""One table over methods and data sets: quality over seeds, significance, and cost beside it.

Rows are the winners and controls of promotions; rows stand in one section, and are tested against each other, only if
they were tested on the same users, and their targets ranked among the same items. `formats` writes the table down;
`comparisons` has the tests.
"""

from __future__ import annotations

import json
import math
import statistics as stdlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from searchplat import hints, protocol
from searchplat.contract import Published
from searchplat.contract.measures import larger_is_better
from searchplat.errors import InputError
from searchplat.promotion.comparisons import Comparison, Pending, Ranks, read_ranks
from searchplat.promotion.fidelity import Fidelity, rank_fidelity
from searchplat.promotion.record import Promotion, PromotionRun
from searchplat.promotion.statistics import RESAMPLES, Spread, TestName, spread

Role = Literal["winner", "candidate", "control"]

_ORDER: dict[Role, int] = {"winner": 0, "candidate": 1, "control": 2}

_NOT_SEQUENCES = frozenset({"attributes", "folder", protocol.OPTION})
"""Options of a data set that change what is said of its items, or where it lies, and not who met which item when."""


@dataclass(frozen=True)
class Cell:
    """A row's figure on one metric.

    Args:
        values: One a seed.
        place: 1 for the best mean of its section, 2 for the second best, and so on; equals share a place.
        comparisons: With the best control first, then with named baselines; empty for controls.
    """

    spread: Spread
    values: tuple[float, ...]
    place: int = 0
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class Row:
    """One candidate of one promotion: all its finished final runs.

    Args:
        seconds: Mean training and evaluation time of a run.
        peak_bytes: Largest memory of any run; None if unknown.
        parameters: Trained parameters; None if unknown.
        further: Other figures of the test split, for `breakdown`: of groups and lists, over seeds.
    """

    label: str
    role: Role
    search: str
    promotion: int
    candidate: str
    method: str
    seeds: tuple[int, ...]
    cells: dict[str, Cell]
    seconds: float
    peak_bytes: float | None
    parameters: int | None
    further: Mapping[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """Rows that were tested on the same users, among the same items.

    Args:
        title: The data set's name, with a part of its hash where two versions of it must be told apart.
        ranked: Which items targets were ranked among, in words; empty where it is not known.
        published: Figures that papers print for data with as many users.
        other_data: The same for another preparation of the data set: not comparable.
    """

    title: str
    data: str
    users: int
    rows: tuple[Row, ...]
    ranked: str = ""
    published: tuple[Published, ...] = ()
    other_data: tuple[Published, ...] = ()


@dataclass(frozen=True)
class Table:
    """All sections.

    Args:
        metrics: Columns.
        test: The test that marks follow.
        alpha: Level of significance.
        comparisons: Number of comparisons that were corrected together.
        fidelities: Rank fidelity of every search.
        openings: How often each search's test split was opened in all.
    """

    metrics: tuple[str, ...]
    sections: tuple[Section, ...]
    test: TestName
    alpha: float
    comparisons: int
    fidelities: Mapping[str, Fidelity]
    openings: Mapping[str, int]

    def mark(self, cell: Cell) -> str:
        """`**` better than the best control by Holm's correction, `*` by Benjamini-Hochberg's only, `-`, `--` worse."""
        if not cell.comparisons:
            return ""
        first = cell.comparisons[0]
        found = [first.bh[self.test] <= self.alpha, first.holm[self.test] <= self.alpha]
        return ("*" if first.difference > 0 else "-") * sum(found)


def make_table(
    promotions: Sequence[Promotion],
    *,
    against: Sequence[str] = (),
    published: Iterable[Published] = (),
    all_candidates: bool = False,
    test: TestName = "t",
    alpha: float = 0.05,
    resamples: int = RESAMPLES,
    read: Callable[[PromotionRun, Path], Ranks] = read_ranks,
    root: Path | None = None,
) -> Table:
    """Put promotions side by side.

    The reference of every comparison is the section's best control on that metric, judged by the test means
    themselves: a choice in the control's favour, so that it makes no winner look better than it is (and, for the same
    reason, marks a winner as worse a little too soon). What is tested are the winners (and candidates, if they are
    shown); all comparisons of the table, on all metrics and data sets, are corrected as one family.

    Args:
        against: Further references: labels, candidates or methods of rows.
        published: What papers print; shown where the data set's name agrees and a metric is one of the table's.
        all_candidates: Also the candidates that did not win.
        root: The folder of all searches, for the command that mends what is wrong.

    Raises:
        InputError: If a promotion has no finished final run, or a name of `against` is none of the rows.
    """
    for promotion in promotions:
        if not promotion.finals():
            raise InputError(
                f"search {promotion.search!r}: promotion {promotion.number} has no finished final run; "
                f"go on with: {hints.on_search('promote', promotion.search, root)}"
            )
    metrics = tuple(dict.fromkeys(name for promotion in promotions for name in promotion.metrics))
    papers = tuple(published)
    pending = Pending(read)
    drafts = []
    for title, met, members in _groups([part for one in promotions for part in _by_protocol(one)]):
        found = [row for member in members for row in _rows(member, metrics, all_candidates)]
        rows = _labelled(sorted(found, key=lambda row: _ORDER[row.role]))
        runs = {
            row.label: member.finals(row.candidate) for row in rows for member in members if member.search == row.search
        }
        # A program's own figures may be better the smaller they are.
        drafts.append((title, met, members, _placed(rows, metrics) if members[0].num_users else rows, runs))
    _check_names(against, [row for _, _, _, rows, _ in drafts for row in rows])
    for number, (_, _, _, rows, runs) in enumerate(drafts):
        for row, metric, references in _wanted(rows, metrics, against):
            for reference in references:
                pending.add((number, row.label, metric), reference, runs[row.label], runs[reference], metric)
    compared = pending.run(resamples)
    sections = []
    for number, (title, met, members, rows, _) in enumerate(drafts):
        full = [
            replace(
                row,
                cells={
                    m: replace(c, comparisons=compared.get((number, row.label, m), ())) for m, c in row.cells.items()
                },
            )
            for row in rows
        ]
        first = members[0]
        fitting = [p for p in papers if p.data == first.data and not p.metrics.keys().isdisjoint(metrics)]
        same = tuple(p for p in fitting if p.users == first.num_users)
        other = tuple(p for p in fitting if p.users != first.num_users)
        sections.append(Section(title, first.data, first.num_users, tuple(full), protocol.words(met), same, other))
    return Table(
        metrics,
        tuple(sections),
        test,
        alpha,
        sum(map(len, compared.values())),
        {promotion.search: fidelity_of(promotion) for promotion in promotions},
        {promotion.search: promotion.test_openings for promotion in promotions},
    )


def fidelity_of(promotion: Promotion) -> Fidelity:
    """Kendall's tau between the search's scores and the final ones: the objective's metric on the test split, else
    (if it was not measured there) on validation, mean over seeds; over candidates and controls that were trained in
    full.
    """
    final = {}
    for name in promotion.candidates:
        values = [run.test[promotion.objective] for run in promotion.finals(name) if promotion.objective in run.test]
        final[name] = stdlib.fmean(values) if values else promotion.mean_valid(name)
    return rank_fidelity(promotion.search_scores, final, promotion.maximize)


def _by_protocol(promotion: Promotion) -> list[Promotion]:
    """The promotion in parts of which each ranked the same items: several only where methods could still differ."""
    parts: dict[bool | None, list[PromotionRun]] = {}
    for run in promotion.runs:
        parts.setdefault(_protocol(promotion, run), []).append(run)
    found = [replace(promotion, runs=tuple(runs)) for runs in parts.values()]
    return [part for part in found if part.finals()]


def _protocol(promotion: Promotion, run: PromotionRun) -> bool | None:
    return protocol.rank_met(promotion.data_options, run.config)


def _groups(promotions: Sequence[Promotion]) -> list[tuple[str, bool | None, list[Promotion]]]:
    """Promotions that were tested on the same users among the same items, under a title for each group."""
    by_sequences: dict[str, list[Promotion]] = {}
    for one in promotions:
        options = {key: value for key, value in one.data_options.items() if key not in _NOT_SEQUENCES}
        met = _protocol(one, one.runs[0])
        # What a program was tested on is not known: with no other search's.
        users = one.num_users or one.search
        key = json.dumps([one.data, options, one.data_fraction, one.data_seed, users, met], sort_keys=True)
        by_sequences.setdefault(key, []).append(one)
    groups: list[list[Promotion]] = []
    for members in by_sequences.values():
        texts: dict[str, set[str]] = {}
        for one in members:
            said = {key: value for key, value in one.data_options.items() if key != protocol.OPTION}
            texts.setdefault(json.dumps(said, sort_keys=True), set()).add(one.data_fingerprint)
        if all(len(hashes) == 1 for hashes in texts.values()):
            groups.append(members)
            continue
        # The same options and another hash: the files changed, so nothing says that users are the same.
        by_hash: dict[str, list[Promotion]] = {}
        for one in members:
            by_hash.setdefault(one.data_fingerprint, []).append(one)
        groups += by_hash.values()
    mets = [_protocol(members[0], members[0].runs[0]) for members in groups]
    data = [members[0].data for members in groups]
    differing = {
        name for name in data if len({met for other, met in zip(data, mets, strict=True) if other == name}) > 1
    }
    names = [
        f"{name}: {protocol.words(met) or 'not known what was ranked'}" if name in differing else name
        for name, met in zip(data, mets, strict=True)
    ]
    hashed = [f"{name} ({members[0].data_fingerprint[:8]})" for name, members in zip(names, groups, strict=True)]
    return [
        (
            name if names.count(name) == 1 else full if hashed.count(full) == 1 else f"{name} ({members[0].search})",
            met,
            members,
        )
        for name, full, met, members in zip(names, hashed, mets, groups, strict=True)
    ]


def _rows(promotion: Promotion, metrics: Sequence[str], all_candidates: bool) -> list[Row]:
    winner = promotion.winner()
    rows = []
    for candidate in promotion.candidates:
        runs = promotion.finals(candidate)
        if not runs:
            continue
        role: Role = "control" if runs[0].control is not None else "candidate"
        if winner is not None and candidate == winner.candidate:
            role = "winner"
        if role == "candidate" and not all_candidates:
            continue
        method = runs[0].method
        values = {
            name: found
            for name in dict.fromkeys([*metrics, *(name for run in runs for name in run.test)])
            if (found := tuple(run.test[name] for run in runs if math.isfinite(run.test.get(name, math.nan))))
        }
        cells = {name: Cell(spread(values[name]), values[name]) for name in metrics if name in values}
        further = {name: spread(found) for name, found in values.items() if name not in cells}
        label = method if candidate == method else f"{method} {candidate}"
        seeds = tuple(run.seed for run in runs)
        seconds = stdlib.fmean(run.seconds for run in runs)
        peak = max((run.peak_bytes for run in runs if run.peak_bytes is not None), default=None)
        rows.append(
            Row(label, role, promotion.search, promotion.number, candidate, method, seeds, cells, seconds, peak,
                runs[0].parameters, further)
        )  # fmt: skip
    return rows


def _labelled(rows: list[Row]) -> list[Row]:
    """Labels that occur twice get their search's name."""
    labels = [row.label for row in rows]
    return [replace(r, label=f"{r.label} ({r.search})") if labels.count(r.label) > 1 else r for r in rows]


def _placed(rows: list[Row], metrics: Sequence[str]) -> list[Row]:
    for metric in metrics:
        sign = 1 if larger_is_better(metric) else -1
        means = [sign * row.cells[metric].spread.mean for row in rows if metric in row.cells]
        for row in rows:
            if metric in row.cells:
                cell = row.cells[metric]
                row.cells[metric] = replace(cell, place=1 + sum(mean > sign * cell.spread.mean for mean in means))
    return rows


def _wanted(
    rows: Sequence[Row], metrics: Sequence[str], against: Sequence[str]
) -> Iterable[tuple[Row, str, list[str]]]:
    """Which rows are compared with which references, on which metric."""
    for metric in metrics:
        present = [row for row in rows if metric in row.cells]
        controls = [row for row in present if row.role == "control"]
        best = max(controls, key=lambda row: row.cells[metric].spread.mean, default=None)
        named = [
            row
            for row in present
            if {row.label, row.candidate, row.method if row.role == "control" else ""} & {*against}
        ]
        references = list(dict.fromkeys(row.label for row in ([best] if best else []) + named))
        for row in present:
            others = [label for label in references if label != row.label]
            if row.role != "control" and others:
                yield row, metric, others


def _check_names(against: Sequence[str], rows: Sequence[Row]) -> None:
    known = {name for row in rows for name in (row.label, row.candidate)}
    known |= {row.method for row in rows if row.role == "control"}
    for name in against:
        if name not in known:
            raise InputError(f"--against: must be one of {', '.join(sorted(known))}, got {name!r}; correct the name")
