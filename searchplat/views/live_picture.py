"""The picture of a running search: a snapshot in, a renderable out that fits the terminal it is drawn on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_words
from searchplat.searchers.contract import TrialState
from searchplat.views import text
from searchplat.views.layout_picture import layout_grid
from searchplat.views.output import cell, line, table
from searchplat.views.snapshot import Snapshot

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.segment import Segment
    from rich.text import Text

STATE_STYLES = {
    TrialState.WAITING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.FINISHED: "green",
    TrialState.STOPPED: "yellow",
    TrialState.DIVERGED: "magenta",
    TrialState.INFEASIBLE: "magenta",
    TrialState.TIMEOUT: "red",
    TrialState.FAILED: "red",
}

_RECENT = 4
"""Trials of the newest lines."""

_VALUES = 120
"""Characters of the best trial's values, on as many lines as that takes."""

_SIDE_BY_SIDE = 72
"""Width from which the controls stand beside the best trial."""


@dataclass(frozen=True)
class Surroundings:
    """What a view shows besides the ledger.

    Args:
        elapsed_seconds: Of this run.
        seconds_left: The estimate, None before there is one.
        tracking_uri: Without secrets.
        notice: The newest event worth a line.
        watched: Whether the picture is of another process's search.
    """

    slots: int
    elapsed_seconds: float
    seconds_left: float | None
    dashboard_url: str | None
    tracking_uri: str | None
    resumed: bool = False
    notice: str = ""
    watched: bool = False


@dataclass(frozen=True)
class _Section:
    """Lines of the picture. `rank` 0 is always shown; where lines are short, the highest rank goes first."""

    content: RenderableType
    rank: int


class LiveView:
    """The picture. Sections are dropped, least important first, until it fits the height.

    Args:
        height: Lines; by default those of the console.
    """

    def __init__(self, snapshot: Snapshot, around: Surroundings, height: int | None = None) -> None:
        self._snapshot, self._around, self._height = snapshot, around, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render at the console's present size."""
        from rich.segment import Segment

        height = (self._height or console.size.height) - 1  # the cursor's own line
        for recent in range(_RECENT, -1, -1):  # first fewer recent trials, then whole sections
            drawn = [
                (section.rank, console.render_lines(section.content, options.update(height=None), pad=False))
                for section in _sections(self._snapshot, self._around, options.max_width, recent)
            ]
            if sum(len(lines) for _, lines in drawn) <= height:
                break
        blank: list[Segment] = [Segment("")]
        spaced = sum(len(lines) + 1 for _, lines in drawn) - 1 <= height
        while len(drawn) > 1 and sum(len(lines) for _, lines in drawn) > height:
            del drawn[max(range(len(drawn)), key=lambda i: drawn[i][0])]
        flat: list[list[Segment]] = []
        for index, (_, lines) in enumerate(drawn):
            flat += [blank] if spaced and index else []
            flat += lines
        for row in flat[:height]:
            yield from row
            yield Segment.line()


def _sections(snapshot: Snapshot, around: Surroundings, width: int, most_recent: int) -> list[_Section]:
    recent = snapshot.recent(most_recent)
    return [
        _Section(header(snapshot, around), 0),
        *([_Section(line((around.notice, "yellow")), 2)] if around.notice else []),
        *([_Section(line((snapshot.steered, "yellow")), 2)] if snapshot.steered else []),
        _Section(stages_table(snapshot, width), 1),
        _Section(states_line(snapshot), 2),
        *([_Section(_best_and_controls(snapshot, width), 3)] if snapshot.best or snapshot.controls else []),
        *([_Section(recent_table(snapshot, recent), 5)] if recent else []),
        _Section(_places(snapshot, around), 4),
    ]


