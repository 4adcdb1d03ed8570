"""The last screen of a search: what was found, what it beats, where things are, what to type next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from searchplat import hints
from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import NONE_KEPT, broken_words
from searchplat.views import TOP, text
from searchplat.views.layout_picture import layout_grid
from searchplat.views.live_picture import ended_early, measured, searched_values
from searchplat.views.output import Fitted, command, line, table
from searchplat.views.reuse import run_command
from searchplat.views.snapshot import BASELINE, Snapshot

if TYPE_CHECKING:
    from rich.console import RenderableType

_FRONT = 8
"""Trials of a Pareto front that are named."""


def summary(snapshot: Snapshot, *, wall_seconds: float, tracking_uri: str, unsent_rows: int = 0) -> RenderableType:
    """One screen on a search that has ended or was interrupted.

    Args:
        wall_seconds: Time that its drivers worked.
        tracking_uri: Without secrets.
        unsent_rows: What MLflow has not got yet.
    """
    from rich.console import Group

    parts: list[RenderableType] = [*best_block(snapshot), ""]
    if snapshot.controls:
        parts += [comparison(snapshot), ""]
    states = ", ".join(f"{number} {state}" for state, number in snapshot.states.items())
    parts.append(line(("trials  ", "dim"), f"{snapshot.ended} of {snapshot.planned} ended: {states or 'none'}"))
    parts += ended_early(snapshot)
    parts.append(line(("time    ", "dim"), text.duration(wall_seconds)))
    parts.append(line(("folder  ", "dim"), str(snapshot.folder)))
    sync = snapshot.hint("sync", *hints.store_words(tracking_uri))
    unsent = f" ({text.plural(unsent_rows, 'row')} unsent; later: {sync})" if unsent_rows else ""
    parts.append(line(("MLflow  ", "dim"), f"{tracking_uri}{unsent}"))
    parts += ["", line(("next", "bold"))]
    parts += map(command, next_commands(snapshot))
    return Group(*parts)


def best_block(snapshot: Snapshot) -> list[RenderableType]:
    """The best trial and its searched values, a line each, its layout drawn."""
    from rich.console import Group
    from rich.padding import Padding

    best = snapshot.best
    if best is None or best.objectives is None:
        return [line(("no trial ended with a value", "bold"))]
    share = "" if best.data_fraction == 1 else f", on {best.data_fraction:.0%} of the users"
    first = line(("best    ", "dim"), (_values(snapshot, best), "bold green"))
    first.append(f"  trial {best.number}, {measured(snapshot, best)}{share}")
    parts: list[RenderableType] = [first]
    if snapshot.front:
        number = text.plural(len(snapshot.front), "trial")
        parts = [line(("front   ", "dim"), f"Pareto front of {number}, which no trial dominates{share}")]
        for trial in snapshot.front[:_FRONT]:
            own = (_values(snapshot, trial), "bold green" if trial is best else "green")
            parts.append(line("        ", own, f"  trial {trial.number}, {measured(snapshot, trial)}"))
        if len(snapshot.front) > _FRONT:
            parts.append(
                line((f"        and {len(snapshot.front) - _FRONT} more; see: {snapshot.hint('best')}", "dim"))
            )
        parts.append(line((f"        of the first, trial {best.number}:", "dim")))
    if best.broken:
        parts.append(line((f"        {broken_words(best.broken)}: {NONE_KEPT}", "bold red")))
    if stands := snapshot.ranking.not_beaten:
        parts.append(line((f"        {stands}", "bold red")))
    if snapshot.ranked and not snapshot.controls:  # else the table of controls says it
        parts.append(line(("ranked  ", "dim"), snapshot.ranked))
    found = searched_values(snapshot, best)
    layout = snapshot.spec.layout
    rest: dict[str, Any] = {key: value for key, value in found.items() if layout is None or key != layout.name}
    parts += [line(f"        {key} = {text.value(value)}") for key, value in list(rest.items())[:8]]
    if len(rest) > 8:
        parts.append(line((f"        and {len(rest) - 8} more; see: {snapshot.hint('best')}", "dim")))
    if layout is not None and layout.name in found:
        parts.append(line(f"        {layout.name} = {text.value(found[layout.name])}"))
        value = str(found[layout.name])
        indent = (0, 0, 0, 8)
        parts.append(Fitted(lambda width: Padding(Group(*layout_grid(layout, value, min(width, 78) - 8)), indent)))
    return parts


def comparison(snapshot: Snapshot) -> RenderableType:
    """The best trial beside every control, the better above."""
    best = snapshot.best
    rows: list[Sequence[Any]] = []
    for control in snapshot.controls:
        assert control.objectives is not None
        verdict, name = "", str(control.control)
        if control.method == BASELINE and name != BASELINE:
            name += f" ({BASELINE})"
        if best is not None and best.objectives is not None:
            verdict = _verdict(snapshot, best.objectives[0], control)
            if best.data_fraction != control.data_fraction:
                verdict = f"on {control.data_fraction:.0%} of the users, so it does not compare"
            elif not snapshot.ranking.compares(control):
                verdict = "ranks other items, so it does not compare"
        verdict = "; ".join(filter(None, (verdict, broken_words(control.broken))))
        rows.append((f"control {name}", *map(text.metric, control.objectives), verdict))
    if best is not None and best.objectives is not None:
        of = "first of the front" if snapshot.front else "best of the search"
        rows.insert(0, (f"{of} (trial {best.number})", *map(text.metric, best.objectives), ""))
    # The best of many trials is partly luck; only several trainings of each could tell.
    several = best is not None and len(snapshot.ranking.trainings[best.number].numbers) > 1
    trained = "one training each, of the best a mean" if several else "one training each"
    ranked = f", among {snapshot.ranked}" if snapshot.ranked else ""
    return table(("", *(f">{metric}" for metric in snapshot.metrics), f"{trained}{ranked}"), rows)


def next_commands(snapshot: Snapshot) -> list[str]:
    """What a person is likely to want now."""
    commands = []
    if not snapshot.done and not snapshot.study:
        commands.append(snapshot.goes_on())
    if snapshot.best is not None:
        commands.append(snapshot.hint("best", "--top", str(TOP)))
        if words := run_command(snapshot, snapshot.best):
            commands.append(text.shell_words(words))
    else:
        commands.append(snapshot.hint("trials"))
    return commands


def _values(snapshot: Snapshot, trial: TrialRecord) -> str:
    named = zip(snapshot.metrics, trial.objectives or (), strict=False)
    return "  ".join(f"{metric} {text.metric(value)}" for metric, value in named)


def _verdict(snapshot: Snapshot, best: float, trial: TrialRecord) -> str:
    assert trial.objectives is not None
    if snapshot.front:
        by = snapshot.ranking.beaten_by(trial)
        return "NOT dominated by any trial" if by is None else f"dominated by trial {by.number}"
    control = trial.objectives[0]
    if best == control:
        return "the search did not beat it: equal"
    if snapshot.better(best, control):
        return f"beaten by {text.change(best, control)}"
    return f"NOT beaten: {text.change(best, control)}"
