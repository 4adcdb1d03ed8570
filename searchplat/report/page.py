"""The page: facts in, one HTML text out that needs no network.

What trials say is hostile here. Text is escaped by Jinja, labels of figures by `figure.label`, and figures travel as
JSON in which nothing can end a script element. The content policy allows the page's own scripts and styles by their
hashes and nothing else, so that what might slip through would neither run nor reach another host.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from searchplat.ledger.lineage import changes
from searchplat.report import overview
from searchplat.report.facts import Facts
from searchplat.report.figure import Figure
from searchplat.report.gain import gain_figures
from searchplat.report.layout import LayoutView, layout_view
from searchplat.report.parameters import parameter_figures, trade_off
from searchplat.report.progress import best_so_far, learning_curves, timeline
from searchplat.report.promoted import candidates, counts, fidelity_figure, final_tables, result_line
from searchplat.report.surrogate import surrogate_figures
from searchplat.views import text

_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(facts: Facts, now: float) -> str:
    """Make the page.

    Args:
        facts: Of the search.
        now: Unix time that the page says it was made at.
    """
    figures: list[dict[str, Any]] = []

    def place(figure: Figure) -> dict[str, Any]:
        figures.append({"data": figure.data, "layout": {**figure.layout, "height": figure.height}})
        return {"id": len(figures) - 1, "title": figure.title, "notes": figure.notes}

    def placed(several: Sequence[Figure]) -> list[dict[str, Any]]:
        return [place(figure) for figure in several]

    context = {
        "facts": facts,
        "snapshot": facts.snapshot,
        "made": moment(now),
        "result": overview.best_line(facts),
        "header": overview.header(facts),
        "stages": overview.stages(facts),
        "leaders": overview.leaderboard(facts),
        "shared": overview.shared_line(facts),
        "metrics": [objective.metric for objective in facts.snapshot.spec.objectives],
        "failures": overview.failures(facts),
        "retried": overview.retried(facts),
        "promotion": _promotion(facts, placed),
        "progress": placed([*best_so_far(facts), *gain_figures(facts), *trade_off(facts)]),
        "curves": placed(learning_curves(facts)),
        "reported": bool(facts.curves),
        "layout": _layout(layout_view(facts), facts),
        "parameters": [
            {"stage": one.stage, "wide": placed(one.wide), "slices": placed(one.slices)}
            for one in parameter_figures(facts)
        ],
        "surrogate": placed(surrogate_figures(facts)),
        "timeline": placed(timeline(facts)),
        "changes": changes(facts.lineages[:-1], facts.lineages[-1]) if facts.lineages else [],
        "lineage": facts.lineages[-1] if facts.lineages else {},
    }
    own = files("searchplat.report") / "template"
    style, draw = (_lines((own / name).read_text("utf-8")) for name in ("report.css", "report.js"))
    library = _lines((files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")) if figures else ""
    # plotly.js adds its rules to an element of this name if there is one; it may make none itself.
    library_style = "/* plotly.js adds its rules here */"
    # A part of it for maps, which no report has, brings styles of its own unless an element has their name.
    taken = sorted(set(re.findall(r'getElementById\("([0-9a-f]{64})"\)', library)))
    policy = (
        f"default-src 'none'; script-src {_source(draw)} {_source(library)}; "
        f"style-src {_source(style)} {_source(library_style)}; base-uri 'none'; form-action 'none'"
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {"number": text.metric, "duration": text.duration, "lines": text_lines}
    template = environment.from_string((own / "report.html.j2").read_text("utf-8"))
    return template.render(
        **context,
        policy=policy,
        style=Markup(style),
        library_style=Markup(library_style),
        library=Markup(library),
        taken=taken,
        draw=Markup(draw),
        figures=Markup(script_json(figures)),
    )


def script_json(content: Any) -> str:
    r"""JSON that may stand in a script element: nothing in it ends the element or begins a comment.

    >>> script_json(["</script>", float("nan")])
    '["\\u003c/script\\u003e",null]'
    """
    return json.dumps(_plain(content), separators=(",", ":"), ensure_ascii=False, allow_nan=False).translate(_ESCAPES)


def moment(at: float | None) -> str:
    """A unix time for people.

    >>> moment(0.0), moment(None)
    ('1970-01-01 00:00 UTC', '-')
    """
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def text_lines(content: str, most: int = 6000) -> Markup:
    """Several lines for a `pre`, escaped; the middle of very long ones is left out."""
    shown = text.visible_lines(content)
    if len(shown) > most:
        shown = f"{shown[: most // 2]}\n[{len(shown) - most:,} characters left out]\n{shown[-most // 2 :]}"
    return Markup.escape(shown)


def _shown(item: Any) -> Any:
    return item if isinstance(item, Markup) or not isinstance(item, str) else text.visible(item)


def _source(content: str) -> str:
    """The content policy's name of an inline script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _lines(content: str) -> str:
    """With the ends of lines that a browser hashes."""
    return content.replace("\r\n", "\n").replace("\r", "\n")


def _plain(item: Any) -> Any:
    match item:
        case float():
            return float(f"{item:.7g}") if math.isfinite(item) else None
        case Mapping():
            return {str(key): _plain(inner) for key, inner in item.items()}
        case list() | tuple():
            return [_plain(inner) for inner in item]
    return item


def _promotion(facts: Facts, placed: Any) -> dict[str, Any] | None:
    if facts.promotion is None:
        return None
    tables, missing = final_tables(facts.promotion)
    return {
        "number": facts.promotion.number,
        "objective": facts.promotion.objective,
        "result": result_line(facts.promotion),
        "counts": counts(facts.promotion),
        "openings": facts.promotion.test_openings,
        "candidates": candidates(facts.promotion),
        "tables": tables,
        "missing": missing,
        "figures": placed(fidelity_figure(facts.promotion)),
    }


def _layout(view: LayoutView | None, facts: Facts) -> dict[str, Any] | None:
    """The heat map's cells with their shade, 5 below to 5 above zero, and the best layouts."""
    if view is None:
        return None
    rows: list[dict[str, Any]] = []
    effects = view.effects
    if effects is not None:
        known = np.abs(effects.effects_LR[np.isfinite(effects.effects_LR)])
        largest = float(known.max(initial=0.0)) or 1.0
        good = 1 if facts.snapshot.spec.objectives[0].maximize else -1
        for layer in range(view.layout.layers):
            cells = []
            for role in range(len(view.layout.roles)):
                effect, error = float(effects.effects_LR[layer, role]), float(effects.errors_LR[layer, role])
                shade = round(5 * good * effect / largest) if math.isfinite(effect) else 0
                cells.append(
                    {
                        "effect": f"{effect:+.4f}" if math.isfinite(effect) else "-",
                        "error": f"{error:.4f}" if math.isfinite(error) else "",
                        "starred": bool(effects.clear_LR[layer, role]),
                        "shade": f"{'good' if shade > 0 else 'bad'}{abs(shade)}" if shade else "even",
                    }
                )
            rows.append({"layer": layer, "cells": cells})
    best = [
        {"trial": trial, "value": value, "bits": bits_LR.tolist(), "width": 20 * len(view.layout.roles),
         "height": 20 * view.layout.layers}
        for trial, value, bits_LR in view.best
    ]  # fmt: skip
    return {"view": view, "effects": effects, "rows": rows, "best": best}
