"""Sends batches of the outbox to MLflow, so that sending again after any failure changes nothing."""

from __future__ import annotations

import copy
import json
import logging
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from searchplat import hints
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.ranking import stage_names
from searchplat.spec.space import Layout
from searchplat.tracking.pages.curve import curve_png
from searchplat.tracking.pages.description import describe
from searchplat.tracking.pages.layout_picture import layout_png
from searchplat.tracking.pages.views import FRONT, STAGES, TRIALS, view_address, view_tags
from searchplat.tracking.sending.outbox import KILLED, RUNNING, Batch, Change, Progress, gather, search_status
from searchplat.tracking.sending.runs import PICTURES, SINK, Runs
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address, redact
from searchplat.tracking.store.files import moved

EVENTS_A_BATCH = 500
# MLflow takes 1,000 metrics, 100 params and 100 tags at once, 1,000 of all together, and 1 MB.
_METRICS_A_CALL, _PARAMS_A_CALL, _TAGS_A_CALL = 800, 50, 50
_NOTE_EVERY_S = 20.0
_PICTURES_AT_ONCE = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class About:
    """What the parent run says of the search.

    Args:
        experiment: The search's name.
        space_text: The space file, an artifact under the name `space_name`.
        tags: Further tags of the parent run.
        layout: The space's layout axis: its trials get a picture and a tag.
        parameters: The other searched parameters: columns of the view of the trials.
        go_on: The command that goes on with the search.
    """

    experiment: str
    space_text: str
    space_name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    layout: Layout | None = None
    parameters: Sequence[str] = ()
    go_on: str = ""


