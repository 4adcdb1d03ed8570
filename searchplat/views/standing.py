"""How a search stands: its snapshot and what its events add."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchplat import hints
from searchplat.engine.sizing.choose import said
from searchplat.engine.steering.requests import Request, RequestFolder, words
from searchplat.engine.steering.state import pending
from searchplat.errors import InputError
from searchplat.ledger import Event, Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.outcomes import broken_document
from searchplat.views import text
from searchplat.views.live_picture import STATE_STYLES, ended_early, stages_table
from searchplat.views.output import Fitted, command, line, table
from searchplat.views.snapshot import Snapshot, take, wall_seconds
from searchplat.views.summary import best_block, comparison, next_commands

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Standing:
    """One search.

    Args:
        running: Whether a driver is at work now.
        wall_seconds: Time that drivers worked on it.
        last: The newest event.
        share: What trials take of a machine, where that was measured.
        requests: Those that no driver has taken yet; of one that cannot be read the id.
    """

    snapshot: Snapshot
    running: bool
    wall_seconds: float
    last: Event | None
    share: str | None = None
    requests: Sequence[Request | str] = ()

    @property
    def paused(self) -> Event | None:
        """The event by which the driver at work begins nothing new."""
        return self.snapshot.paused if self.running else None

    @property
    def failure(self) -> str | None:
        """What its newest run failed for; None if it did not, or a driver is at work."""
        return None if self.running else self.snapshot.failure

    @property
    def words(self) -> str:
        """In a word: running, done, failed, or what there is to do."""
        if self.running:
            return "paused by hand" if self.paused else "running"
        if self.failure is not None:
            return "failed"
        return "done" if self.snapshot.done else "paused"

    @property
    def trials_per_hour(self) -> float | None:
        """Ended trials per hour of work."""
        return self.snapshot.ended / self.wall_seconds * 3600 if self.wall_seconds > 0 else None

    def document(self) -> dict[str, Any]:
        """For scripts."""
        snapshot, best = self.snapshot, self.snapshot.best
        return {
            "name": snapshot.name,
            "state": "paused" if self.paused else self.words,
            "running": self.running,
            "failure": self.failure,
            "folder": str(snapshot.folder),
            "method": snapshot.spec.method,
            "data": snapshot.spec.data.name,
            "scale": snapshot.spec.scale,
            "objective": snapshot.metric,
            "maximize": snapshot.spec.objectives[0].maximize,
            "objectives": {objective.metric: objective.maximize for objective in snapshot.spec.objectives},
            "planned_trials": snapshot.planned,
            "ended_trials": snapshot.ended,
            "states": {state.value: number for state, number in snapshot.states.items()},
            "stages": [
                {
                    "name": stage.name,
                    "planned": stage.planned,
                    "ended": stage.ended,
                    "running": stage.running,
                    "waiting": stage.waiting,
                    "data_fraction": stage.data_fraction,
                    "best_trial": None if stage.best is None else stage.best.number,
                    "expected_gain": None if stage.estimate is None else asdict(stage.estimate),
                    "ended_early": stage.ended_early,
                }
                for stage in snapshot.stages
            ],
            "best": None
            if best is None or best.objectives is None
            else {
                "trial": best.number,
                "value": best.objectives[0],
                "stage": best.stage,
                **({"broken": broken_document(best.broken)} if snapshot.spec.outcomes else {}),
                "values": dict(zip(snapshot.metrics, best.objectives, strict=False)),
            },
            "compared_on": snapshot.ranking.share,
            "front": [trial.number for trial in snapshot.front] if snapshot.ranking.several else None,
            "wall_seconds": self.wall_seconds,
            "trials_per_hour": self.trials_per_hour,
            "share": self.share,
            "widened": [
                {"at": one.at, **{key: value for key, value in one.payload.items() if key != "said"}}
                for one in snapshot.widened
            ],
            "last_event_at": None if self.last is None else self.last.at,
            "paused": None
            if self.paused is None
            else {"by": self.paused.payload["by"], "at": self.paused.at, "now": self.paused.payload["now"]},
            "requests": [
                {"request": one}
                if isinstance(one, str)
                else {"request": one.id, "action": words(one), "by": one.by, "at": one.at}
                for one in self.requests
            ],
        }


def standing(folder: SearchFolder) -> Standing:
    """Read how a search stands.

    Raises:
        InputError: If there is no such search, or its ledger cannot be read.
    """
    with folder.read() as ledger:
        return standing_of(folder, ledger, folder.running())


def standing_of(folder: SearchFolder, ledger: Ledger, running: bool) -> Standing:
    """How a search stands, from its open ledger.

    Args:
        running: Whether a driver is at work.
    """
    snapshot = take(folder.name, folder.path, ledger)
    newest = ledger.events(ledger.seq - 1, 1)
    return Standing(
        snapshot, running, wall_seconds(ledger), newest[-1] if newest else None, said(ledger),
        pending(RequestFolder(folder.requests)),
    )  # fmt: skip


def all_standing(folders: Iterable[SearchFolder]) -> tuple[list[Standing], dict[str, str]]:
    """How searches stand; of those that cannot be read, why, by name."""
    found: list[Standing] = []
    unreadable: dict[str, str] = {}
    for folder in folders:
        try:
            found.append(standing(folder))
        except InputError as error:  # one broken search must not hide the others
            unreadable[folder.name] = str(error)
    return found, unreadable


def all_documents(found: Sequence[Standing], unreadable: Mapping[str, str]) -> list[dict[str, Any]]:
    """Of `all_standing`, for scripts."""
    return [*(one.document() for one in found), *({"name": name, "error": why} for name, why in unreadable.items())]


def all_screen(root: Path, found: Sequence[Standing], unreadable: Mapping[str, str]) -> RenderableType:
    """A line for each search."""
    from rich.console import Group

    if not found and not unreadable:
        return line(f"no search in {root}; start one with: {hints.on_search('search', 'SPACE', root)}")
    rows = []
    for one in found:
        snapshot, best = one.snapshot, one.snapshot.best
        rows.append(
            (
                snapshot.name,
                one.words,
                f"{snapshot.ended}/{snapshot.planned}",
                "-" if best is None else ", ".join(map(text.metric, best.objectives or ())),
                ", ".join(snapshot.metrics),
                text.duration(one.wall_seconds),
                _ago(one.last),
            )
        )
    columns = ("search", "state", ">trials", ">best", "metric", ">worked", "last event")
    parts: list[RenderableType] = [table(columns, rows)] if rows else []
    parts += [line((f"{name}: {reason}", "red")) for name, reason in unreadable.items()]
    return Group(*parts)


def one_screen(one: Standing) -> RenderableType:
    """One search in full."""
    from rich.console import Group

    snapshot = one.snapshot
    spec = snapshot.spec
    scale = f" at scale {spec.scale}" if spec.scale else ""
    rate = f", {one.trials_per_hour:.3g} trials an hour" if one.trials_per_hour else ""
    states: list[str | tuple[str, str]] = []
    for state, number in snapshot.states.items():
        states += [("trials  ", "dim") if not states else "  ", (f"{number} {state}", STATE_STYLES[state])]
    driver = "a driver is at work now" if one.running else "no driver is at work now"
    steered: list[RenderableType] = []
    if one.paused is not None:
        resume = snapshot.hint("resume")
        steered.append(
            line(("paused  ", "dim"), f"by {one.paused.payload['by']} {_ago(one.paused)}; goes on by: {resume}")
        )
    for request in one.requests:
        asked = request if isinstance(request, str) else f"{words(request)} by {request.by}"
        steered.append(line(("asked   ", "dim"), f"{asked}, not taken yet"))
    parts: list[RenderableType] = [
        line((snapshot.name, "bold"), f"  {one.words}  {spec.method} on {spec.data.shown}{scale}"),
        line(("driver  ", "dim"), f"{driver}; last event {_ago(one.last)}"),
        *([line(("failed  ", "dim"), (short_failure(one.failure), "red"))] if one.failure else []),
        *steered,
        line(*states) if states else line(("trials  ", "dim"), "none yet"),
        *ended_early(snapshot),
        *(line(("space   ", "dim"), f"{one.payload['said']}; {_ago(one)}") for one in snapshot.widened),
        line(("worked  ", "dim"), f"{text.duration(one.wall_seconds)}{rate}"),
        line(("folder  ", "dim"), str(snapshot.folder)),
        *([line(("a trial  ", "dim"), one.share)] if one.share else []),
        "",
        Fitted(lambda width: stages_table(snapshot, min(width, 80))),
        "",
        *best_block(snapshot),
    ]
    if snapshot.controls:
        parts += ["", comparison(snapshot)]
    if not one.running:
        parts += ["", line(("next", "bold")), *map(command, next_commands(snapshot))]
    return Group(*parts)


def short_failure(failure: str) -> str:
    """The first line of a failure, with the last one of its traceback if it has one."""
    first, *more = failure.strip().splitlines() or [""]
    return f"{first} {more[-1].strip()}" if more else first


def _ago(event: Event | None) -> str:
    return "never" if event is None else f"{text.duration(max(0.0, time.time() - event.at))} ago"
