"""Parts of the live page: what was read, as HTML. The browser puts each part in its place when it has changed.

Text comes from spaces, methods and trials, so from strangers: Jinja escapes it, labels of figures are escaped by
`report.figure.label`, and only addresses that begin with http are links.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from searchplat.engine.steering.requests import Request, words
from searchplat.ledger import TrialRecord
from searchplat.ledger.repeats import repeated
from searchplat.report import overview
from searchplat.report.drawing import LIBRARY_STYLE, environment, taken
from searchplat.report.facts import Facts
from searchplat.report.figure import Figure, axis, label
from searchplat.report.gain import gain_figures
from searchplat.report.layout import drawn, layout_view
from searchplat.report.parameters import trade_off
from searchplat.report.progress import best_so_far, learning_curves
from searchplat.report.promoted import counts, result_line
from searchplat.searchers.contract import TrialState
from searchplat.ui.searches import Look
from searchplat.ui.words import event_words
from searchplat.views import Sort, text
from searchplat.views.choice import in_order
from searchplat.views.live_picture import own_values, searched_values
from searchplat.views.snapshot import Snapshot
from searchplat.views.standing import Standing

ROWS = 50
"""Trials in the table before more are asked for."""
_MOST_ROWS = 2000
_SPARK = 90, 22
"""Width and height of the small curve of a running trial, in pixels."""
_EPOCHS = 60
"""Reports of a trial in its table, the newest."""


@dataclass(frozen=True)
class View:
    """What somebody wants to see of a search.

    Args:
        sort: The trials' order; `turned` has it the other way round.
        state: Only trials in this state; all by default.
        rows: Trials in the table, 1 to 2000.
        epochs: Whether the log has the reports of epochs.
    """

    sort: Sort = Sort.number
    turned: bool = False
    state: TrialState | None = None
    rows: int = ROWS
    epochs: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> View:
        """The view of an address; what it says wrongly counts as not said."""
        sort, state, rows = query.get("sort"), query.get("state"), query.get("rows", "")
        return cls(
            sort=Sort(sort) if sort in list(Sort) else Sort.number,
            turned=query.get("turned") == "1",
            state=TrialState(state) if state in list(TrialState) else None,
            rows=max(1, min(int(rows), _MOST_ROWS)) if rows.isdecimal() and len(rows) < 9 else ROWS,
            epochs=query.get("epochs") == "1",
        )


@dataclass(frozen=True)
class Content:
    """What a page shows.

    Args:
        parts: HTML by the part's name.
        figures: Plain data for plotly.js; parts name them by their places.
    """

    parts: dict[str, str]
    figures: Sequence[dict[str, Any]] = ()


_TEMPLATES = environment("searchplat.ui")

INDEX = ("searches",)
SEARCH = ("head", "steer", "tiles", "stages", "running", "figures", "layout", "trials", "log", "elsewhere")
TRIAL = ("head", "values", "figures", "epochs", "cause")
"""Names of the parts of each page, in their order."""


def shell(page: str, parts: Sequence[str], **more: Any) -> str:
    """The page around its parts, which are still empty."""
    template = _TEMPLATES.get_template("page.html.j2")
    return template.render(page=page, parts=parts, taken=taken(), library_style=Markup(LIBRARY_STYLE), **more)


def index(root: str, found: Sequence[Standing], unreadable: Mapping[str, str]) -> Content:
    """All searches: those at work first, then by their newest event."""

    def order(one: Standing) -> tuple[bool, float]:
        return not one.running, -(one.last.at if one.last else 0.0)

    rows = [
        {
            "one": one,
            "snapshot": one.snapshot,
            "state": one.words,
            "best": _best(one.snapshot),
            "running": one.snapshot.states.get(TrialState.RUNNING, 0) if one.running else 0,
        }
        for one in sorted(found, key=order)
    ]
    return Content(_render("index.html.j2", INDEX, root=root, rows=rows, unreadable=unreadable))


def search(look: Look, view: View, elsewhere: Mapping[str, Any]) -> Content:
    """One search.

    Args:
        elsewhere: Where MLflow's page is, `app.Mlflow.shown`.
    """
    standing, facts = look.standing, look.facts
    snapshot = standing.snapshot
    several = [*best_so_far(facts), *gain_figures(facts), *trade_off(facts), *learning_curves(facts)]
    figures, placed = _placed(several)
    spec = snapshot.spec
    shown = in_order([t for t in snapshot.trials if view.state in (None, t.state)], view.sort, snapshot)
    shown = shown[::-1] if view.turned else shown
    context = {
        "name": snapshot.name,
        "look": look,
        "standing": standing,
        "snapshot": snapshot,
        "spec": spec,
        "state": standing.words,
        "goals": [f"{'maximize' if o.maximize else 'minimize'} {o.metric}" for o in spec.objectives],
        "result": overview.best_line(facts),
        "promotion": _promotion(facts),
        "best": _best(snapshot),
        "command": _goes_on(snapshot),
        "asked": [one if isinstance(one, str) else _asked(one) for one in standing.requests],
        "at_work": [_running(look, t) for t in snapshot.trials if standing.running and t.state is TrialState.RUNNING],
        "placed": placed,
        "context_layout": drawn(layout_view(facts), spec.objectives[0].maximize),
        "view": view,
        "sorts": list(Sort),
        "count": len(shown),
        "rows": [_row(snapshot, trial) for trial in shown[: view.rows]],
        "context_log": [(event, event_words(event)) for event in (look.log if view.epochs else look.milestones)],
        "dashboard": look.dashboard if (look.dashboard or "").startswith(("http://", "https://")) else None,
        "context_elsewhere": elsewhere,
    }
    return Content(_render("search.html.j2", SEARCH, **context), figures)


def trial(look: Look, number: int, reports: Sequence[tuple[int, Mapping[str, float]]]) -> Content | None:
    """One trial of a search; None if there is none of this number.

    Args:
        reports: Epoch and metrics, in order.
    """
    snapshot = look.standing.snapshot
    one = next((t for t in snapshot.trials if t.number == number), None)
    if one is None:
        return None
    figures, placed = _placed(_own_curve(look.facts, one))
    metrics = sorted({name for _, found in reports for name in found})
    first = [name for name in snapshot.metrics if name in metrics]
    metrics = [*first, *(name for name in metrics if name not in first)]
    context = {
        "name": snapshot.name,
        "snapshot": snapshot,
        "one": one,
        "row": _row(snapshot, one),
        "stoppable": look.takes == "search" and not one.state.final,
        "context_values": [(key, text.exact(value)) for key, value in searched_values(snapshot, one).items()],
        "config": [(key, text.exact(value)) for key, value in sorted(one.config.items())],
        "bits": _bits(snapshot, one),
        "placed": placed,
        "metrics": metrics,
        "reports": [(epoch, [found.get(name) for name in metrics]) for epoch, found in reports[-_EPOCHS:]][::-1],
        "more": max(0, len(reports) - _EPOCHS),
    }
    return Content(_render("trial.html.j2", TRIAL, **context), figures)


def _render(template: str, parts: Sequence[str], **context: Any) -> dict[str, str]:
    """Each part of a template, a macro of that name."""
    module = _TEMPLATES.get_template(template).make_module(context)
    return {name: str(getattr(module, name)()) for name in parts}


def _placed(several: Sequence[Figure]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    figures: list[dict[str, Any]] = [
        {"data": one.data, "layout": {**one.layout, "height": one.height}} for one in several
    ]
    return figures, [{"id": n, "title": one.title, "notes": one.notes} for n, one in enumerate(several)]


def _best(snapshot: Snapshot) -> list[tuple[str, str]]:
    if snapshot.best is None:
        return []
    return [(m, text.metric(v)) for m, v in zip(snapshot.metrics, snapshot.best.objectives or (), strict=False)]


def _goes_on(snapshot: Snapshot) -> str:
    """The command that takes the search up; of one that is done, that extends it."""
    return snapshot.goes_on(*(["--trials", str(2 * snapshot.planned)] if snapshot.done else []), here=False)


def _asked(request: Request) -> str:
    return f"{words(request)} by {request.by}"


def _promotion(facts: Facts) -> str:
    if facts.promotion is None:
        return ""
    result = result_line(facts.promotion)
    return f"{result} {counts(facts.promotion)}" if result else f"Promotion: {counts(facts.promotion)}"


def _row(snapshot: Snapshot, one: TrialRecord) -> dict[str, Any]:
    """A trial as the table has it."""
    values = own_values(snapshot, one)
    bits = _bits(snapshot, one)
    if bits is not None and snapshot.spec.layout is not None:
        values.pop(snapshot.spec.layout.name, None)
    what = text.values_line(values, 200)
    if one.control is not None:
        what = f"control {one.control}" + (f": {what}" if what else "")
    if (first := repeated(one)) is not None:
        what = f"repeats trial {first}"
    cause = one.cause.strip().splitlines()[-1][:200] if one.cause and one.cause.strip() else ""
    epochs = one.config.get("epochs")
    return {
        "trial": one,
        "objectives": [text.metric(value) for value in one.objectives or (None,) * len(snapshot.metrics)],
        "what": what,
        "bits": bits,
        "cause": cause,
        "epochs": epochs if isinstance(epochs, int) and not isinstance(epochs, bool) else None,
    }


def _bits(snapshot: Snapshot, one: TrialRecord) -> dict[str, Any] | None:
    """A trial's own layout as two paths, layers across and roles downwards, as wide as a table has room for."""
    layout = snapshot.spec.layout
    if layout is None or layout.name not in one.values or layout.refusal(one.values[layout.name]) is not None:
        return None
    bits_LR = layout.decode(one.values[layout.name]).reshape(layout.layers, len(layout.roles))
    paths = ["", ""]
    for layer, roles in enumerate(bits_LR.tolist()):
        for role, bit in enumerate(roles):
            paths[bit] += f"M{6 * layer} {6 * role}h5v5h-5z"
    return {"paths": paths, "width": 6 * layout.layers, "height": 6 * len(layout.roles)}