def header(snapshot: Snapshot, around: Surroundings) -> RenderableType:
    """Which search, on what, how far."""
    from rich.console import Group

    spec = snapshot.spec
    scale = f" at scale {spec.scale}" if spec.scale else ""
    goal = ", ".join(f"{'maximize' if o.maximize else 'minimize'} {o.metric}" for o in spec.objectives)
    first = line((snapshot.name, "bold"), f"  {spec.method} on {spec.data.shown}{scale}, {goal}")
    first.append("  resumed" if around.resumed else "", style="yellow")
    first.append("  PAUSED" if snapshot.paused else "", style="bold yellow")
    left = "no estimate yet" if around.seconds_left is None else f"about {text.duration(around.seconds_left)} left"
    second = line(
        f"{snapshot.ended} of {text.plural(snapshot.planned, 'trial')}, {around.slots} at once  "
        f"{text.duration(around.elapsed_seconds)} elapsed, {left}"
    )
    return Group(first, second)


def stages_table(snapshot: Snapshot, width: int = 80) -> RenderableType:
    """Progress of each stage with its best value."""
    from rich.progress_bar import ProgressBar

    bar = min(24, width - 52)  # what the other columns leave
    rows = []
    for stage in snapshot.stages:
        best = stage.best
        value = text.metric(best.objectives[0]) if best is not None and best.objectives else "-"
        by = "" if best is None else f"trial {best.number}"
        drawn = [ProgressBar(total=max(1, stage.planned), completed=stage.ended, width=bar)] if bar >= 8 else []
        rows.append((stage.name, *drawn, f"{stage.ended}/{stage.planned}", f"{stage.data_fraction:.0%}", value, by))
    bars = ("",) if bar >= 8 else ()
    return table(("!stage", *bars, ">ended", ">users", f">{_short(snapshot.metric)}", "!by"), rows)


def ended_early(snapshot: Snapshot) -> list[Text]:
    """Which stages ended before all their trials were run, and why; a line each."""
    return [line(("ended   ", "dim"), said) for stage in snapshot.stages if (said := stage.ended_early)]


def states_line(snapshot: Snapshot) -> RenderableType:
    """How many trials are in which state."""
    parts: list[str | tuple[str, str]] = []
    for state, number in snapshot.states.items():
        parts += ["" if not parts else "  ", (f"{number} {state}", STATE_STYLES[state])]
    return line(*parts) if parts else line(("no trial yet", "dim"))


def best_lines(snapshot: Snapshot, width: int) -> list[Text]:
    """The best trial: its value, its searched values, its layout."""
    best = snapshot.best
    if best is None or best.objectives is None:
        return [line(("no trial with a value yet", "dim"))]
    label = "  ".join(map(text.metric, best.objectives))
    share = "" if best.data_fraction == 1 else f", {best.data_fraction:.0%} of users"
    name = f"front of {len(snapshot.front)}, first  " if snapshot.front else "best  "
    lines = [line(name, (label, "bold green"), f"  trial {best.number}, {measured(snapshot, best)}{share}")]
    if best.broken:
        lines.append(line((broken_words(best.broken), "bold red")))
    values = searched_values(snapshot, best)
    layout = snapshot.spec.layout
    drawn = values.pop(layout.name, None) if layout is not None else None
    if values:
        lines.append(line(text.values_line(values, max(width, _VALUES))))
    if layout is not None and drawn is not None:
        lines += layout_grid(layout, str(drawn), width)
    return lines


def measured(snapshot: Snapshot, trial: TrialRecord) -> str:
    """Where a ranked trial's value is from: its best epoch, or several trainings, which differ in the first objective.

    `epoch 3`, or `mean of 3 trainings, sd 0.0012`.
    """
    found = snapshot.ranking.trainings.get(trial.number)
    if found is None or len(found.numbers) < 2:
        return f"epoch {trial.best_epoch}"
    return f"mean of {len(found.numbers)} trainings, sd {text.metric(found.deviation[0])}"


def shared_values(several: list[dict[str, Any]]) -> dict[str, Any]:
    """What all have in common, where there is more than one: it need not be repeated for each."""
    if len(several) < 2:
        return {}
    missing = object()
    return {k: v for k, v in several[0].items() if all(other.get(k, missing) == v for other in several[1:])}


