"""Searches over the rehearsal method, built from the typed spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchplat.spec.model import (
    Control,
    DataSpec,
    Objective,
    PromotionSpec,
    Resources,
    SchedulerSpec,
    SearcherSpec,
    SearchSpec,
    StageFrom,
    StageSpec,
)
from searchplat.spec.space import Float, Layout, Space

LAYOUT = Layout("layout", 3, ("causal", "context", "recommend"), ("serial", "parallel"))
X = Float("x", 0.0, 1.0)


def rehearsal_spec(
    fixed: Mapping[str, Any] | None = None,
    *,
    layout_trials: int = 3,
    x_trials: int = 3,
    searcher: str = "random",
    scheduler: SchedulerSpec = SchedulerSpec(),
    controls: tuple[Control, ...] = (),
    resources: Resources = Resources(cpu=1, gpu=0),
    seed: int = 0,
) -> SearchSpec:
    """Two stages: the layout, then x on the best layout."""
    return SearchSpec(
        name="rehearsal",
        method="rehearsal",
        data=DataSpec("toy"),
        objectives=(Objective("valid/mrr", maximize=True),),
        fixed=dict(fixed or {}),
        space=Space((LAYOUT, X)),
        stages=(
            StageSpec("layout", ("layout",), SearcherSpec("random"), layout_trials, scheduler=scheduler),
            StageSpec(
                "weights", ("x",), SearcherSpec(searcher), x_trials,
                start_from=StageFrom("layout"), scheduler=scheduler,
            ),
        ),
        controls=controls,
        resources=resources,
        promotion=PromotionSpec(),
        seed=seed,
        scale=None,
        overrides=(),
        source=Path("rehearsal.yaml"),
        text="method: rehearsal\n",
    )  # fmt: skip


def one_stage(spec: SearchSpec, trials: int, searcher: str = "random") -> SearchSpec:
    """The same search over x alone, in one stage named `search`."""
    stage = StageSpec("search", ("x",), SearcherSpec(searcher), trials, scheduler=spec.stages[0].scheduler)
    return replace(spec, space=Space((X,)), stages=(stage,))