def _running(look: Look, one: TrialRecord) -> dict[str, Any]:
    """A running trial: its last epoch, and the curve so far."""
    points = look.facts.curves.get(one.number, ())
    return {
        **_row(look.standing.snapshot, one),
        "last": text.metric(points[-1][1]) if points else "-",
        "spark": _spark([value for _, value in points]),
        "stoppable": look.takes == "search",
    }


def _spark(values: Sequence[float]) -> str:
    """Points of a polyline; none for fewer than two values."""
    if len(values) < 2:
        return ""
    low, high = min(values), max(values)
    span = high - low if high > low else 1.0
    wide, high_px = _SPARK
    step = (wide - 4) / (len(values) - 1)
    heights = [high_px - 3 - (value - low) / span * (high_px - 6) for value in values]
    return " ".join(f"{2 + n * step:.1f},{y:.1f}" for n, y in enumerate(heights) if math.isfinite(y))


def _own_curve(facts: Facts, one: TrialRecord) -> list[Figure]:
    """The trial's learning curve, beside the best trial's."""
    points = facts.curves.get(one.number, ())
    best = facts.snapshot.best
    if len(points) < 2:
        return []
    curves = [(f"trial {one.number}", points, "$c1", 3.0)]
    if best is not None and best.number != one.number and facts.curves.get(best.number):
        curves.insert(0, (f"best: trial {best.number}", facts.curves[best.number], "$muted", 1.5))
    data = [
        {
            "type": "scatter", "mode": "lines+markers", "name": name, "x": [epoch for epoch, _ in own],
            "y": [value for _, value in own], "line": {"color": colour, "width": width}, "marker": {"size": 5},
            "hovertemplate": "epoch %{x}: %{y:.4f}<extra></extra>",
        }
        for name, own, colour, width in curves
    ]  # fmt: skip
    layout = {"xaxis": axis("epoch", rangemode="tozero"), "yaxis": axis(label(facts.snapshot.metric, 30))}
    return [Figure("Learning curve", data, layout)]
