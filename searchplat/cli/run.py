"""`searchplat run`: one configuration in this process, without Ray."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from searchplat.cli import options


def run(
    space: options.Space,
    scale: options.Scale = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="K=V", help="The value of a field of the method, or of a key of the space file."),
    ] = None,
    users: Annotated[
        float | None,
        typer.Option("--users", metavar="SHARE", help="Share of the users, in (0, 1]. [default: the last stage's]"),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, max=2**32 - 1, help="Of the training. [default: the first trial's]"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder",
            metavar="DIR",
            parser=options.path_of("--folder"),
            help="Keeps checkpoints and goes on from them. [default: none kept]",
        ),
    ] = None,
    allow_import: options.AllowImport = False,
    json_: options.Json = False,
) -> None:
    """Train one configuration in this process, without Ray.

    It trains as a trial of the last stage would. Parameters that are searched and not set take the default that
    the space file gives them, else the method's; a function is not given them.

    \b
    Examples:
      searchplat run darec --scale smoke
      searchplat run darec --set lambda_align=0.1 --set fixed.epochs=2
    """
    from searchplat.engine.without_ray.run_one import run_one
    from searchplat.errors import InputError
    from searchplat.ledger.ranking import improves
    from searchplat.ledger.records import seconds_of
    from searchplat.spec import load
    from searchplat.views import text
    from searchplat.views.output import print_json, show, table
    from searchplat.views.reuse import configuration

    if users is not None and not 0 < users <= 1:
        raise InputError(f"--users: must lie in (0, 1], got {users}; 0.2 is a fifth")
    spec, values = configuration(lambda items: load(space, scale=scale, overrides=items, name="run"), set_ or [])
    if users is not None:
        spec = replace(spec, stages=(*spec.stages[:-1], replace(spec.stages[-1], data_fraction=users)))

    def progress(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        parts = [f"{key} {text.metric(number)}" for key, number in metrics.items() if not key.startswith("time/")]
        print(
            text.visible(f"epoch {epoch}/{epochs}  {'  '.join(parts)}  {text.duration(seconds_of(metrics))}"),
            file=sys.stderr,
        )

    last = spec.stages[-1]
    share = "" if last.data_fraction == 1 else f" ({last.data_fraction:.0%} of the users)"
    chosen = f": {text.values_line(values, 200)}" if values else ""
    print(text.visible(f"{spec.method} on {spec.data.shown}{share}{chosen}"), file=sys.stderr)

    def tell(warning: str) -> None:
        print(text.visible(f"warning: {warning}"), file=sys.stderr)

    reports = run_one(spec, values, progress=progress, folder=folder, seed=seed, tell=tell)
    if json_:
        print_json({"method": spec.method, "data": spec.data.name, "values": values, "epochs": reports})
        return
    final = reports[-1]
    best_epoch, best = len(reports), None
    for epoch, report in enumerate(reports, 1):
        reached = [report.get(objective.metric, math.nan) for objective in spec.objectives]
        if all(map(math.isfinite, reached)) and improves(reached, best, spec.objectives):
            best_epoch, best = epoch, reached
    at_best = reports[best_epoch - 1]
    rows: list[Any] = [(key, text.metric(at_best.get(key)), text.metric(final.get(key))) for key in final]
    show(table(("metric", f">best epoch ({best_epoch})", f">last epoch ({len(reports)})"), rows))
