"""What the searcher `pr` thought while it searched: noise and acquisition, and where its suggestions came from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from searchplat.report.facts import Facts
from searchplat.report.figure import MOST, Figure, axis, thin, thinned_note


def surrogate_figures(facts: Facts) -> list[Figure]:
    """For each stage searched by `pr`: the fitted noise and the logarithm of the acquisition, by trial."""
    found = []
    for stage in facts.snapshot.spec.stages:
        if stage.searcher.name != "pr":
            continue
        own = [t for t in facts.snapshot.trials if t.stage == stage.name and t.control is None]
        drawn = thin([t for t in own if "noise" in t.info or "log_value" in t.info])
        if not drawn:
            continue
        data: list[dict[str, Any]] = []
        width = max(len(_numbers(t.info.get("noise"))) for t in drawn)
        for index in range(min(width, 3)):
            points = [(t.number, _numbers(t.info.get("noise"))) for t in drawn]
            kept = [(number, noise[index]) for number, noise in points if len(noise) > index]
            name = "noise" if width == 1 else f"noise, objective {index + 1}"
            data.append(_trace(name, kept, ("$c1", "$c5", "$c6")[index]))
        values = [(t.number, number) for t in drawn for number in _numbers(t.info.get("log_value"))]
        if values:
            data.append({**_trace("log acquisition", values, "$c2"), "yaxis": "y2"})
        layout = {
            "xaxis": axis("trial"),
            "yaxis": axis("noise (variance, scores standardised)", rangemode="tozero"),
            "yaxis2": {"title": {"text": "log acquisition"}, "overlaying": "y", "side": "right", "automargin": True,
                       "showgrid": False, "tickmode": "auto"},
        }  # fmt: skip
        routes = Counter(str(t.info.get("route", "unknown")) for t in own)
        said = ", ".join(f"{number} {route}" for route, number in routes.most_common(6))
        notes = [
            f"Suggestions by route: {said}.",
            "Noise near 1: the surrogate explains little of what it saw. Acquisition falls as less is left to gain.",
            *thinned_note(len(drawn), max(len(own), len(drawn)) if len(drawn) == MOST else len(drawn)),
        ]
        found.append(Figure(f"Surrogate of stage {stage.name}", data, layout, notes))
    return found


def _trace(name: str, points: Sequence[tuple[int, float]], colour: str) -> dict[str, Any]:
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": [x for x, _ in points],
        "y": [y for _, y in points], "line": {"color": colour, "width": 1.5},
        "marker": {"color": colour, "size": 5}, "hovertemplate": "trial %{x}: %{y:.4g}<extra></extra>",
    }  # fmt: skip


def _numbers(item: Any) -> list[float]:
    """Finite numbers of what a searcher said, which may be anything."""
    items = item if isinstance(item, list) else [item]
    return [float(n) for n in items if isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n)]
