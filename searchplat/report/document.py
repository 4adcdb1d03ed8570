"""The figures of a report for programs: what its page shows in words and tables, as plain values."""

from __future__ import annotations

from typing import Any

from searchplat.report import overview
from searchplat.report.facts import Facts
from searchplat.report.layout import layout_view
from searchplat.report.parameters import importance_shares, searched


def document(facts: Facts) -> dict[str, Any]:
    """Everything but the curves of single trials and what a promotion measured.

    `leaderboard` has the search's own trials in their places, and controls where their values put them. `importance`
    is by stage and parameter, empty with too few trials. `layout` is what a bit of it does to the objective when it
    goes from the first choice to the second, by layer and role, null where nothing is known.
    """
    snapshot = facts.snapshot
    return {
        "search": snapshot.name,
        "result": overview.best_line(facts),
        "header": dict(overview.header(facts)),
        "stages": [
            dict(zip(("stage", "searcher", "over", "users", "trials", "best"), row, strict=True))
            for row in overview.stages(facts)
        ],
        "leaderboard": [
            {
                "place": int(one.place) if one.place else None,
                "trial": one.trial.number,
                "control": one.trial.control,
                "objectives": dict(zip(snapshot.metrics, one.trial.objectives or (), strict=False)),
                "values": one.values,
                "compares": one.comparable,
                "pareto": one.pareto or None,
            }
            for one in overview.leaderboard(facts)
        ],
        "all_with": overview.shared_line(facts),
        "failures": [
            {"state": one.state, "cause": one.cause, "trials": list(one.trials), "example": one.example}
            for one in overview.failures(facts)
        ],
        "retried": overview.retried(facts),
        "importance": {stage: importance_shares(facts, trials, domains) for stage, trials, domains in searched(facts)},
        "layout": _layout(facts),
    }


def _layout(facts: Facts) -> dict[str, Any] | None:
    view = layout_view(facts)
    if view is None or view.effects is None:
        return None
    return {
        "stage": view.stage,
        "estimator": view.effects.estimator,
        "roles": list(view.layout.roles),
        "choices": list(view.layout.choices),
        "effects": view.effects.effects_LR.tolist(),
        "standard_errors": view.effects.errors_LR.tolist(),
        "clear": view.effects.clear_LR.tolist(),
    }
