"""What became of a promotion, in figures: a row a candidate. Commands and Python say the same."""

from __future__ import annotations

import math
import statistics
from typing import Any

from searchplat.promotion.promote import PromotionOutcome
from searchplat.promotion.record import Promotion


def rows(promotion: Promotion) -> list[dict[str, Any]]:
    """What became of every candidate, in the order of the plan; NaN where there is no figure."""
    found = []
    for name in promotion.candidates:
        own = [run for run in promotion.runs if run.candidate == name]
        finals = promotion.finals(name)
        states = {run.state for run in own}
        found.append(
            {
                "candidate": name,
                "method": own[0].method,
                "control": own[0].control,
                "search": promotion.search_scores.get(name, math.nan),
                "race": promotion.mean_valid(name, "race"),
                "valid": promotion.mean_valid(name),
                "values": {
                    one.metric: promotion.mean_valid(name, objective=one.metric) for one in promotion.objectives
                },
                "seeds": len(finals),
                "seconds": sum(run.seconds for run in own),
                "note": _note(states, finals),
                "test": {
                    metric: _spread([run.test.get(metric, math.nan) for run in finals]) for metric in promotion.metrics
                },
                "further": {
                    metric: _spread([run.test.get(metric, math.nan) for run in finals])
                    for metric in dict.fromkeys(name for run in finals for name in run.test)
                    if metric not in promotion.metrics
                },
            }
        )
    return found


def _note(states: set[str], finals: list[Any]) -> str:
    if "stopped" in states and not finals:
        return "lost the race"
    if "failed" in states:
        return "some runs failed" if finals else "failed"
    return ""


def _spread(values: list[float]) -> dict[str, float]:
    known = [value for value in values if math.isfinite(value)]
    return {
        "mean": statistics.fmean(known) if known else math.nan,
        "sd": statistics.stdev(known) if len(known) > 1 else math.nan,
    }


def document(outcome: PromotionOutcome) -> dict[str, Any]:
    """For scripts."""
    said = promotion_document(outcome.promotion)
    return {
        "search": said.pop("search"),
        "promotion": said.pop("promotion"),
        "state": outcome.state,
        **said,
        "unsent_runs": outcome.unsent_runs,
        "model": None if outcome.registered is None else outcome.registered.uri,
    }


def promotion_document(promotion: Promotion) -> dict[str, Any]:
    """What a ledger knows of a promotion, for scripts."""
    winner = promotion.winner()
    return {
        "search": promotion.search,
        "promotion": promotion.number,
        "objective": promotion.objective,
        "objectives": [one.metric for one in promotion.objectives],
        "test_openings": promotion.test_openings,
        "users": promotion.num_users,
        "lineage": promotion.lineage,
        "winner": None
        if winner is None
        else {
            "candidate": winner.candidate,
            "seed": winner.seed,
            "folder": str(winner.folder),
            "config": winner.config,
        },
        "candidates": rows(promotion),
    }
