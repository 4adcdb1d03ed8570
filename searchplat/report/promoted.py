"""What a promotion found: where each candidate stands, the final table, and whether the search had predicted it."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from searchplat import protocol
from searchplat.errors import SearchplatError
from searchplat.ledger.ranking import order_of
from searchplat.ledger.rivals import not_beaten
from searchplat.promotion import breakdown, formats
from searchplat.promotion.record import FINAL, FINISHED, RACE, STOPPED, Promotion
from searchplat.promotion.statistics import spread
from searchplat.promotion.table import Table, make_table
from searchplat.report.figure import Figure, axis, label
from searchplat.views import text


@dataclass(frozen=True)
class Candidate:
    """One candidate's way through a promotion.

    Args:
        standing: Such as `winner`, `lost the race`, `2 of 3 final trainings`.
        valid: The objective on validation over seeds, final runs if there are any, else the race's; `-` without.
    """

    name: str
    trial: int | None
    control: str | None
    standing: str
    valid: str


@dataclass(frozen=True)
class FinalTable:
    """The final table as text: headings, rows (whether its best cells are marked by place), notes, and its blocks."""

    title: str
    headings: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[str, int]], Sequence[str]]]
    tests: Sequence[Sequence[str]]
    notes: Sequence[str]
    blocks: Sequence[tuple[str, Sequence[str], Sequence[tuple[str, Sequence[str]]]]]


def candidates(promotion: Promotion) -> list[Candidate]:
    """All candidates, the best final training first."""
    winner = promotion.winner()
    found = []
    for name in promotion.candidates:
        runs = [run for run in promotion.runs if run.candidate == name]
        finals = [run for run in runs if run.phase == FINAL]
        done = [run for run in finals if run.state == FINISHED]
        raced = [run for run in runs if run.phase == RACE and run.state == FINISHED]
        values = [run.valid.get(promotion.objective, math.nan) for run in (done or raced)]
        values = [value for value in values if math.isfinite(value)]
        if any(run.state == STOPPED for run in runs) and not done:
            standing = "lost the race"
        elif finals:
            standing = f"{len(done)} of {len(finals)} final trainings"
        else:
            standing = f"racing, {len(raced)} of {len(runs)} seeds"
        failed = sum(run.state == "failed" for run in runs)
        standing += f", {failed} failed" if failed else ""
        if winner is not None and winner.candidate == name and all(r.state == FINISHED for r in finals):
            standing = f"winner, {standing}"
        shown = formats.figure(spread(values)) if values else "-"
        phase = FINAL if done else RACE
        means = [promotion.mean_valid(name, phase, one.metric) for one in promotion.objectives]
        found.append((means, Candidate(name, runs[0].trial, runs[0].control, standing, shown)))
    known = [pair for pair in found if all(map(math.isfinite, pair[0]))]
    order = order_of([means for means, _ in known], promotion.objectives)
    return [*(known[place][1] for place in order), *(pair[1] for pair in found if pair not in known)]


def counts(promotion: Promotion) -> str:
    """How many runs are in which state, such as `race: 6 finished; final: 2 finished, 1 running`."""
    parts = []
    for phase in (RACE, FINAL):
        states = Counter(run.state for run in promotion.runs if run.phase == phase)
        if states:
            parts.append(f"{phase}: " + ", ".join(f"{number} {state}" for state, number in states.items()))
    return "; ".join(parts)


def result_line(promotion: Promotion) -> str:
    """What became of the winner, in one sentence; empty before there is one.

    By the objective on the test split, mean over seeds, as the final table; on validation where it was not tested.
    """
    winner = promotion.winner()
    if winner is None:
        return ""
    where = f"{'test' if promotion.objective in promotion.metrics else 'valid'} {promotion.objective}"
    means = {name: _final_mean(promotion, name) for name in promotion.candidates}
    own = means[winner.candidate]
    met = protocol.rank_met(promotion.data_options, winner.config)
    controls = {
        run.candidate
        for run in promotion.finals()
        if run.control is not None and protocol.rank_met(promotion.data_options, run.config) == met
    }
    rivals = sorted(name for name in controls if math.isfinite(means[name]))
    line = f"Promoted: {winner.candidate} has {where} {text.metric(own)}"
    if not math.isfinite(own) or not rivals:
        return f"{line}, mean over {text.plural(len(promotion.finals(winner.candidate)), 'seed')}."
    best = max(rivals, key=lambda name: means[name] if promotion.maximize else -means[name])
    change = text.change(own, means[best])
    ahead = f"ahead of the best control there, {best} {text.metric(means[best])} ({change})"
    behind = not_beaten(own, [(name, means[name]) for name in rivals], promotion.maximize)
    return f"{line}, {behind or ahead}; means over seeds."


def _final_mean(promotion: Promotion, candidate: str) -> float:
    """The objective after final training: on the test split if it was measured there, else on validation."""
    tested = [run.test[promotion.objective] for run in promotion.finals(candidate) if promotion.objective in run.test]
    return statistics.fmean(tested) if tested else promotion.mean_valid(candidate)


def final_tables(promotion: Promotion) -> tuple[list[FinalTable], str]:
    """The tables of the test split, and why there are none (empty text where there are)."""
    try:
        table = make_table([promotion], all_candidates=True)
    except SearchplatError as error:
        return [], str(error)
    return [_shown(table, index) for index in range(len(table.sections))], ""


def _shown(table: Table, index: int) -> FinalTable:
    section = table.sections[index]
    rows, tests = [], []
    for row in section.rows:
        cells = []
        for metric in table.metrics:
            cell = row.cells.get(metric)
            cells.append(
                ("-", 0) if cell is None else (f"{formats.figure(cell.spread)} {table.mark(cell)}".strip(), cell.place)
            )
            for one in cell.comparisons if cell is not None else ():
                interval = f"{one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
                tests.append((row.label, one.reference, metric, interval, *map(_p, (one.p[table.test],
                              one.bh[table.test], one.holm[table.test]))))  # fmt: skip
        rows.append((row.label, cells, formats.costs(row)))
    headings = ("method", *table.metrics, *formats.COST_HEADINGS)
    title = f"{section.title}, {section.users:,} test users"
    blocks = [
        (one.heading, one.columns, [(name, ["-" if s is None else formats.figure(s) for s in found])
                                    for name, found in one.rows])
        for one in (*breakdown.by_group(table, section), *breakdown.beyond(section))
    ]  # fmt: skip
    return FinalTable(title, headings, rows, tests, formats.notes(table), blocks)


def fidelity_figure(promotion: Promotion) -> list[Figure]:
    """The final score against the search's, a point for each configuration; empty with fewer than two."""
    points = []
    for name in promotion.candidates:
        runs, final = promotion.finals(name), _final_mean(promotion, name)
        search = promotion.search_scores.get(name, math.nan)
        if math.isfinite(final) and math.isfinite(search):
            points.append((name, search, final, any(run.control is not None for run in runs)))
    if len(points) < 2:
        return []
    data = []
    for title, colour, own in (
        ("of the search", "$c1", [p for p in points if not p[3]]),
        ("controls", "$c4", [p for p in points if p[3]]),
    ):
        if own:
            data.append(
                {
                    "type": "scatter", "mode": "markers+text", "name": title, "x": [p[1] for p in own],
                    "y": [p[2] for p in own], "text": [label(p[0], 20) for p in own], "textposition": "top center",
                    "hoverinfo": "text", "marker": {"color": colour, "size": 9}, "cliponaxis": False,
                }
            )  # fmt: skip
    objective = label(promotion.objective)
    layout = {"xaxis": axis(f"{objective} in the search"), "yaxis": axis(f"{objective} after final training")}
    return [Figure("Did the search predict the final score?", data, layout)]


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else f"{value:.0e}"
