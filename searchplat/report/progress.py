"""How the search went: the best so far, learning curves, and who ran when. Facts in, figures out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_words
from searchplat.report.facts import Facts, Span, lanes
from searchplat.report.figure import MOST, STATE_COLOURS, Figure, axis, colour, label, thin, thinned_note
from searchplat.searchers.contract import TrialState
from searchplat.views import TOP, text
from searchplat.views.snapshot import Snapshot

_CURVES = 400
"""Learning curves drawn; more become a coloured area."""

_GAP = 1 / 1000
"""Of the whole time: idle times shorter than this cannot be seen."""


def best_so_far(facts: Facts) -> list[Figure]:
    """The best value against the number of trials, and against time; empty without a scored trial."""
    scored = facts.snapshot.ranking.ranked
    if not scored:
        return []
    by_end = sorted((t for t in scored if t.number in facts.times.ended), key=lambda t: facts.times.ended[t.number])
    unit, name = _unit(facts)
    clock = {number: at / unit for number, at in facts.times.ended.items()}
    trials = _against(facts, scored, {t.number: float(t.number) for t in scored}, "trial")
    time = _against(facts, by_end, clock, name)
    notes = [*thinned_note(MOST, len(scored))]
    if len({t.data_fraction for t in scored}) > 1:
        notes.append("Trials on different shares of the users do not compare, so each share has its own line.")
    paused = ["Times without a driver are left out."] if facts.times.pauses else []
    return [
        Figure("Best so far, by trial", *trials, notes),
        Figure("Best so far, by time", *time, [*notes, *paused]),
    ]


def _against(
    facts: Facts, trials: Sequence[TrialRecord], where: dict[int, float], name: str
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Traces and layout: a point for each trial, a step line for each share of the users, the best control."""
    snapshot = facts.snapshot
    data: list[dict[str, Any]] = []
    end = max((where[t.number] for t in trials), default=0.0)
    end = max(end, facts.times.worked / _unit(facts)[0] if name != "trial" else len(snapshot.trials) - 1)
    drawn = thin(trials)
    for index, stage in enumerate(snapshot.spec.stages):
        own = [t for t in drawn if t.stage == stage.name and not t.broken]
        if own:
            data.append(
                {
                    "type": "scatter", "mode": "markers", "name": label(f"trials of {stage.name}", 40),
                    "x": [where[t.number] for t in own], "y": [_value(t) for t in own],
                    "text": [_hover(facts, t) for t in own], "hoverinfo": "text",
                    "marker": {"color": colour(index), "size": 6, "opacity": 0.6},
                }
            )  # fmt: skip
    if broken := [t for t in drawn if t.broken]:
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": "break a bound on outcomes",
                "x": [where[t.number] for t in broken], "y": [_value(t) for t in broken],
                "text": [_hover(facts, t) for t in broken], "hoverinfo": "text",
                "marker": {"color": "$ink", "size": 6, "opacity": 0.6, "symbol": "circle-open"},
            }
        )  # fmt: skip
    trials = [t for t in trials if not t.broken] or trials
    shares = sorted({t.data_fraction for t in trials})
    for share in shares:
        own = [t for t in trials if t.data_fraction == share]
        steps: list[TrialRecord] = []
        for trial in own:
            if not steps or _leads(snapshot, trial, steps[-1]):
                steps.append(trial)
        last = end if share == own[-1].data_fraction and own[-1] is trials[-1] else where[own[-1].number]
        of = "" if len(shares) == 1 else f" on {share:.0%} of users"
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": f"best so far{of}", "hoverinfo": "skip",
                "x": [*(where[t.number] for t in steps), last], "y": [*map(_value, steps), _value(steps[-1])],
                "line": {"color": "$ink", "width": 2, "shape": "hv"},
            }
        )  # fmt: skip
    control = next(iter(snapshot.ranking.rivals), None)
    if control is not None and control.objectives is not None:
        value = control.objectives[0]
        data.append(
            {
                "type": "scatter", "mode": "lines", "name": label(f"best control: {control.control}", 40),
                "x": [0, end], "y": [value, value], "line": {"color": "$c4", "width": 1.5, "dash": "dash"},
                "text": label(f"control {control.control}: {text.metric(value)}"), "hoverinfo": "text",
            }
        )  # fmt: skip
    return data, {"xaxis": axis(name, rangemode="tozero"), "yaxis": axis(label(snapshot.metric, 30))}