def searched_values(snapshot: Snapshot, trial: TrialRecord) -> dict[str, object]:
    """Values of all searched parameters in a trial, those inherited from an earlier stage included."""
    names = [name for name in snapshot.spec.space.names if name in trial.config]
    own = {name: trial.config[name] for name in names} | {k: v for k, v in trial.values.items() if k not in names}
    return _layout_last(snapshot, own)


def own_values(snapshot: Snapshot, trial: TrialRecord) -> dict[str, object]:
    """What was chosen for this trial alone, in the order of the space file, a layout last as it is long."""
    names = [name for name in snapshot.spec.space.names if name in trial.values]
    return _layout_last(snapshot, {name: trial.values[name] for name in names} | trial.values)


def _layout_last(snapshot: Snapshot, values: dict[str, object]) -> dict[str, object]:
    layout = snapshot.spec.layout
    if layout is not None and layout.name in values:
        values[layout.name] = values.pop(layout.name)
    return values


def controls_table(snapshot: Snapshot) -> RenderableType:
    """The controls' values, and by how much the best trial beats each, or whether the front does."""
    best = snapshot.best
    rows = []
    for control in snapshot.controls:
        assert control.objectives is not None
        value = control.objectives[0]
        ahead = "-"  # on another share of the users, other items ranked, or nothing to compare with
        if best is not None and best.objectives is not None and snapshot.ranking.compares(control):
            ahead = text.change(best.objectives[0], value)
            if snapshot.front:
                ahead = "dominated" if snapshot.ranking.beaten_by(control) else "NOT dominated"
        rows.append((control.control, text.metric(value), ahead))
    return table(("!control", f">{_short(snapshot.metric)}", ">Pareto" if snapshot.front else ">best is"), rows)


def recent_table(snapshot: Snapshot, recent: Sequence[TrialRecord]) -> RenderableType:
    """A few trials, a line each."""
    rows = []
    for trial in recent:
        value = text.metric(trial.objectives[0]) if trial.objectives else "-"
        what = trial.control if trial.control is not None else text.values_line(own_values(snapshot, trial), 200)
        epochs = f"{trial.epoch}/{trial.config['epochs']}" if trial.config.get("epochs") else str(trial.epoch)
        state = cell(trial.state.value, STATE_STYLES[trial.state])
        rows.append((trial.number, trial.stage, state, epochs, value, _cut(line(what or ""))))
    return table((">trial", "!stage", "!state", ">epoch", f">{_short(snapshot.metric)}", "values"), rows)


def _best_and_controls(snapshot: Snapshot, width: int) -> RenderableType:
    from rich.console import Group
    from rich.table import Table

    if not snapshot.controls:
        return Group(*best_lines(snapshot, width))
    if width < _SIDE_BY_SIDE:
        return Group(*best_lines(snapshot, width), controls_table(snapshot))
    half = Table.grid(padding=(0, 3, 0, 0))
    half.add_column(no_wrap=True)
    half.add_column(no_wrap=True)
    half.add_row(Group(*map(_cut, best_lines(snapshot, width - 38))), controls_table(snapshot))
    return half


def _places(snapshot: Snapshot, around: Surroundings) -> RenderableType:
    from rich.console import Group

    places = [("folder", str(snapshot.folder)), ("MLflow", around.tracking_uri), ("Ray", around.dashboard_url)]
    lines = [line((f"{name:<7}", "dim"), where) for name, where in places if where]
    end = "ends the watching, not the search" if around.watched else "stops; the same command goes on from there"
    return Group(*lines, line((f"Ctrl-C {end}", "dim")))


def _short(metric: str) -> str:
    return metric.removeprefix("valid/")


def _cut(made: Text) -> Text:
    made.no_wrap, made.overflow = True, "ellipsis"
    return made
