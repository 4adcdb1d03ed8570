"""What the searched parameters have to do with the objective: importance, parallel coordinates, slices; and, for two
objectives, one against the other. Layouts have a view of their own, see `layout`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_words
from searchplat.report.facts import Facts
from searchplat.report.figure import MOST, Figure, axis, label, thin, thinned_note
from searchplat.spec.scale import share_of
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout, Space
from searchplat.views import text

_LINES = 500
"""Of parallel coordinates, where more cover each other, and points of a slice."""

_FEWEST = 8
"""Scored trials from which importance is told; with fewer it is chance."""

_SHADES = ("$shade1", "$shade2", "$shade3", "$shade4", "$shade5")


@dataclass(frozen=True)
class StageFigures:
    """The figures of one stage's parameters."""

    stage: str
    wide: Sequence[Figure]
    slices: Sequence[Figure]


def parameter_figures(facts: Facts) -> list[StageFigures]:
    """For each stage that searched anything but a layout, and has two scored trials.

    A parameter of one value has no figure: it tells no trials apart.
    """
    found = []
    for stage, trials, domains in searched(facts):
        wide = [*importance(facts, trials, domains), *parallel(facts, trials, domains)]
        found.append(StageFigures(stage, wide, [slice_of(facts, trials, domain) for domain in domains]))
    return found


def searched(facts: Facts) -> Iterator[tuple[str, Sequence[TrialRecord], Sequence[Domain]]]:
    """Stages that have such figures: the name, the ranked trials with the best first, the parameters."""
    for stage in facts.snapshot.spec.stages:
        domains = [d for d in facts.snapshot.spec.space.domains if d.name in stage.over and not isinstance(d, Layout)]
        trials = facts.snapshot.ranking.of_stage(stage.name)
        domains = [d for d in domains if d.size() > 1 and any(_known(d, t) for t in trials)]
        if domains and len(trials) >= 2:
            yield stage.name, trials, domains


def importance_shares(facts: Facts, ranked: Sequence[TrialRecord], domains: Sequence[Domain]) -> dict[str, float]:
    """How much each parameter tells good trials from others, by Optuna's PED-ANOVA; empty with too few trials."""
    from searchplat.searchers.importance import importance as importance_of

    drawn = thin(ranked)
    if len(drawn) < _FEWEST or len(domains) < 2 or len({_value(t) for t in drawn}) < 2:
        return {}
    points = [{d.name: t.values[d.name] for d in domains if _known(d, t)} for t in drawn]
    maximize = facts.snapshot.spec.objectives[0].maximize
    shares = importance_of(Space(tuple(domains)), points, [_value(t) for t in drawn], maximize)
    return {name: share for name, share in shares.items() if math.isfinite(share)}


def importance(facts: Facts, ranked: Sequence[TrialRecord], domains: Sequence[Domain]) -> list[Figure]:
    """The shares as bars; empty with too few trials."""
    shares = importance_shares(facts, ranked, domains)
    names = list(shares)[::-1]
    if not names:
        return []
    data = [
        {
            "type": "bar", "orientation": "h", "x": [shares[n] for n in names], "y": [label(n, 30) for n in names],
            "marker": {"color": "$c1"}, "hovertemplate": "%{x:.2f}<extra></extra>",
        }
    ]  # fmt: skip
    notes = [f"PED-ANOVA over {text.plural(len(thin(ranked)), 'trial')}; the shares of few trials are rough."]
    layout = {"xaxis": axis("importance", rangemode="tozero"), "yaxis": {"automargin": True, "type": "category"}}
    return [Figure("Importance of parameters", data, layout, notes, 130 + 30 * len(names))]