class Recorder:
    """A search's open connection to MLflow. Constructing one connects; any method may raise what MLflow raises."""

    def __init__(self, ledger: Ledger, address: Address, about: About) -> None:
        self._ledger, self._about = ledger, about
        self._client = mlflow_client.connect(address)
        self._runs = Runs(ledger, address, self._client, about.experiment)
        self._artifacts = moved(address, self._client.get_experiment(self._runs.experiment_id)) is None
        if not self._artifacts:
            sync = hints.on_search("sync", about.experiment, ledger.path.parent.parent, *hints.store_words(address.uri))
            _log.warning("MLflow was sent no files, as its store was moved; see: %s", sync)
        self._noted_at = 0.0
        self._note_due = True
        self.refused = 0
        """Runs that MLflow would not take something for; it is in the ledger all the same."""
        self._status = search_status(ledger.newest("opened", "closed"))
        self._drawn = 0
        self._runs.ensure_search(about.experiment, self._search_tags())
        self._progress = Progress(ledger, ledger.cursor(SINK))
        self._share = self._progress.share
        self._permitted("the views", self._send_views)
        self._search_artifacts()

    @property
    def experiment_id(self) -> str:
        """MLflow's identifier of the experiment."""
        return self._runs.experiment_id

    def send(self) -> int:
        """Send the next batch, if there is one; return the number of events sent and acknowledged."""
        events = self._ledger.events(after=self._ledger.cursor(SINK), limit=EVENTS_A_BATCH)
        if events:
            progress = copy.copy(self._progress)
            try:
                self._send(gather(self._ledger, events, progress))
            except Exception:
                self._runs.doubt()
                raise
            self._ledger.set_cursor(SINK, events[-1].seq)
            self._progress = progress
        if self._note_due and time.monotonic() - self._noted_at > _NOTE_EVERY_S:
            self._send_note()
        return len(events)

    def draw(self) -> int:
        """Send the pictures of the next few trials whose rows are there; return the number of events looked at.

        Apart from the rows, with a cursor of its own: a picture takes 30 to 100 ms, as much as a hundred rows.
        """
        axis = self._about.layout
        if axis is None or not self._artifacts:
            return 0
        sent = self._ledger.cursor(SINK)
        events = [e for e in self._ledger.events(self._ledger.cursor(PICTURES), EVENTS_A_BATCH) if e.seq <= sent]
        looked_at = drawn = 0
        for event in events:
            if event.kind == "suggested" and event.trial is not None and event.trial in self._runs:
                trial = self._ledger.trial(event.trial)
                if (layout := self._layout_of(trial)) is not None:
                    png = layout_png(axis, layout, keys.run_name(trial))
                    send = partial(self._artifact, self._runs[trial.number], "layout.png", png)
                    self._permitted(f"the picture of trial {trial.number}", send)
                    drawn += 1
            looked_at += 1
            if drawn == _PICTURES_AT_ONCE:
                break
        if looked_at:
            self._ledger.set_cursor(PICTURES, events[looked_at - 1].seq)
        return looked_at

    def finish(self, closed: bool) -> None:
        """Say the last word of this process; everything was sent.

        Args:
            closed: Whether the ledger says how the search ended. If not, what is open is marked as killed,
                for nothing runs without its driver.
        """
        self._runs.heal()
        if not closed:
            now_ms = round(time.time() * 1000)
            for trial in self._ledger.trials():
                if not trial.state.final and trial.number in self._runs:
                    self._set_status(self._runs[trial.number], Change(status=KILLED, ended_ms=now_ms))
            self._set_status(self._runs.search, Change(status=KILLED, ended_ms=now_ms))
            self._status = KILLED
        self._send_note()

    def _send(self, batch: Batch) -> None:
        trials = {number: self._ledger.trial(number) for number in batch.trials}
        new = self._runs.ensure_trials(trials.values())
        for number, change in batch.trials.items():
            change.created |= number in new
            self._permitted(f"trial {number}", partial(self._send_trial, trials[number], change))
        if keys.SHARE in batch.search.tags:
            self._share = float(batch.search.tags[keys.SHARE])
            self._permitted("the views", self._send_views)
        if batch.search:
            self._permitted("the search", partial(self._send_run, self._runs.search, batch.search, {}))
            self._status = batch.search.status or self._status
        self._note_due = True
        if batch.turning_point:
            self._send_note()

    def _send_trial(self, trial: TrialRecord, change: Change) -> None:
        if change.created and (layout := self._layout_of(trial)) is not None:
            change.tags[keys.LAYOUT] = keys.cut(layout)
        self._send_run(self._runs[trial.number], change, keys.params(trial) if change.created else {})

    def _send_run(self, run: str, change: Change, params: Mapping[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        # As few calls as the limits allow: on SQLite each costs several commits, each of which waits for the disk.
        waiting = [
            (_METRICS_A_CALL, "metrics", [Metric(p.key, p.value, p.at_ms, p.step) for p in change.metrics]),
            (_PARAMS_A_CALL, "params", [Param(name, value) for name, value in params.items()]),
            (_TAGS_A_CALL, "tags", [RunTag(name, value) for name, value in change.tags.items()]),
        ]
        for start in count():
            rows = {kind: items[start * most : (start + 1) * most] for most, kind, items in waiting}
            if not any(rows.values()):
                break
            self._client.log_batch(run, **rows)
        if change.status is not None:
            self._set_status(run, change)

    def _set_status(self, run: str, change: Change) -> None:
        if change.ended_ms is None:
            self._client.update_run(run, status=change.status)
        else:
            self._client.set_terminated(run, change.status, change.ended_ms)

    def _permitted(self, what: str, send: Callable[[], None]) -> None:
        """Send; if MLflow refuses this run for good (deleted by a person, say), go on with the others."""
        try:
            send()
        except Exception as error:
            if not mlflow_client.is_permanent(error):
                raise
            self.refused += 1
            _log.warning("MLflow refuses %s, which stays in the ledger: %s", what, redact(str(error)))

    def _send_note(self) -> None:
        links = [*self._curve(), *self._links()]
        text = describe(self._ledger, self._about.experiment, self._about.go_on, self._status, links)
        self._permitted("the description", partial(self._client.set_tag, self._runs.search, keys.NOTE, text))
        self._noted_at, self._note_due = time.monotonic(), False

    def _curve(self) -> list[str]:
        """Markdown that shows the picture of the search so far, which is sent where it is not there yet."""
        trials = self._ledger.trials()
        ended = sum(trial.state.final for trial in trials)
        # While it runs, a picture of ever more trials is drawn ever more rarely.
        due = ended != self._drawn if self._status != RUNNING else ended > 1.05 * self._drawn
        if due and (png := curve_png(trials, self._ledger.objectives, stage_names(self._ledger))) is not None:
            self._artifact(self._runs.search, "progress.png", png)
            self._drawn = ended
        if not self._drawn or not self._artifacts:
            return []
        # The address is the server's own, relative to its page.
        return [f"![best so far, by trials ended](get-artifact?path=progress.png&run_uuid={self._runs.search})"]

    def _links(self) -> list[str]:
        tags = view_tags(self._ledger.objectives, (), layout=False)
        pages = {"trials, the best first": TRIALS, "curves by stage": STAGES}
        if len(self._ledger.objectives) > 1:
            pages["Pareto front"] = FRONT
        made = [f"[{name}]({view_address('', self.experiment_id, tags, view)[1:]})" for name, view in pages.items()]
        return [" · ".join(made)]

    def _send_views(self) -> None:
        about = self._about
        bounded = bool(self._ledger.bounds)
        tags = view_tags(
            self._ledger.objectives, about.parameters, about.layout is not None, self._share, bounded=bounded
        )
        there = self._client.get_experiment(self.experiment_id).tags
        for name, value in tags.items():
            if there.get(name) != value:
                self._client.set_experiment_tag(self.experiment_id, name, value)

    def _search_tags(self) -> dict[str, str]:
        objectives = self._ledger.objectives
        tags = {
            **self._about.tags,
            keys.OBJECTIVE: " ".join(objective.metric for objective in objectives),
            keys.DIRECTION: " ".join("maximize" if objective.maximize else "minimize" for objective in objectives),
        }
        if self._ledger.bounds:
            tags[keys.BOUNDS] = ", ".join(bound.text for bound in self._ledger.bounds)
        layout = self._about.layout
        if layout is not None:
            tags["searchplat.layout_legend"] = (
                f"{layout.layers} layers of {' '.join(layout.roles)}; 0 {layout.choices[0]}, 1 {layout.choices[1]}"
            )
        return {name: keys.cut(redact(str(value))) for name, value in tags.items()}

    def _search_artifacts(self) -> None:
        about = self._about
        document = json.dumps(self._ledger.document(), indent=2, sort_keys=True)
        self._artifact(
            self._runs.search, Path(about.space_name).name or "space.yaml", redact(about.space_text).encode()
        )
        self._artifact(self._runs.search, "resolved.json", redact(document).encode())

    def _artifact(self, run: str, name: str, content: bytes) -> None:
        """Store a file with a run. Rows matter more: where files cannot be stored at all, they are left out."""
        if not self._artifacts:
            return
        with tempfile.TemporaryDirectory(prefix="searchplat-") as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            try:
                self._client.log_artifact(run, str(path))
            except Exception as error:
                # Is MLflow away (then this raises too, and all is tried again), or only its file store?
                if self._client.get_run(run).info.lifecycle_stage == "deleted":
                    return
                self._artifacts = False
                _log.warning("MLflow stores no files (%s); trials are shown without pictures", redact(str(error)))

    def _layout_of(self, trial: TrialRecord) -> str | None:
        """The trial's layout; None where it has none, as a control of another method."""
        layout = self._about.layout
        if layout is None:
            return None
        value: Any = trial.config.get(layout.name, trial.values.get(layout.name))
        # A control may break the constraints of the axis (`at_most`), never its shape.
        shape = [len(layout.roles)] * layout.layers
        fits = isinstance(value, str) and not set(value) - set("01-") and [len(g) for g in value.split("-")] == shape
        return str(value) if fits else None
