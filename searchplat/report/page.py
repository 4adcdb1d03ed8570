"""The page: facts in, one HTML text out that needs no network.

What trials say is hostile here. Text is escaped by Jinja, labels of figures by `figure.label`, and figures travel as
JSON in which nothing can end a script element. The content policy allows the page's own scripts and styles by their
hashes and nothing else, so that what might slip through would neither run nor reach another host.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from searchplat.ledger.lineage import changes
from searchplat.report import overview
from searchplat.report.drawing import LIBRARY_STYLE, asset, environment, library, script_json, source, taken
from searchplat.report.facts import Facts
from searchplat.report.figure import Figure
from searchplat.report.gain import gain_figures
from searchplat.report.layout import drawn, layout_view
from searchplat.report.parameters import parameter_figures, trade_off
from searchplat.report.progress import best_so_far, learning_curves, timeline
from searchplat.report.promoted import candidates, counts, fidelity_figure, final_tables, result_line
from searchplat.report.surrogate import surrogate_figures


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
        "layout": drawn(layout_view(facts), facts.snapshot.spec.objectives[0].maximize),
        "parameters": [
            {"stage": one.stage, "wide": placed(one.wide), "slices": placed(one.slices)}
            for one in parameter_figures(facts)
        ],
        "surrogate": placed(surrogate_figures(facts)),
        "timeline": placed(timeline(facts)),
        "changes": changes(facts.lineages[:-1], facts.lineages[-1]) if facts.lineages else [],
        "lineage": facts.lineages[-1] if facts.lineages else {},
    }
    style, draw = asset("report.css"), asset("figures.js") + asset("report.js")
    carried = library() if figures else ""
    policy = (
        f"default-src 'none'; script-src {source(draw)} {source(carried)}; "
        f"style-src {source(style)} {source(LIBRARY_STYLE)}; base-uri 'none'; form-action 'none'"
    )
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            **context,
            policy=policy,
            style=Markup(style),
            library_style=Markup(LIBRARY_STYLE),
            library=Markup(carried),
            taken=taken() if figures else [],
            draw=Markup(draw),
            figures=Markup(script_json(figures)),
        )
    )


def moment(at: float | None) -> str:
    """A unix time for people.

    >>> moment(0.0), moment(None)
    ('1970-01-01 00:00 UTC', '-')
    """
    return "-" if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


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