def parallel(facts: Facts, ranked: Sequence[TrialRecord], domains: Sequence[Domain]) -> list[Figure]:
    """A line for each trial through all parameters to the objective, fifths of the ranking by shade.

    Drawn as plain lines: plotly.js's own parallel coordinates need WebGL, which neither paper nor a strict content
    policy has.
    """
    drawn = thin(ranked, _LINES)
    if len(domains) < 2:
        return []
    low, high = min(map(_value, drawn)), max(map(_value, drawn))
    span = high - low or 1.0
    fifths: list[list[TrialRecord]] = [[] for _ in _SHADES]
    for place, trial in enumerate(drawn):
        fifths[place * len(_SHADES) // len(drawn)].append(trial)
    data = []
    for fifth, trials in reversed(list(enumerate(fifths))):  # the best are drawn last, on top
        x: list[float | None] = []
        y: list[float | None] = []
        hover: list[str | None] = []
        for trial in trials:
            heights = [_place(d, trial.values[d.name]) if _known(d, trial) else None for d in domains]
            x += [*range(len(domains) + 1), None]
            y += [*heights, (_value(trial) - low) / span, None]
            hover += [*[_hover(trial)] * (len(domains) + 1), None]
        if trials:
            name = {0: "best fifth", len(_SHADES) - 1: "last fifth"}.get(fifth, f"fifth {fifth + 1}")
            data.append(
                {
                    "type": "scatter", "mode": "lines+markers", "x": x, "y": y, "text": hover, "hoverinfo": "text",
                    "name": name, "line": {"color": _SHADES[fifth], "width": 2.2 if fifth == 0 else 1.1},
                    "marker": {"color": _SHADES[fifth], "size": 4}, "opacity": 1 if fifth == 0 else 0.7,
                }
            )  # fmt: skip
    names = [*(label(d.name, 18) for d in domains), label(facts.snapshot.metric, 18)]
    ends = [*(_ends(d) for d in domains), (text.metric(low), text.metric(high))]
    marks = [
        {"x": i, "y": y, "text": label(end[side], 12), "showarrow": False, "yshift": shift, "font": {"size": 10}}
        for i, end in enumerate(ends)
        for side, y, shift in ((0, 0, -11), (1, 1, 11))
    ]
    layout = {
        "xaxis": {"tickvals": list(range(len(names))), "ticktext": names, "range": [-0.35, len(names) - 0.65],
                  "automargin": True, "zeroline": False},
        "yaxis": {"visible": False, "range": [-0.12, 1.12]},
        "annotations": marks,
    }  # fmt: skip
    return [Figure("Parallel coordinates", data, layout, thinned_note(len(drawn), len(ranked)), 400)]


def slice_of(facts: Facts, ranked: Sequence[TrialRecord], domain: Domain) -> Figure:
    """The objective against one parameter."""
    having = [t for t in ranked if _known(domain, t)]
    drawn = thin(having, _LINES)
    layout: dict[str, Any] = {
        "xaxis": axis(label(domain.name, 30)), "yaxis": axis(label(facts.snapshot.metric, 30)), "showlegend": False,
    }  # fmt: skip
    match domain:
        case Float(log=log) | Int(log=log):
            x = [t.values[domain.name] for t in drawn]
            if log:
                marks = _marks(domain.low, domain.high)
                layout["xaxis"] |= {"type": "log", "tickvals": marks, "ticktext": [text.value(mark) for mark in marks]}
        case _:
            x = [label(text.exact(t.values[domain.name]), 30) for t in drawn]
            layout["xaxis"] |= {"type": "category"}
    data = [
        {
            "type": "scatter", "mode": "markers", "x": x, "y": [_value(t) for t in drawn],
            "text": [_hover(t) for t in drawn], "hoverinfo": "text",
            "marker": {"color": "$c1", "size": 7, "opacity": 0.7},
        }
    ]  # fmt: skip
    return Figure(domain.name, data, layout, thinned_note(len(drawn), len(having)), 260)


def trade_off(facts: Facts) -> list[Figure]:
    """The second objective against the first, of comparable trials and controls; empty for a single objective.

    A line joins the front: what is below and behind it is dominated, if only these two objectives count.
    """
    objectives = facts.snapshot.spec.objectives
    if len(objectives) < 2:
        return []
    scored = facts.snapshot.ranking.comparable
    if not scored:
        return []
    front = {trial.number for trial in facts.snapshot.front}
    drawn = thin(scored)
    data = []
    for name, colour, symbol, own in (
        ("trials", "$c1", "circle", [t for t in drawn if t.number not in front and not t.broken]),
        ("break a bound on outcomes", "$ink", "circle-open", [t for t in drawn if t.number not in front and t.broken]),
        ("controls", "$c4", "square", facts.snapshot.ranking.rivals),
        ("Pareto front", "$c2", "circle", sorted((t for t in scored if t.number in front), key=_value)[:MOST]),
    ):
        points = [t.objectives for t in own if t.objectives is not None]
        if not points and name != "trials":
            continue
        joined = name == "Pareto front" and len(objectives) == 2
        data.append(
            {
                "type": "scatter", "mode": "lines+markers" if joined else "markers", "name": name,
                "x": [p[0] for p in points], "y": [p[1] for p in points],
                "text": [_both(facts, t) for t in own], "hoverinfo": "text",
                "marker": {"color": colour, "size": 7, "symbol": symbol},
                "line": {"color": colour, "width": 1.5, "shape": "vh" if objectives[0].maximize else "hv"},
            }
        )  # fmt: skip
    layout = {"xaxis": axis(label(objectives[0].metric, 30)), "yaxis": axis(label(objectives[1].metric, 30))}
    return [Figure("Two objectives", data, layout, thinned_note(len(drawn), len(scored)))]


def _marks(low: float, high: float) -> list[float]:
    """Round numbers on a logarithmic axis: powers of ten, and 2 and 5 times these where there are few."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if high / low < 50 else (1,)
    return [float(f"{step}e{decade}") for decade in decades for step in steps]


def _known(domain: Domain, trial: TrialRecord) -> bool:
    """Whether the trial has a value on this axis; conditions may have left it without one."""
    return domain.name in trial.values and domain.refusal(trial.values[domain.name]) is None


def _place(domain: Domain, value: Any) -> float:
    """Where a value stands on its axis, 0 to 1."""
    match domain:
        case Float(low=low, high=high, log=log) | Int(low=low, high=high, log=log):
            return share_of(value, low, high, log)
        case Bool():
            return float(value)
        case Categorical(choices=choices):
            same = [type(c) is type(value) and c == value for c in choices]
            return same.index(True) / max(1, len(choices) - 1)
    raise AssertionError(domain)


def _ends(domain: Domain) -> tuple[str, str]:
    match domain:
        case Float(low=low, high=high) | Int(low=low, high=high):
            return text.value(low), text.value(high)
        case Categorical(choices=choices):
            return text.value(choices[0]), text.value(choices[-1])
    return "false", "true"


def _value(trial: TrialRecord) -> float:
    assert trial.objectives is not None
    return trial.objectives[0]


def _both(facts: Facts, trial: TrialRecord) -> str:
    """A trial with the values of all objectives."""
    of = f"control {trial.control}" if trial.control else f"trial {trial.number}"
    values = zip(facts.snapshot.metrics, trial.objectives or (), strict=False)
    named = ", ".join(f"{metric} {text.metric(value)}" for metric, value in values)
    breaks = f"; {words}" if (words := broken_words(trial.broken)) else ""
    return label(f"{of}: {named}{breaks}  {text.values_line(trial.values, 90)}", 200)


def _hover(trial: TrialRecord) -> str:
    return label(f"trial {trial.number}: {text.metric(_value(trial))}  {text.values_line(trial.values, 90)}", 130)
