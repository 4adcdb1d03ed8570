"""The thread that keeps MLflow up to date with the ledger, and never holds up the search."""

from __future__ import annotations

import logging
import random
import shlex
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from searchplat import hints
from searchplat.ledger import Ledger
from searchplat.spec.model import SearchSpec
from searchplat.spec.space import Layout
from searchplat.tracking.sending.recorder import EVENTS_A_BATCH, About, Recorder
from searchplat.tracking.sending.runs import SINK, is_of
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address, redact

_LAST_PICTURES_S = 5.0
_LONGEST_ROUND_S = 10.0
_log = logging.getLogger(__name__)


class MlflowSink:
    """Sends a ledger's events to MLflow in the background.

    The ledger is the outbox: what is not sent yet is what lies behind the cursor, so nothing is lost when
    MLflow is away or this process dies; it is sent later, once. Only one process at a time may have a sink on a
    ledger: the one that holds the search's lock.

    Args:
        ledger: Open for writing. It must stay open until `stop` has returned.
        experiment: The search's name.
        tracking_uri: A database or a server; a relative SQLite file is taken from the working directory.
        space_text, space_name: The space file and how to call it.
        tags: Further tags of the parent run.
        layout: The space's layout axis, if it has one.
        parameters: The other searched parameters.
        go_on: The command that goes on with the search, from any folder.
        every_s: Seconds between two looks into the ledger.
        longest_pause_s: Bound of the pause between attempts while MLflow is away; it starts at 1 s and doubles.
            So little that an MLflow that is back has everything within half a minute.

    Raises:
        InputError: If `tracking_uri` cannot be one. Nothing else ever raises: see `last_error`.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        experiment: str,
        tracking_uri: str,
        space_text: str,
        space_name: str,
        tags: Mapping[str, str] | None = None,
        layout: Layout | None = None,
        parameters: Sequence[str] = (),
        go_on: str = "",
        every_s: float = 1.0,
        longest_pause_s: float = 15.0,
    ) -> None:
        self._ledger = ledger
        self._where = Address.parse(tracking_uri)
        self._about = About(experiment, space_text, space_name, dict(tags or {}), layout, tuple(parameters), go_on)
        self._every_s, self._longest_pause_s = every_s, longest_pause_s
        self._recorder: Recorder | None = None
        self._thread: threading.Thread | None = None
        self._environment = ExitStack()
        self._wake = threading.Event()
        self._changed = threading.Condition()
        self._sent = 0
        self._round = 0
        self._good_round = self._failed_round = 0
        self._stopping = False
        self._deadline: float | None = None
        self._error: str | None = None
        self._experiment_id: str | None = None

    @classmethod
    def of(cls, ledger: Ledger, spec: SearchSpec, search: str, tracking_uri: str) -> MlflowSink:
        """The sink of a search: its name is the experiment's, the rest follows from its space."""
        from searchplat.engine.places import recorded  # which knows MLflow's address

        return cls(
            ledger,
            experiment=search,
            tracking_uri=tracking_uri,
            space_text=spec.text,
            space_name=spec.source.name,
            layout=spec.layout,
            parameters=[name for name in spec.space.names if spec.layout is None or name != spec.layout.name],
            go_on=hints.goes_on(spec, search, ledger.path.parent.parent, recorded(ledger), here=False),
            tags={keys.METHOD: spec.method, "searchplat.data": spec.data.name},
        )

    def start(self) -> None:
        """Begin sending. Imports MLflow (about 2 s); opens no connection here. Calling it twice does nothing."""
        if self._thread is not None:
            return
        self._environment.enter_context(mlflow_client.impatient(self._where))
        try:
            mlflow_client.load(self._where)
        except Exception as error:
            self._environment.close()
            self._fail(error)
            return
        self._thread = threading.Thread(target=self._work, name="mlflow-sink", daemon=True)
        self._thread.start()

    def flush(self, timeout_s: float) -> int:
        """Send what the ledger has now; return the number of events still unsent.

        Returns early when MLflow refuses: it is asked once more, not for the whole time.
        """
        self.start()
        if self._thread is None:
            return self.backlog()
        deadline = time.monotonic() + timeout_s
        with self._changed:
            target, asked = self._ledger.seq, self._round
            self._wake.set()
            # The cursor alone is not enough: connecting may find that the store has lost what it counts.
            while (
                (self._cursor() < target or self._good_round <= asked)
                and self._failed_round <= asked
                and self._thread.is_alive()
            ):
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
        return self.backlog()

    def stop(self, timeout_s: float) -> int:
        """Send what is left, say how the search ended, and end; return the number of events still unsent.

        A search whose ledger was not closed is shown as killed, with its open trials, until it is taken up again.
        """
        if self._thread is not None:
            with self._changed:
                self._stopping = True
                self._deadline = time.monotonic() + timeout_s
            self._wake.set()
            self._thread.join(timeout_s)
        self._environment.close()
        return self.backlog()

    def backlog(self) -> int:
        """Number of events that MLflow has not got."""
        return self._ledger.seq - self._cursor()

    @property
    def sent(self) -> int:
        """Number of events that MLflow has got from this sink."""
        return self._sent

    @property
    def last_error(self) -> str | None:
        """Why the last attempt failed, without secrets; None while all is well."""
        return self._error

    @property
    def address(self) -> str:
        """Where a person finds the runs: a page of the server, or the command that serves a local file."""
        if self._where.sqlite is not None:
            return shlex.join(["mlflow", "ui", "--backend-store-uri", self._where.shown])
        if self._where.uri.startswith("http") and self._experiment_id is not None:
            return f"{self._where.shown.rstrip('/')}/#/experiments/{self._experiment_id}"
        return self._where.shown

    def _cursor(self) -> int:
        # Of another store than the last one, it counts nothing until that one has answered.
        return self._ledger.cursor(SINK) if is_of(self._ledger, self._where) else 0

    def _work(self) -> None:
        with mlflow_client.hushed_here("urllib3.connectionpool"):
            self._send_until_stopped()

    def _send_until_stopped(self) -> None:
        failures = 0
        while True:
            # Read before the attempt: only what began after the wish to stop counts as the last one.
            stopping, begun, sent = self._stopping, time.monotonic(), 0
            with self._changed:
                self._round += 1
            try:
                if self._recorder is None:
                    self._recorder = Recorder(self._ledger, self._where, self._about)
                    self._experiment_id = self._recorder.experiment_id
                sent = self._recorder.send()
                self._sent += sent
                if stopping and not sent:
                    self._recorder.finish(self._closed())
                failures, self._error = 0, None
            except Exception as error:
                failures += 1
                self._fail(error)
            with self._changed:
                if failures:
                    self._failed_round = self._round
                else:
                    self._good_round = self._round
                self._changed.notify_all()
            late = self._deadline is not None and time.monotonic() > self._deadline
            if stopping and (late or failures or not sent):
                break
            if not failures and not stopping and sent < EVENTS_A_BATCH:
                self._draw()
            if failures or not (stopping or sent == EVENTS_A_BATCH):
                self._wake.wait(self._pause(failures, time.monotonic() - begun))
                self._wake.clear()
        if not failures:
            self._draw_what_time_allows()

    def _draw(self) -> int:
        """Draw a few pictures; without them, all is well too."""
        try:
            return 0 if self._recorder is None else self._recorder.draw()
        except Exception as error:
            _log.debug("pictures wait: %s", redact(str(error)))
            return 0

    def _draw_what_time_allows(self) -> None:
        """The last pictures, for a few seconds at most: what is missing is drawn the next time."""
        until = time.monotonic() + _LAST_PICTURES_S
        if self._deadline is not None:
            until = min(until, self._deadline)
        while time.monotonic() < until and self._draw():
            pass

    def _pause(self, failures: int, spent_s: float) -> float:
        """Seconds until the next look: after failures doubling, with a random part so that many searches spread.

        Otherwise at least three times what the last round took: a trial's rows cost the same whether they are
        one or a hundred, so under load the rounds grow, and the driver keeps three quarters of its core.
        """
        if not failures:
            return max(self._every_s, min(3 * spent_s, _LONGEST_ROUND_S))
        return float(min(self._longest_pause_s, 2.0 ** min(failures - 1, 10)) * random.uniform(0.75, 1.25))

    def _closed(self) -> bool:
        """Whether the ledger says how the search ended, and not that it was opened since."""
        last = self._ledger.newest("opened", "closed")
        return last is not None and last.kind == "closed"

    def _fail(self, error: Exception) -> None:
        text = redact(" ".join(str(error).split())) or type(error).__name__
        if self._error is None and not self._stopping:
            _log.warning(
                "MLflow at %s cannot be written: %s; the search goes on, and the ledger keeps what is missing",
                self._where.shown, text,
            )  # fmt: skip
        self._error = text
