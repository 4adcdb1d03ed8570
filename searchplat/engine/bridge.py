"""Hands trials to Tune: a Tune searcher that takes them from the plan, and a callback for workers that die.

Tune asks for the next trial inside its event loop, about four times a second. Suggestions that take time are
therefore computed in a thread; until one is there Tune hears "not yet" and goes on serving running trials. Where
trials are so short that slots would wait for suggestions, these are computed ahead, with the running trials pending.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.search import Searcher as TuneSearcher

from searchplat.engine.actor import ORDER
from searchplat.engine.driver_only import DriverOnly
from searchplat.engine.halt import Halt
from searchplat.engine.loss import host_died
from searchplat.engine.pace import Pace
from searchplat.engine.plan import Ask, Plan, Turn
from searchplat.engine.work import Order
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import StageSpec

_PATIENCE_S = 0.02
_PATIENCE_ALONE_S = 5.0
_POLL_S = 0.1  # Tune's wait for events between two questions


class Bridge(DriverOnly, TuneSearcher):
    """The searcher that Tune sees.

    Args:
        plan: Where trials come from.
        order_of: What to send to a trial's process.
        slots: Trials that may run at once now; asked anew each time, since nodes come and go.
        on_change: Called after every change of a trial, with the trial.
        halt: No trial is handed out once it is asked for.
    """

    def __init__(
        self,
        plan: Plan,
        order_of: Callable[[TrialRecord], Order],
        slots: Callable[[], int],
        on_change: Callable[[TrialRecord], None],
        halt: Halt,
    ) -> None:
        super().__init__(metric=None, mode=None)
        self._halt = halt
        self._plan, self._order_of, self._slots, self._on_change = plan, order_of, slots, on_change
        self._numbers: dict[str, int] = {}
        self._handed: dict[int, float] = {}  # trial number -> when
        self._pace = Pace()
        self._thinking: threading.Thread | None = None
        self.error: BaseException | None = None
        self.turn: Turn | None = None
        """Why no trial was handed out last, other than for want of slots or suggestions."""
        self._fit = 0

    def number_of(self, trial_id: str) -> int:
        """The trial number behind Tune's identifier."""
        return self._numbers[trial_id]

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's order; None for "not yet"; FINISHED at the end."""
        # Never "not yet" at the end: Tune would ask on for ten minutes, and look at nothing else.
        if self.error is not None or self._halt.asked:
            return str(TuneSearcher.FINISHED)
        found: dict[str, Any] | str | None = None
        with self._halt.guarding():
            found = self._next(trial_id)
        return found  # noqa: RET504  # None where the guard kept an error

    def _next(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._thinking is not None and not self._thinking.is_alive():
            self._thinking = None
        slots = self._fit = self._slots()
        waiting = self._plan.waiting() if len(self._handed) < slots else None
        order = None if waiting is None else self._hand_out(trial_id, waiting)
        if len(self._handed) >= slots or order is not None:
            if self._thinking is None and (early := self._plan.ahead(self._pace.ahead(slots))) is not None:
                self._think_of(early.stage, slots)
            return order
        if self._thinking is not None:
            return None
        turn = self._plan.next()
        if turn is Turn.DONE:
            return str(TuneSearcher.FINISHED)
        self.turn = turn if isinstance(turn, Turn) else None
        if isinstance(turn, Turn):
            return None
        if isinstance(turn, Ask):
            thinking = self._think_of(turn.stage, slots)
            # While trials run, Tune must get back to them; while none does, it would sleep before it asks again.
            until = time.monotonic() + (_PATIENCE_S if self._handed else _PATIENCE_ALONE_S)
            while thinking.is_alive() and not self._halt.asked and time.monotonic() < until:
                thinking.join(_PATIENCE_S)
            return None if thinking.is_alive() else self.suggest(trial_id)
        assert isinstance(turn, TrialRecord)
        return self._hand_out(trial_id, turn)

    def _hand_out(self, trial_id: str, trial: TrialRecord) -> dict[str, Any]:
        self._plan.ledger.start(trial.number)
        self._numbers[trial_id] = trial.number
        self._handed[trial.number] = time.monotonic()
        self._on_change(self._plan.ledger.trial(trial.number))
        return {ORDER: self._order_of(trial).to_json()}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Free the trial's slot."""
        since = self._handed.pop(self._numbers[trial_id], None)
        if since is not None:
            self._pace.ended(time.monotonic() - since)

    @property
    def room(self) -> int:
        """Slots without a trial, as of the last look at the cluster."""
        return max(0, self._fit - len(self._handed))

    @property
    def at_work(self) -> int:
        """Trials that were handed out and have not come back."""
        return len(self._handed)

    def join(self, timeout_s: float) -> None:
        """Wait for a suggestion under way, so that nobody else uses the ledger afterwards."""
        if self._thinking is not None:
            self._thinking.join(timeout_s)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it all."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger has it all."""

    def get_state(self) -> dict[str, Any]:
        """Nothing: the ledger has it all."""
        return {}

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: the ledger has it all."""

    def _think_of(self, stage: StageSpec, slots: int) -> threading.Thread:
        count = max(1, self._pace.ahead(slots))
        thinking = threading.Thread(target=self._think, args=(stage, count, slots), name="suggestion", daemon=True)
        thinking.start()
        self._thinking = thinking
        return thinking

    def _think(self, stage: StageSpec, count: int, slots: int) -> None:
        try:
            while True:
                began = time.monotonic()
                with self._halt.guarding():
                    self._plan.suggest(stage, count)
                # Tune comes for one that was not there at once when something else has happened, or after a while.
                seconds = time.monotonic() - began
                self._pace.suggested(seconds + (_POLL_S if seconds > _PATIENCE_S else 0.0))
                count = self._pace.ahead(slots)
                if self._halt.asked or not self._plan.wants(stage, count):
                    break
        except BaseException as error:  # handed to the main thread, which ends the search with it
            self.error = error


class Deaths(DriverOnly, Callback):
    """Tells the ledger of workers that died: their trials are taken up again, or fail after too many deaths."""

    def __init__(
        self,
        ledger: Ledger,
        number_of: Callable[[str], int],
        on_change: Callable[[TrialRecord], None],
        halt: Halt,
    ) -> None:
        self._ledger, self._number_of, self._on_change, self._halt = ledger, number_of, on_change, halt

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker died; Tune starts its trial again."""
        if self._halt.asked:  # a signal that ends the driver may well have ended its workers too
            return
        number = self._number_of(trial.trial_id)
        lost = host_died(trial)
        if lost:  # no fault of the trial's: Tune is not to count it
            trial.run_metadata.num_failures -= 1
        with self._halt.guarding():
            self._ledger.retry(number, "its host died" if lost else "worker died")
            self._on_change(self._ledger.trial(number))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Workers died too often under this trial."""
        number = self._number_of(trial.trial_id)
        if self._halt.asked or self._ledger.trial(number).state.final:
            return
        with self._halt.guarding():
            if host_died(trial):  # after as many deaths of workers as are allowed: it waits for its turn again
                self._ledger.retry(number, "its host died")
                self._ledger.requeue(number)
                self._on_change(self._ledger.trial(number))
                return
            self._ledger.end(number, TrialState.FAILED, "its workers died more often than is retried")
            self._on_change(self._ledger.trial(number))


class TrialNames(DriverOnly):
    """Names trials on the Ray dashboard: `<search>-00007`."""

    def __init__(self, search: str, number_of: Callable[[str], int]) -> None:
        self._search, self._number_of = search, number_of

    def __call__(self, trial: Any) -> str:
        return f"{self._search}-{self._number_of(trial.trial_id):05d}"


class Stop(DriverOnly, Stopper):
    """Tells Tune to end the experiment once it is due; never ends a single trial."""

    def __init__(self, due: Callable[[], bool]) -> None:
        self._due = due

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether to end this trial: the gate decides that."""
        return False

    def stop_all(self) -> bool:
        """Whether to end the experiment."""
        return self._due()
