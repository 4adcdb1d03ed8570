"""Who watches a search from the command line: a live picture on a terminal, lines anywhere else.

A search outlives its output: what cannot be written is left out, and the summary at the end says why.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from searchplat.engine.monitor import Monitor, RunInfo, SearchOutcome, Silent
from searchplat.engine.planning.closing import ENDED
from searchplat.engine.steering.state import KINDS as STEERING
from searchplat.ledger import Event
from searchplat.ledger.outcomes import broken_words
from searchplat.ledger.ranking import Lead
from searchplat.ledger.repeats import repeated
from searchplat.tracking import redact
from searchplat.views import text
from searchplat.views.live_picture import LiveView, Surroundings
from searchplat.views.snapshot import Snapshot, take

if TYPE_CHECKING:
    from rich.console import Console

_REFRESH_SECONDS = 0.5
_COST_SHARE = 20.0
"""Drawing takes at most 1/20 of one core, however many trials there are."""


class LiveMonitor:
    """Draws the search in place until it ends.

    Before the search is under way it only writes lines: fetching data and weights draws bars of its own.
    """

    def __init__(self, console: Console) -> None:
        from rich.live import Live
        from rich.text import Text

        self._console = console
        self._live = Live(Text(""), console=console, auto_refresh=False, transient=True)
        self._info: RunInfo | None = None
        self._began = time.monotonic()
        self._notice = ""
        self._size = console.size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="live view", daemon=True)

    def prepare(self, message: str) -> None:
        """Write it."""
        self._print(f"{message} ...")

    def start(self, info: RunInfo) -> None:
        """Show the search from now on."""
        self._info, self._began = info, time.monotonic() - (info.watched_since or 0.0)
        with suppress(OSError):
            self._live.start()
            self._thread.start()

    def event(self, message: str) -> None:
        """Show the newest message in the picture, or write it while there is none."""
        if self._info is None:
            self._print(message)
        else:
            self._notice = message

    def stop(self, outcome: SearchOutcome) -> None:
        """Take the picture away; the summary follows."""
        self.close()

    def close(self) -> None:
        """End the thread and give the terminal back; harmless to repeat."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):
            self._live.stop()

    def _print(self, line: str) -> None:
        with suppress(OSError):
            self._console.print(text.visible(line), style="dim")

    def _refresh(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self._draw()
            except OSError:  # the terminal has gone; the search goes on
                return
            pause = max(_REFRESH_SECONDS, (time.monotonic() - began) * _COST_SHARE)

    def _draw(self) -> None:
        from rich.control import Control

        assert self._info is not None
        if (size := self._console.size) != self._size:
            # What a terminal makes of drawn lines when it is resized cannot be known, so start from a clean one.
            self._size = size
            self._console.control(Control.clear(), Control.home())
        snapshot = take(self._info.name, self._info.folder, self._info.ledger, self._info.spec)
        around = _around(self._info, snapshot, time.monotonic() - self._began, self._notice)
        self._live.update(LiveView(snapshot, around), refresh=True)


class PlainMonitor:
    """Writes a line for each trial that ends, each stage that begins, and each better value."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._info: RunInfo | None = None
        self._seq = 0
        self._began = time.monotonic()
        self._seen_stages: set[str] = set()
        self._lead = Lead(())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress lines", daemon=True)
        self._write_lock = threading.Lock()

    def prepare(self, message: str) -> None:
        """Write it."""
        self._say(f"{message} ...")

    def start(self, info: RunInfo) -> None:
        """Write the first lines, then follow the ledger."""
        self._info, self._seq, self._began = info, info.ledger.seq, time.monotonic()
        self._lead = Lead(info.spec.objectives, [stage.name for stage in info.spec.stages])
        snapshot = take(info.name, info.folder, info.ledger, info.spec)
        self._seen_stages = {trial.stage for trial in snapshot.trials if trial.state.final}
        for trial in snapshot.trials:
            if trial.ended_at is not None and trial.ended_at <= self._seq:  # the others are still to be told of
                self._lead.add(trial)
        spec = info.spec
        scale = f" at scale {spec.scale}" if spec.scale else ""
        done = f", {snapshot.ended} of them ended already" if info.resumed else ""
        self._say(
            f"{info.name}: {spec.method} on {spec.data.shown}{scale}; "
            f"{text.plural(info.planned_trials, 'trial')}{done}, {info.slots()} at once"
        )
        places = [("folder", str(info.folder)), ("MLflow", redact(info.tracking_uri)), ("Ray", info.dashboard_url)]
        self._say("; ".join(f"{name} {where}" for name, where in places if where))
        self._thread.start()

    def event(self, message: str) -> None:
        """Write it."""
        self._say(message)

    def stop(self, outcome: SearchOutcome) -> None:
        """Write what has not been written yet."""
        self.close()

    def close(self) -> None:
        """End the thread; harmless to repeat."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._stop.wait(_REFRESH_SECONDS):
            self._write_news()
        self._write_news()

    def _write_news(self) -> None:
        assert self._info is not None
        while events := self._info.ledger.events(self._seq, 1000):
            self._seq = events[-1].seq
            for event in events:
                self._write_event(event)

    def _write_event(self, event: Event) -> None:
        assert self._info is not None
        if event.kind in (*STEERING, ENDED):
            self._say(str(event.payload["said"]))
        if event.trial is None or event.kind not in ("started", "ended"):
            return
        trial = self._info.ledger.trial(event.trial)
        if event.kind == "started":
            if trial.stage not in self._seen_stages:
                self._seen_stages.add(trial.stage)
                self._say(f"stage {trial.stage} begins")
            return
        value = trial.objectives[0] if trial.objectives else None
        line = f"trial {trial.number} {trial.control or trial.stage}: {trial.state}"
        if value is not None:
            line += f", {self._info.spec.objectives[0].metric} {text.metric(value)} at epoch {trial.best_epoch}"
        line += f", {text.duration(trial.seconds)}"
        if trial.cause:
            line += f" ({trial.cause.strip().splitlines()[-1][:160]})"
        snapshot = take(self._info.name, self._info.folder, self._info.ledger, self._info.spec)
        if (first := repeated(trial)) is not None:
            line += f"; it repeats trial {first}"
        leads = self._lead.add(trial)
        if breaks := broken_words(trial.broken) if trial.state.scored else "":
            line += f"; {breaks}"
        elif leads:
            line += "; on the Pareto front so far" if snapshot.ranking.several else "; the best so far"
        ended = sum(t.ended_at is not None and t.ended_at <= event.seq for t in snapshot.trials)
        left = snapshot.seconds_left(self._info.slots())
        line += f"  [{ended}/{snapshot.planned}"
        self._say(line + (f", about {text.duration(left)} left]" if left else "]"))

    def _say(self, line: str) -> None:
        with self._write_lock, suppress(OSError):
            print(text.visible(line), file=self._out, flush=True)


@contextmanager
def watching(out: TextIO, *, quiet: bool) -> Iterator[Monitor]:
    """The monitor that suits where the output goes; whatever happens, the terminal is given back."""
    if quiet:
        yield Silent()
        return
    from searchplat.views.output import console

    made: Any = LiveMonitor(console(out)) if out.isatty() else PlainMonitor(out)
    try:
        yield made
    finally:
        made.close()


def _around(info: RunInfo, snapshot: Snapshot, elapsed: float, notice: str) -> Surroundings:
    slots = info.slots()
    return Surroundings(
        slots,
        elapsed,
        snapshot.seconds_left(slots),
        info.dashboard_url,
        redact(info.tracking_uri),
        info.resumed,
        notice,
        watched=info.watched_since is not None,
    )