def learning_curves(facts: Facts) -> list[Figure]:
    """The first objective by epoch: the best trials by name, the others by how they ended; empty without a report."""
    snapshot = facts.snapshot
    if not facts.curves or max(len(points) for points in facts.curves.values()) < 2:
        return []
    best = snapshot.ranking.best(TOP)
    named = {t.number for t in best}
    others = [t for t in snapshot.trials if t.control is None and t.number in facts.curves and t.number not in named]
    drawn = thin(others, _CURVES - len(best))
    data = []
    for state in TrialState:
        own = [t for t in drawn if t.state is state]
        if own:
            data.append(_lines(facts, own, state))
    stopped = [t for t in [*drawn, *best] if t.state is TrialState.STOPPED and t.number in facts.curves]
    if stopped:
        ends = [facts.curves[t.number][-1] for t in stopped]
        data.append(
            {
                "type": "scatter", "mode": "markers", "name": "stopped here", "x": [e for e, _ in ends],
                "y": [v for _, v in ends], "text": [_hover(facts, t) for t in stopped], "hoverinfo": "text",
                "marker": {"color": "$c2", "size": 8, "symbol": "x"},
            }
        )  # fmt: skip
    for index, trial in enumerate(best):
        if points := facts.curves.get(trial.number):
            data.append(
                {
                    "type": "scatter", "mode": "lines+markers", "name": f"trial {trial.number}",
                    "x": [e for e, _ in points], "y": [v for _, v in points],
                    "text": _hover(facts, trial), "hoverinfo": "text",
                    "line": {"color": "$ink" if index == 0 else "$c3", "width": 3 if index == 0 else 1.5},
                    "marker": {"size": 5}, "showlegend": index == 0,
                }
            )  # fmt: skip
            if index == 0:
                data[-1]["name"] = f"best: trial {trial.number}"
    layout = {"xaxis": axis("epoch", rangemode="tozero"), "yaxis": axis(label(snapshot.metric, 30))}
    notes = [f"The best {len(best)} are drawn stronger."] if len(best) > 1 else []
    return [
        Figure(
            "Learning curves",
            data,
            layout,
            [*notes, *thinned_note(len(drawn) + len(best), len(others) + len(best))],
            380,
        )
    ]


