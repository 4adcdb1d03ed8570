"""What each bit of a layout does to the objective, estimated from the trials of a search. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from searchplat.report.facts import Facts
from searchplat.spec.space import Layout

Estimator = Literal["regression", "difference"]

_LEVEL = 0.95


@dataclass(frozen=True)
class Effects:
    """The change of the objective when a bit goes from the first choice to the second.

    Args:
        effects_LR: `[layers, roles]`; NaN where no two trials differ in the bit.
        errors_LR: Standard errors; NaN where they cannot be told.
        clear_LR: Whether the 95 % interval of the bit, taken alone, leaves out 0.
        trials: Number of trials.
        estimator: `regression`: least squares on all bits at once. `difference`: of the means with the bit on and off,
            each bit alone, with Welch's standard error.
    """

    effects_LR: NDArray[np.float64]
    errors_LR: NDArray[np.float64]
    clear_LR: NDArray[np.bool_]
    trials: int
    estimator: Estimator


@dataclass(frozen=True)
class LayoutView:
    """The effects, and the best layouts beside them.

    Args:
        stage: The one whose trials were looked at.
        best: (trial, objective, bits `[layers, roles]`), the best first, each layout once.
    """

    layout: Layout
    stage: str
    effects: Effects | None
    best: Sequence[tuple[int, float, NDArray[np.int8]]]


def layout_view(facts: Facts, most: int = 4) -> LayoutView | None:
    """Effects and best layouts of the last stage that searched layouts and has a score; None without one.

    Controls are left out: they differ in more than their layout.
    """
    snapshot = facts.snapshot
    layout = snapshot.spec.layout
    if layout is None:
        return None
    for stage in reversed(snapshot.spec.stages):
        ranked = [
            t
            for t in snapshot.ranking.of_stage(stage.name)
            if layout.name in stage.over and layout.refusal(t.values.get(layout.name)) is None
        ]
        if not ranked:
            continue
        bits_TB = np.array([layout.decode(t.values[layout.name]) for t in ranked])
        scores_T = np.array([t.objectives[0] for t in ranked if t.objectives is not None])
        shape = (layout.layers, len(layout.roles))
        best: dict[str, tuple[int, float, NDArray[np.int8]]] = {}
        for trial, score, bits_B in zip(ranked, scores_T, bits_TB, strict=True):
            best.setdefault(trial.values[layout.name], (trial.number, float(score), bits_B.reshape(shape)))
        found = estimate(bits_TB, scores_T, shape) if len(ranked) >= 4 else None
        return LayoutView(layout, stage.name, found, list(best.values())[:most])
    return None


def drawn(view: LayoutView | None, maximize: bool) -> dict[str, Any] | None:
    """What the template `layout.html.j2` draws: the heat map's cells with their shade, 5 below to 5 above zero, and the
    best layouts; None without a view.
    """
    if view is None:
        return None
    rows: list[dict[str, Any]] = []
    effects = view.effects
    if effects is not None:
        known = np.abs(effects.effects_LR[np.isfinite(effects.effects_LR)])
        largest = float(known.max(initial=0.0)) or 1.0
        good = 1 if maximize else -1
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
    best = [{"trial": trial, "value": value, "bits": bits_LR.tolist()} for trial, value, bits_LR in view.best]
    return {"view": view, "effects": effects, "rows": rows, "best": best}


def estimate(bits_TB: NDArray[Any], scores_T: NDArray[np.float64], shape: tuple[int, int]) -> Effects:
    """Estimate the effect of every bit.

    Least squares on all bits where trials are twice as many as varied bits, and tell them apart; else each bit alone.

    Args:
        bits_TB: 0/1, a row for each trial, a column for each bit.
        scores_T: The objective.
        shape: (layers, roles), whose product is the number of bits.
    """
    trials, bits = bits_TB.shape
    varied = [b for b in range(bits) if 0 < bits_TB[:, b].sum() < trials]
    effects_B, errors_B, limits_B = (np.full(bits, math.nan) for _ in range(3))
    design = np.column_stack([np.ones(trials), bits_TB[:, varied].astype(float)])
    estimator: Estimator = "difference"
    if varied and trials >= 2 * (len(varied) + 1) and np.linalg.matrix_rank(design) == design.shape[1]:
        estimator = "regression"
        freedom = trials - design.shape[1]
        weights = np.linalg.lstsq(design, scores_T, rcond=None)[0]
        noise = float(np.sum((scores_T - design @ weights) ** 2)) / freedom
        spread = np.sqrt(noise * np.diag(np.linalg.inv(design.T @ design)))
        effects_B[varied], errors_B[varied] = weights[1:], spread[1:]
        limits_B[varied] = _quantile(freedom)
    else:
        for b in varied:
            on, off = scores_T[bits_TB[:, b] == 1], scores_T[bits_TB[:, b] == 0]
            effects_B[b] = on.mean() - off.mean()
            if min(len(on), len(off)) > 1:
                parts = on.var(ddof=1) / len(on), off.var(ddof=1) / len(off)
                errors_B[b] = math.sqrt(sum(parts))
                whole = parts[0] ** 2 / (len(on) - 1) + parts[1] ** 2 / (len(off) - 1)
                limits_B[b] = _quantile(sum(parts) ** 2 / whole) if whole > 0 else math.nan
    # Where trials differ by rounding alone there is no effect to be clear about.
    tiny = 1e-12 * float(np.abs(scores_T).max(initial=0.0))
    clear_B = (np.abs(effects_B) > np.nan_to_num(limits_B * errors_B, nan=math.inf)) & (np.abs(effects_B) > tiny)
    return Effects(effects_B.reshape(shape), errors_B.reshape(shape), clear_B.reshape(shape), trials, estimator)


def _quantile(freedom: float) -> float:
    from scipy import stats

    return float(stats.t.ppf((1 + _LEVEL) / 2, freedom))
