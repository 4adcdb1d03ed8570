"""Figures of a running search for Prometheus, through Ray: every node of a cluster has an address that serves them.

They are read off the ledger, so after a resume they go on where they were. Ray puts `ray_` before the names;
`dashboards/grafana/searchplat.json` draws them.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple

from searchplat.ledger import Ledger
from searchplat.ledger.ranking import Ranking
from searchplat.searchers.contract import TrialState

PERIOD_S = 5.0
"""Seconds between two looks at the ledger; Ray itself passes figures on every 10 s."""

GAUGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "searchplat_trials": ("Trials by their state.", ("search", "state")),
    "searchplat_trials_planned": ("Trials of all stages and controls together.", ("search",)),
    "searchplat_slots": ("Trials that may run at once.", ("search",)),
    "searchplat_best_value": ("The best value of each objective, over the trials that compare.", ("search", "metric")),
    "searchplat_reports": ("Epochs reported by all trials.", ("search",)),
    "searchplat_retries": ("Times that trials were taken up again after their worker died.", ("search",)),
    "searchplat_suggestion_seconds": ("Seconds that the newest suggestion of a stage took.", ("search", "stage")),
    "searchplat_outbox_events": ("Events of the ledger that MLflow has not got.", ("search",)),
    "searchplat_trial_seconds": ("Seconds of training and evaluation that trials reported.", ("search",)),
    "searchplat_gpu_seconds": ("The same times the trials' share of a GPU.", ("search",)),
}
"""Name -> what it says, and its labels."""


class Reading(NamedTuple):
    """One value of a gauge of `GAUGES`."""

    name: str
    value: float
    labels: Mapping[str, str]


def readings(
    ledger: Ledger, search: str, *, planned: int, slots: int, gpus: Mapping[str, float], backlog: int
) -> list[Reading]:
    """All figures as the ledger has them now.

    Args:
        planned: Trials in all.
        slots: Trials that may run at once.
        gpus: GPUs a trial, by stage.
        backlog: Events that MLflow has not got.
    """
    trials = ledger.trials()
    own = {"search": search}
    counts = Counter(trial.state for trial in trials)
    seconds = sum(trial.seconds for trial in trials)
    found = [
        # Every state, also with no trial in it: a gauge keeps its last value until it is given another.
        *(Reading("searchplat_trials", counts[state], {**own, "state": state.value}) for state in TrialState),
        Reading("searchplat_trials_planned", planned, own),
        Reading("searchplat_slots", slots, own),
        Reading("searchplat_reports", sum(trial.epoch for trial in trials), own),
        Reading("searchplat_retries", sum(trial.retries for trial in trials), own),
        Reading("searchplat_outbox_events", backlog, own),
        Reading("searchplat_trial_seconds", seconds, own),
        Reading("searchplat_gpu_seconds", sum(t.seconds * gpus.get(t.stage, 0.0) for t in trials), own),
    ]
    newest = {trial.stage: trial.info["seconds"] for trial in trials if "seconds" in trial.info}
    found += [
        Reading("searchplat_suggestion_seconds", taken, {**own, "stage": stage}) for stage, taken in newest.items()
    ]
    ranking = Ranking.of(ledger)
    for place, objective in enumerate(ledger.objectives):
        for best in ranking.best(1, by=place):
            assert best.objectives is not None
            if best.broken:
                continue
            found.append(Reading("searchplat_best_value", best.objectives[place], {**own, "metric": objective.metric}))
    return [reading for reading in found if math.isfinite(reading.value)]


class Telemetry:
    """Passes readings to Ray for the time of the block, from a thread; Ray must be connected.

    A search must not end for want of a dashboard: what goes wrong here stops the figures and nothing else.
    """

    def __init__(self, read: Callable[[], list[Reading]], period_s: float = PERIOD_S) -> None:
        self._read, self._period_s = read, period_s
        self._gauges: dict[str, Any] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
        self.error: Exception | None = None

    def __enter__(self) -> Telemetry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            from ray.util.metrics import Gauge

            self._gauges = {name: Gauge(name, about, tag_keys=labels) for name, (about, labels) in GAUGES.items()}
            while True:
                for reading in self._read():
                    self._gauges[reading.name].set(reading.value, tags=dict(reading.labels))
                if self._stop.wait(self._period_s):
                    return
        except Exception as error:  # see the class
            self.error = error