def _lines(facts: Facts, trials: Sequence[TrialRecord], state: TrialState) -> dict[str, Any]:
    """One trace for many trials, whose lines are parted by gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    hover: list[str | None] = []
    for trial in trials:
        points = facts.curves[trial.number]
        x += [*(epoch for epoch, _ in points), None]
        y += [*(value for _, value in points), None]
        hover += [*[_hover(facts, trial)] * len(points), None]
    return {
        "type": "scatter", "mode": "lines+markers", "name": state.value, "x": x, "y": y, "text": hover,
        "hoverinfo": "text", "opacity": 0.45, "marker": {"size": 3, "color": STATE_COLOURS[state]},
        "line": {"color": STATE_COLOURS[state], "width": 1},
    }  # fmt: skip


def timeline(facts: Facts) -> list[Figure]:
    """Who ran when: a lane for each trial at once, gaps are idle time; empty where nothing was started."""
    spans = facts.times.spans
    if not spans:
        return []
    unit, name = _unit(facts)
    trials = {t.number: t for t in facts.snapshot.trials}
    known = [(span, lane) for span, lane in zip(spans, lanes(spans), strict=True) if span.trial in trials]
    merged = len(known) > MOST
    data = _blocks(facts, known, unit) if merged else _bars(facts, known, unit)
    slots = 1 + max(lane for _, lane in known)
    busy = sum(span.end - span.start for span, _ in known)
    share = busy / (slots * facts.times.worked) if facts.times.worked > 0 else 1.0
    notes = [
        f"At most {text.plural(slots, 'trial')} at once; these slots were busy for {min(share, 1):.0%} of the time."
    ]
    if facts.times.pauses:
        notes.append("Dotted lines: the search was taken up again; the time without a driver is left out.")
    if merged:
        notes.append(f"{len(known):,} runs: those that follow each other without a pause are drawn as one block.")
    layout = {
        "barmode": "overlay",
        "xaxis": axis(name, rangemode="tozero"),
        "yaxis": axis("slot", dtick=max(1, slots // 8), autorange="reversed"),
        "shapes": [
            {"type": "line", "x0": at / unit, "x1": at / unit, "y0": 0, "y1": 1, "yref": "paper",
             "line": {"color": "$muted", "width": 1.5, "dash": "dot"}}
            for at in thin(facts.times.pauses, 50)
        ],
    }  # fmt: skip
    height = min(520, 170 + 34 * slots)
    return [Figure("Timeline", data, layout, notes, height)]


def _bars(facts: Facts, known: Sequence[tuple[Span, int]], unit: float) -> list[dict[str, Any]]:
    """A bar for each run, coloured by how its trial ended."""
    trials = {t.number: t for t in facts.snapshot.trials}
    data = []
    for state in TrialState:
        own = [(span, lane) for span, lane in known if trials[span.trial].state is state]
        if own:
            data.append(
                {
                    "type": "bar", "orientation": "h", "name": state.value, "width": 0.82,
                    "base": [span.start / unit for span, _ in own],
                    "x": [(span.end - span.start) / unit for span, _ in own],
                    "y": [lane + 1 for _, lane in own],
                    "text": [_span_hover(facts, span, trials[span.trial]) for span, _ in own],
                    "textposition": "none", "hoverinfo": "text",
                    "marker": {"color": STATE_COLOURS[state], "line": {"width": 1, "color": "$paper"}},
                }
            )  # fmt: skip
    return data


def _blocks(facts: Facts, known: Sequence[tuple[Span, int]], unit: float) -> list[dict[str, Any]]:
    """A bar for each unbroken time of work of a lane."""
    least = facts.times.worked * _GAP
    blocks: dict[int, list[list[float]]] = {}
    for span, lane in known:
        own = blocks.setdefault(lane, [])
        if own and span.start - own[-1][1] <= least:
            own[-1][1] = max(own[-1][1], span.end)
            own[-1][2] += 1
        else:
            own.append([span.start, span.end, 1])
    flat = [(lane, *block) for lane, several in blocks.items() for block in several]
    return [
        {
            "type": "bar", "orientation": "h", "name": "busy", "width": 0.82, "base": [b[1] / unit for b in flat],
            "x": [(b[2] - b[1]) / unit for b in flat], "y": [b[0] + 1 for b in flat],
            "text": [f"{b[3]:,} trials, {text.duration(b[2] - b[1])}" for b in flat], "textposition": "none",
            "hoverinfo": "text", "marker": {"color": "$c1"},
        }
    ]  # fmt: skip


def _unit(facts: Facts) -> tuple[float, str]:
    """Seconds of the unit in which the whole search is a readable number, and what its axis is called."""
    seconds, unit = next(
        (size, unit)
        for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes"), (1, "seconds"))
        if facts.times.worked >= 3 * size or size == 1
    )
    return float(seconds), f"{unit} of work since the start"


def _value(trial: TrialRecord) -> float:
    assert trial.objectives is not None
    return trial.objectives[0]


def _hover(facts: Facts, trial: TrialRecord) -> str:
    value = text.metric(trial.objectives[0]) if trial.objectives else "no value"
    breaks = f"; {words}" if (words := broken_words(trial.broken)) else ""
    return label(f"trial {trial.number}, {trial.stage}, {trial.state.value}: {value}{breaks}", 160)


def _leads(snapshot: Snapshot, trial: TrialRecord, other: TrialRecord) -> bool:
    """Whether a trial is better than an earlier one by the first objective, or breaks bounds on outcomes less."""
    if trial.violation != other.violation:
        return trial.violation < other.violation
    return snapshot.better(_value(trial), _value(other))


def _span_hover(facts: Facts, span: Span, trial: TrialRecord) -> str:
    what = f"control {trial.control}" if trial.control else trial.stage
    took = text.duration(span.end - span.start)
    return label(f"trial {trial.number}, {what}: {trial.state.value}, {took}", 120)
