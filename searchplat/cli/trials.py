"""`searchplat trials`: every trial of a search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options
from searchplat.views import Sort

if TYPE_CHECKING:
    from searchplat.ledger import TrialRecord
    from searchplat.views.snapshot import Snapshot


def trials(
    search: options.Search,
    stage: Annotated[
        str | None, typer.Option("--stage", metavar="NAME", help="Only this stage's; controls for the controls.")
    ] = None,
    state: Annotated[
        str | None, typer.Option("--state", metavar="STATE", help="Only those in this state: finished, diverged, ...")
    ] = None,
    sort: Annotated[
        Sort, typer.Option("--sort", help="Order of the lines; value puts the best first, as `best` does.")
    ] = Sort.number,
    causes: Annotated[
        bool, typer.Option("--causes", help="Print in full why trials ended badly, tracebacks included.")
    ] = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """List the trials of a search, also while it runs.

    \b
    Examples:
      searchplat trials darec-quick --sort value
      searchplat trials darec-quick --stage layout --state diverged --causes
    """
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.views.choice import chosen, document, in_order
    from searchplat.views.output import print_json, show
    from searchplat.views.snapshot import take

    folder = SearchFolder(runs or runs_root(), search)
    with folder.read() as ledger:
        snapshot = take(search, folder.path, ledger)
        listed = in_order(chosen(snapshot, stage, state), sort, snapshot)
    if json_:
        marks = snapshot.ranking.on_front()
        print_json([document(snapshot, trial, marks) for trial in listed])
        return
    show(_table(snapshot, listed))
    if causes:
        _print_causes(listed)


def _table(snapshot: Snapshot, chosen: list[TrialRecord]) -> Any:
    from searchplat.ledger.outcomes import broken_words
    from searchplat.ledger.repeats import repeated
    from searchplat.views import text
    from searchplat.views.live_picture import STATE_STYLES, own_values
    from searchplat.views.output import cell, table

    metrics = snapshot.metrics
    rows = []
    for trial in chosen:
        values = trial.objectives or (None,) * len(metrics)
        what = text.values_line(own_values(snapshot, trial), 300)
        if trial.control is not None:
            what = f"control {trial.control}" + (f": {what}" if what else "")
        if (first := repeated(trial)) is not None:
            what = f"repeats trial {first}"
        if trial.state.scored and (breaks := broken_words(trial.broken)):
            what = f"({breaks})  {what}"
        if trial.cause:
            what += f"  ({trial.cause.strip().splitlines()[-1][:200]})"
        rows.append(
            (
                trial.number,
                trial.stage,
                cell(trial.state.value, STATE_STYLES[trial.state]),
                trial.epoch,
                *(text.metric(value) for value in values),
                text.duration(trial.seconds),
                what,
            )
        )
    named = [f">{metric.removeprefix('valid/')}" for metric in metrics]
    return table((">trial", "stage", "state", ">epochs", *named, ">time", "values"), rows)


def _print_causes(chosen: list[TrialRecord]) -> None:
    from searchplat.views.text import visible_lines

    for trial in chosen:
        if trial.cause and not trial.state.scored:
            print(f"\ntrial {trial.number}: {trial.state}\n{visible_lines(trial.cause.rstrip())}")
