"""Ask and tell, for somebody who has a loop of their own: the searchers and the ledger, and no Ray.

The ledger is that of a search, so `searchplat best`, `trials`, `report` and `export` read it, also while it is written.
What comes next is `engine.plan`'s to say, here as there.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from searchplat import paths
from searchplat.api.settings import set_items
from searchplat.api.trial import Trial, trial_of
from searchplat.arguments import texts
from searchplat.engine.planning.past import Past, gather, keep
from searchplat.engine.planning.plan import Plan
from searchplat.engine.resuming.opening import mark_study, open_ledger, refuse_change
from searchplat.errors import ExhaustedError, InputError, SearchFailedError, TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.ledger.ranking import Ranking
from searchplat.searchers.contract import TrialState
from searchplat.spec.own_loop import study_spec
from searchplat.spec.space import Space

_NO_END = 10**9
"""Trials that the plan may hand out: a study ends when its loop does."""
_SECONDS = "time/train_seconds"

Told = float | Mapping[str, float] | None
"""What a trial came to: the objective, metrics by name, or None if it failed."""


class Study:
    """Suggests configurations, and is told how good they were.

    >>> with Study({"x": {"type": "float", "low": 0.0, "high": 1.0}}, searcher="random", seed=1) as study:
    ...     for _ in range(5):
    ...         trial = study.ask()
    ...         study.tell(trial, -((trial.params["x"] - 0.7) ** 2))
    ...     len(study.trials), study.best.state, study.best.value > -0.1
    (5, 'finished', True)

    Several trials may be asked for before the first is told: searchers take open ones into account. All methods may be
    called from several threads. Equal spaces, searchers and seeds, asked and told in the same order, give equal trials.

    Args:
        space: A space file's path or the name of a shipped one, what such a file says as a dictionary, axes by name, or
            a `searchplat.spec.space.Space`. Without a method of this platform it says `search`, and may say `objective`
            and `fixed`. All axes are searched together, whatever stages there are.
        searcher: `pr`, `random`, `grid`, `tpe`, `gp`, `cmaes` or `nsga2`; or with options, `{"name": "pr", ...}`.
        seed: 0 to 2**32 - 1.
        folder: Where the study is kept, `runs/NAME` say, from where another process takes it up again. By default it
            is gone with this object.
        objective: Names of metrics to `maximize` or `minimize`, such as `{"loss": "minimize"}`; several are searched
            for their Pareto front. By default the space's own, else `value`, of which **more is better**.
        outcomes: Bounds on what is told, such as `["size <= 1e6"]`: trials that keep them come before all others. By
            default the space's own.
        scale: Of a space file with a method; by default its own.
        overrides: Changes to such a file, `{"epochs": 1}`; see `searchplat.search`.

    Raises:
        InputError: If any of it breaks a rule, or the folder holds another study or a search.
        TryAgainError: If another process has the study, or no space is left on a disk.
    """

    def __init__(
        self,
        space: Path | str | Mapping[str, Any] | Space,
        searcher: str | Mapping[str, Any] = "pr",
        seed: int = 0,
        folder: Path | str | None = None,
        *,
        objective: Mapping[str, str] | None = None,
        outcomes: Sequence[str] | None = None,
        scale: str | None = None,
        overrides: Mapping[str, Any] | Sequence[str] = (),
    ) -> None:
        self._lock = threading.RLock()
        texts(scale=scale)
        with ExitStack() as stack:
            path = _path(folder, stack)
            where = SearchFolder(path.parent, path.name)
            self._spec = study_spec(
                space, name=path.name, searcher=searcher, seed=seed, objective=objective, outcomes=outcomes,
                scale=scale, overrides=set_items(overrides),
            )  # fmt: skip
            try:
                stack.enter_context(where.held())
            except TryAgainError as error:
                raise TryAgainError(
                    f"study {where.path} is open, here or in another process; close that one"
                ) from error
            resumed = where.exists()
            if resumed:
                refuse_change(where, self._spec, study=True, otherwise="or choose another folder")
            # A study that is kept looks beside itself; one that is not, where searches are.
            known = {} if resumed else gather(self._spec, path.parent if folder is not None else runs_root())
            self._ledger = stack.enter_context(open_ledger(where, self._spec, partial(_begin, known)))
            self._ledger.note("opened", {"pid": os.getpid(), "resumed": resumed})
            self._plan = Plan(self._spec, self._ledger, _NO_END)
            self._began: dict[int, float] = {}
            self._take_up()
            self.folder = where.path
            # Also at the end of the process, and when nobody has the study any more.
            self._end = weakref.finalize(self, _close, self._ledger, stack.pop_all())

    # ------------------------------------------------------------------ asking and telling

    def ask(self) -> Trial:
        """The next trial to run: its `params` were suggested, its `config` has what is fixed too.

        After an interruption trials that were not told come first, under their old numbers.

        Raises:
            ExhaustedError: If the space has no point left that was not tried, and no trial waits.
            TryAgainError: If no space is left on a disk.
        """
        with self._lock:
            self._check_open()
            record = self._plan.waiting() or self._plan.suggest(self._spec.stages[0])
            if record is None:
                raise ExhaustedError(f"study {self.folder.name!r} has no point left that was not tried")
            self._ledger.start(record.number)
            self._began[record.number] = time.monotonic()
            return self._trial(self._ledger.trial(record.number))

    def tell(self, trial: Trial | int, told: Told, *, seconds: float | None = None, cause: str | None = None) -> None:
        """Say what a trial came to; it ends by that, and nothing is told twice.

        Args:
            trial: The trial, or its number, of this process or one before.
            told: The value of the only objective; or metrics by name, all objectives and bounded metrics among them; or
                None if the trial failed and has none. An objective that is not finite counts as diverged, a bounded
                metric that is NaN as not measured, so that its bound is broken. Anything else that can be a number will
                do, of NumPy or torch say.
            seconds: How long it took, >= 0; by default since this process asked for it.
            cause: Why it failed.

        Raises:
            InputError: If there is no such trial, it has ended, or an objective or a bounded metric is missing or no
                number. The trial is then as it was.
        """
        number = trial.number if isinstance(trial, Trial) else trial
        if isinstance(number, bool) or not isinstance(number, int):
            raise InputError(f"trial: must be a trial or its number, got {trial!r}")
        texts(cause=cause)
        metrics = None if told is None else self._metrics(told)
        with self._lock:
            self._check_open()
            record = self._ledger.trial(number)
            if record.state.final:
                raise InputError(f"trial {number}: has ended already ({record.state}); a trial is told once")
            if seconds is None:
                seconds = time.monotonic() - self._began[number] if number in self._began else 0.0
            took = _number("seconds", seconds)
            if not 0 <= took < math.inf:
                raise InputError(f"seconds: must be 0 or more, got {seconds!r}")
            if metrics is not None:
                self._ledger.report(number, 1, {**metrics, _SECONDS: took})
                self._judge(self._ledger.trial(number))
            else:
                self._ledger.end(number, TrialState.FAILED, cause or "told that it failed")
            self._began.pop(number, None)

    # ------------------------------------------------------------------ what there is

    @property
    def best(self) -> Trial:
        """The best trial so far; of several objectives the first of the front. See `Trial.feasible`.

        Raises:
            SearchFailedError: If none has a value.
        """
        ranked = self._ranking().best(1)
        if not ranked:
            raise SearchFailedError(f"study {self.folder.name!r} has no trial with a value yet")
        return self._trial(ranked[0])

    @property
    def front(self) -> list[Trial]:
        """The trials that no other dominates, for several objectives; for one the best alone. Empty without a value."""
        return [self._trial(record) for record in self._ranking().front()]

    @property
    def trials(self) -> list[Trial]:
        """All trials in the order of their numbers. A table of them is `searchplat.Search`'s."""
        with self._lock:
            self._check_open()
            return [self._trial(record) for record in self._ledger.trials()]

    @property
    def open(self) -> list[Trial]:
        """The trials that were not told yet."""
        with self._lock:
            self._check_open()
            return [self._trial(record) for record in self._ledger.open_trials()]

    # ------------------------------------------------------------------ the end

    def close(self) -> None:
        """Let go of the folder; harmless to repeat. The next study of it hands out again what was not told."""
        with self._lock:
            self._end()

    def __enter__(self) -> Study:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Study({str(self.folder)!r})"

    # ------------------------------------------------------------------ inside

    def _take_up(self) -> None:
        """What another process left open waits again; what it had been told and not ended, ends."""
        for record in self._ledger.open_trials():
            if record.epoch:
                self._judge(record)
            elif record.state is TrialState.RUNNING:
                self._ledger.requeue(record.number)

    def _judge(self, record: TrialRecord) -> None:
        metrics = self._ledger.report_at(record.number, record.epoch).metrics
        bad = [
            f"{o.metric} = {metrics[o.metric]}" for o in self._spec.objectives if not math.isfinite(metrics[o.metric])
        ]
        if bad:
            self._ledger.end(record.number, TrialState.DIVERGED, f"not finite: {', '.join(bad)}")
        else:
            self._ledger.end(record.number, TrialState.FINISHED)

    def _metrics(self, told: float | Mapping[str, float]) -> dict[str, float]:
        names = [one.metric for one in self._spec.objectives]
        bounded = [bound.metric for bound in self._spec.outcomes if bound.metric != _SECONDS]  # which is always known
        needed = list(dict.fromkeys([*names, *bounded]))
        if not isinstance(told, Mapping):
            if len(needed) > 1:
                several = "several objectives" if len(names) > 1 else "bounds on outcomes"
                raise InputError(f"told: there are {several}, so give a value for each: {_example(needed)}")
            return {names[0]: _number(names[0], told)}
        if missing := [name for name in needed if name not in told]:
            what = "objective" if missing[0] in names else "bounded metric"
            raise InputError(f"told: {what} {missing[0]} is missing; got {', '.join(map(str, told)) or 'nothing'}")
        return {str(name): _number(str(name), value) for name, value in told.items()}

    def _ranking(self) -> Ranking:
        with self._lock:
            self._check_open()
            return Ranking.of(self._ledger)

    def _trial(self, record: TrialRecord) -> Trial:
        return trial_of(record, [one.metric for one in self._spec.objectives], dict(record.values))

    def _check_open(self) -> None:
        if not self._end.alive:
            raise InputError(f"study {self.folder.name!r} is closed; make another of the same folder to go on")


def _path(folder: Path | str | None, stack: ExitStack) -> Path:
    if folder is not None:
        return paths.resolve(folder, "folder")
    made = stack.enter_context(tempfile.TemporaryDirectory(prefix="searchplat-", ignore_cleanup_errors=True))
    return Path(made) / "study"


def _begin(known: Past, ledger: Ledger) -> None:
    mark_study(ledger)
    keep(ledger, known)


def _close(ledger: Ledger, stack: ExitStack) -> None:
    try:
        ledger.note("closed", {"state": "done", "message": "closed"})
    finally:
        stack.close()


def _number(name: str, value: Any) -> float:
    if not isinstance(value, (str, bytes, bool)):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise InputError(f"told: {name} must be a number, got {value!r}")


def _example(names: list[str]) -> str:
    return "{" + ", ".join(f"{name!r}: ..." for name in names) + "}"
