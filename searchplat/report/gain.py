"""What the next trials of a stage were expected to gain, as the search went on."""

from __future__ import annotations

from typing import Any

from searchplat.report.facts import Facts
from searchplat.report.figure import Figure, axis, label, thin, thinned_note
from searchplat.views import text

_LEAST = 1e-3
"""Of the bound: estimates below it are drawn there, as a logarithm knows no zero."""


def gain_figures(facts: Facts) -> list[Figure]:
    """For each stage with `stop` the expected gain by the number of trials that it is from, and the bound."""
    found = []
    for stage in facts.snapshot.stages:
        own = [one for one in facts.estimates if one.stage == stage.name]
        if not own:
            continue
        drawn, bound, ahead = thin(own), own[-1].bound, own[-1].trials
        data: list[dict[str, Any]] = [
            {
                "type": "scatter", "mode": "lines+markers", "name": "expected gain", "x": [one.ended for one in drawn],
                "y": [max(one.gain, _LEAST * one.bound) for one in drawn],
                "text": [f"after {one.ended} trials: {one.gain:.2g}" for one in drawn], "hoverinfo": "text",
                "line": {"color": "$c1", "width": 1.5}, "marker": {"color": "$c1", "size": 6},
            },
            {
                "type": "scatter", "mode": "lines", "name": f"bound {bound:g}", "hoverinfo": "skip",
                "x": [one.ended for one in drawn], "y": [one.bound for one in drawn],
                "line": {"color": "$c4", "width": 1.5, "dash": "dash"},
            },
        ]  # fmt: skip
        layout = {
            "xaxis": axis("trials that ended with a value"),
            "yaxis": axis(label(f"gain of {facts.snapshot.metric}", 40), type="log", dtick="D2"),
        }
        notes = [
            f"By how much the next {text.plural(ahead, 'trial')} are expected to improve what the best is believed "
            "to be; two estimates in a row below the bound end the stage.",
            *thinned_note(len(drawn), len(own), "estimates"),
        ]
        if (said := stage.ended_early) is not None:
            notes.insert(0, f"{said[0].upper()}{said[1:]}.")
        found.append(Figure(f"Expected gain of stage {stage.name}", data, layout, notes))
    return found
