"""`searchplat status --watch`: the picture of a running search, from another process than its own."""

from __future__ import annotations

import sys
import time

from searchplat.engine.monitor import RunInfo, SearchOutcome
from searchplat.engine.steering.steering import concurrent_of
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.views.monitors import watching
from searchplat.views.snapshot import take, wall_seconds

_LOOK_S = 1.0
"""Seconds between two looks whether a driver is at work; each holds the search's lock for an instant."""


def watch(folder: SearchFolder) -> None:
    """Show the search until its driver ends or Ctrl-C: in place on a terminal, else a line an event.

    Raises:
        InputError: If there is no such search.
    """
    with folder.read() as ledger, watching(sys.stdout, quiet=False) as monitor:
        if not folder.running():
            return
        snapshot = take(folder.name, folder.path, ledger)

        def slots() -> int:
            # How many may run at once is known to the driver alone; as many as do is close, and serves the estimate.
            running = sum(trial.state is TrialState.RUNNING for trial in ledger.open_trials())
            concurrent = concurrent_of(snapshot.spec, ledger)
            return max(1, running if concurrent is None else concurrent)

        monitor.start(
            RunInfo(
                folder.name, folder.path, ledger, snapshot.spec, ledger.meta("dashboard"), "", slots,
                snapshot.planned, resumed=False, watched_since=wall_seconds(ledger),
            )
        )  # fmt: skip
        try:
            while folder.running():
                time.sleep(_LOOK_S)
        except KeyboardInterrupt:
            pass
        monitor.stop(SearchOutcome(folder.name, "done", 0, folder.ledger_path, ""))
