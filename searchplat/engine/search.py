"""Starts or resumes a search and runs it to its end.

    space -> folder (lock, ledger) -> prepare data and weights -> Ray -> loop -> outcome

The ledger is the only state: whatever this process was doing when it was killed, the same command goes on.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from searchplat import paths
from searchplat.assets import AssetStore
from searchplat.engine.checkpoints.retention import SEARCH, Remover, note, of_search
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.cluster.auth import load_ray
from searchplat.engine.cluster.room import check_room
from searchplat.engine.full_disk import full_disk_is_for_later
from searchplat.engine.judging.judge import Judge
from searchplat.engine.monitor import Monitor, RunInfo, SearchOutcome, Silent
from searchplat.engine.places import HERE, Places
from searchplat.engine.planning.closing import extend
from searchplat.engine.planning.epochs import epochs_of, most_epochs
from searchplat.engine.planning.nothing_scored import nothing_scored
from searchplat.engine.planning.past import at_start
from searchplat.engine.planning.plan import Plan
from searchplat.engine.prepare import needs_of, prepare
from searchplat.engine.resuming.fork import begin, check_fork
from searchplat.engine.resuming.opening import open_ledger, refuse_change
from searchplat.engine.resuming.widening import widen, widening
from searchplat.engine.shutdown.shutdown import LEAVE_S, Shutdown
from searchplat.engine.shutdown.supervisor import Supervisor
from searchplat.engine.sizing.arithmetic import Allocation
from searchplat.engine.sizing.choose import Allocations
from searchplat.engine.steering.post import Post
from searchplat.engine.steering.requests import RequestFolder
from searchplat.engine.steering.steering import Steering
from searchplat.engine.worker import MAX_DEATHS
from searchplat.engine.worker.order import Order
from searchplat.errors import InputError, SearchFailedError, TryAgainError
from searchplat.ledger import Ledger, TrialRecord, lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.ranking import Ranking
from searchplat.methods import imports_allowed
from searchplat.searchers.contract import TrialState
from searchplat.signals import Interrupted, exit_code
from searchplat.spec.model import Resources, SearchSpec
from searchplat.tracking import MlflowSink
from searchplat.tracking.sending.apart import SearchSink

if TYPE_CHECKING:
    from searchplat.engine.cluster.hosts import OwnRay

_MANY_AT_ONCE = 16
"""Trials at once from which on MLflow's rows are sent by a process of their own."""
_LAST_ROWS_S = 30.0
"""Seconds that a search waits in the end for MLflow to get what it lacks, at least."""
_ROWS_A_SECOND = 20
"""Rows that MLflow takes a second, by which it waits longer if it lacks many."""


def run_search(
    spec: SearchSpec,
    *,
    name: str | None = None,
    trials: int | None = None,
    fork: str | None = None,
    widen_it: bool = False,
    places: Places = HERE,
    monitor: Monitor | None = None,
) -> SearchOutcome:
    """Start a search, or take it up where it was.

    Args:
        name: The search's name; by default the space's name and scale, e.g. `darec-quick`.
        trials: Trials of all stages together, instead of the file's; more than before extends a finished search.
        fork: Start a new search of this name from the trials of search `name`, under a changed space.
        widen_it: Go on in this space, of which each old trial is a point, see `engine.resuming.widening`.
        places: Where it runs and what it writes to.
        monitor: Who watches.

    Raises:
        InputError: If the search exists with another space (the text shows the difference), or a trial needs what
            cannot be had, or more than this machine has: nothing was started. Or if trials find that what they were
            given is wrong whatever their values, or that none of these fits: what has ended is kept.
        TryAgainError: If another process runs the same search, or no space is left on a disk.
    """
    monitor = monitor or Silent()
    root = places.root
    name = search_name(spec, name)
    folder = SearchFolder(root, name if fork is None else fork)
    if fork is not None and widen_it:
        raise InputError("--widen: goes on with a search, and --fork starts another; leave one out")
    if trials is not None and trials < len(spec.stages):
        raise InputError(f"--trials: at least one for each of the {len(spec.stages)} stages, got {trials}")
    if widen_it:
        folder.check_exists()
    if fork is not None:
        check_fork(SearchFolder(root, name), folder)
    address, uri = places.cluster(), places.mlflow
    with full_disk_is_for_later(), folder.held(), ExitStack() as stack:
        if folder.exists():
            refuse_change(folder, spec, wider=widen_it)
        if not widen_it and not _done(folder, spec):  # said before anything is prepared
            check_room(spec.resources, address)
        change = widening(folder, spec) if widen_it else None
        if folder.checkpoints.exists():
            paths.writable_folder(folder.checkpoints, f"search {folder.name!r}")
        kept = of_search(folder, places.storage)
        known = {} if folder.exists() and change is None else at_start(spec, SearchFolder(root, name), monitor.event)
        prepare(spec, monitor)
        if change is not None:
            widen(folder, spec, change, known)
            monitor.event("; ".join(("the search goes on in a wider space", *change.shown)))
        resumed = folder.exists()
        first = partial(begin, spec, known, None if fork is None else SearchFolder(root, name))
        ledger = stack.enter_context(open_ledger(folder, spec, first))
        if trials is not None:
            extend(spec, ledger, trials)
        plan = Plan.of(spec, ledger)
        if not plan.done:  # a search that is only looked at again needs no room, and gets no figures from this code
            check_room(spec.resources, address)
            lineage.record(ledger, lineage.now(spec, AssetStore()))
        places.record(ledger)
        run = _Run(spec, folder, ledger, plan, monitor, kept)
        return run.to_its_end(address, uri, resumed)


def search_name(spec: SearchSpec, name: str | None = None) -> str:
    """A search's name: the one that was given, else the space's and its scale, e.g. `darec-quick`."""
    return name if name is not None else f"{spec.name}-{spec.scale}" if spec.scale else spec.name


def _done(folder: SearchFolder, spec: SearchSpec) -> bool:
    if not folder.exists():
        return False
    with folder.read() as ledger:
        return Plan.of(spec, ledger).done


class _Run:
    """One driver's run of a search, from an open ledger to its outcome."""

    def __init__(
        self,
        spec: SearchSpec,
        folder: SearchFolder,
        ledger: Ledger,
        plan: Plan,
        monitor: Monitor,
        storage: Storage | None,
    ) -> None:
        self._spec, self._folder, self._ledger, self._plan, self._monitor = spec, folder, ledger, plan, monitor
        self._storage, self._remover = storage, Remover()
        self._bug: TrialRecord | None = None
        self._shutdown = Shutdown()
        self._supervisor = Supervisor(self._shutdown, self._say_stopping)
        self._post = Post(RequestFolder(folder.requests), ledger, "search", self._shutdown, monitor.event)
        self._steering = Steering(plan, self._post)
        self._slots = 1
        self._sending = False

    def to_its_end(self, address: str | None, uri: str, resumed: bool) -> SearchOutcome:
        """Run whatever the plan still holds."""
        sink = SearchSink(
            self._ledger, partial(MlflowSink.of, spec=self._spec, search=self._folder.name, tracking_uri=uri)
        )
        with self._supervisor.hearing():
            self._ledger.note("opened", {"pid": os.getpid(), "resumed": resumed, "allow_import": imports_allowed()})
            with self._post:
                return self._supervised(partial(self._search, address, uri, resumed, sink), sink)

    def _supervised(self, search: Callable[[], None], sink: SearchSink) -> SearchOutcome:
        outcome = None
        try:
            self._supervisor.run(search)
            outcome = self._outcome()
        except Interrupted as left:
            outcome = self._interrupted(left.exit_code, self._goes_on())
        except TryAgainError as error:
            outcome = self._interrupted(error.exit_code, str(error))
            raise
        except InputError as error:
            outcome = self._failed(str(error), error.exit_code)
            raise
        except Exception as error:
            outcome = self._failed(str(error))
            raise
        finally:
            if outcome is None:
                outcome = self._interrupted(exit_code(signal.SIGINT), "interrupted at once")
            with suppress(TryAgainError):  # what cannot be written now, the next run takes for granted
                self._requeue_running()
                self._ledger.note("closed", {"state": outcome.state, "message": outcome.message})
            outcome = self._flushed(outcome, sink)
            self._monitor.stop(outcome)
        return outcome

    def _flushed(self, outcome: SearchOutcome, sink: SearchSink) -> SearchOutcome:
        """Send MLflow what it has not got, unless somebody wants this to end."""
        self._shutdown.no_more()
        # The environment may still lack what it logs in with.
        if self._shutdown.signal is not None and not self._sending:
            return replace(outcome, unsent_rows=sink.backlog())
        # A good MLflow that is only behind gets the time that it needs.
        patience_s = _LAST_ROWS_S + sink.backlog() / _ROWS_A_SECOND
        if self._shutdown.asked:
            patience_s = LEAVE_S if self._shutdown.signal is not None else _LAST_ROWS_S
        try:
            return replace(outcome, unsent_rows=self._supervisor.run(partial(sink.stop, patience_s), ray=False))
        except Interrupted as left:
            if outcome.exit_code == 0:
                outcome = self._interrupted(left.exit_code, self._goes_on())
            return replace(outcome, unsent_rows=sink.backlog())

    def _search(self, address: str | None, tracking_uri: str, resumed: bool, sink: SearchSink) -> None:
        # Ray loads here, after everything that can be wrong with the input was found.
        load_ray(address)
        from searchplat.engine.cluster.connect import at_once, check_counted, connected
        from searchplat.engine.cluster.growth import Wish
        from searchplat.engine.cluster.hosts import hosts_of

        self._requeue_running()
        shared = self._folder if self._storage is None else None
        hosts, resources = hosts_of(address, self._spec, shared, needs_of(self._spec)), self._spec.resources
        # How many at once is for the steering to say, which may be told otherwise.
        takes = replace(resources, concurrent=None)
        wish = Wish(takes, self._steering.ready, lambda: self._shutdown.asked)
        self._monitor.prepare("starting Ray" if address is None else f"connecting to Ray at {address}")
        with (
            hosts.code() as code,
            connected(address, hosts.environment, code, self._shutdown) as dashboard,
            hosts.watched(takes, self._monitor.prepare, self._monitor.event, self._steering.ready, wish),
        ):
            # Not before: while Ray starts, the environment lacks what MLflow logs in with.
            sink.start(apart=at_once(resources) >= _MANY_AT_ONCE)
            self._sending = True
            self._ledger.set_meta("dashboard", dashboard or "")
            if self._shutdown.asked:
                return
            if not self._plan.done:
                check_counted(resources, address)
            self._clean_storage()
            allocations = Allocations(
                self._spec, self._ledger, self._plan, self._folder.scratch, self._shutdown, self._monitor.prepare,
                self._monitor.event,
            )  # fmt: skip
            allocations.measure()

            def now() -> Resources:
                return self._steering.resources(allocations.resources())

            def slots() -> int:
                self._slots = hosts.slots(now())
                return self._slots

            slots()
            hosts.grow_for(now)
            self._plan.gpu_shares = allocations.gpus
            for stage in self._spec.stages:
                if stage.gpu_hours is not None and not allocations.gpus[stage.name]:
                    self._monitor.event(f"stage {stage.name}: gpu_hours bounds nothing, as its trials take no GPU")
            info = RunInfo(
                self._folder.name, self._folder.path, self._ledger, self._spec, dashboard, tracking_uri,
                lambda: self._slots,  # who watches may ask when Ray has gone
                self._plan.planned_trials, resumed,
            )  # fmt: skip
            self._run_trials(hosts, allocations, sink, info, slots)

    def _run_trials(
        self, hosts: OwnRay, allocations: Allocations, sink: SearchSink, info: RunInfo, slots: Callable[[], int]
    ) -> None:
        """Run whatever the plan still holds, once Ray is there and the trials' allocations are known."""
        from searchplat.engine.cluster.pool import Pool
        from searchplat.engine.loop import Loop
        from searchplat.engine.planning.suggestions import turns
        from searchplat.engine.telemetry import Telemetry, readings

        epochs = {stage.name: most_epochs(self._spec, stage) for stage in self._spec.stages}
        judge = Judge(self._spec, self._ledger, epochs, self._remove_checkpoints, self._stop_for_bug, self._shutdown)
        judge.replay(lambda trial: epochs_of(trial.config))
        self._monitor.start(info)
        shutil.rmtree(self._folder.scratch, ignore_errors=True)
        figures = Telemetry(
            lambda: readings(
                self._ledger,
                self._folder.name,
                planned=self._plan.planned_trials,
                slots=slots(),
                gpus=allocations.gpus,
                backlog=sink.backlog(),
            )
        )
        loop = Loop(
            self._plan,
            judge,
            Pool(hosts.requirements),
            order_of=lambda trial: self._order(trial, allocations.hand_out(trial)),
            slots=slots,
            remove_checkpoints=self._remove_checkpoints,
            steering=self._steering,
            on_round=hosts.tell_news,
            shutdown=self._shutdown,
            max_deaths=MAX_DEATHS,
        )
        self._shutdown.under_way = True
        try:
            with figures, turns(), full_disk_is_for_later():
                loop.run()
        finally:
            self._shutdown.no_more()
            if figures.error is not None:
                self._monitor.event(f"Prometheus had no figures of this search: {figures.error}")
            if left := self._remover.finish():
                self._monitor.event(left)
        if self._shutdown.error is not None:
            raise self._shutdown.error

    def _clean_storage(self) -> None:
        """See that workers can write where checkpoints go, and that only those of open trials are there."""
        if self._storage is None:
            return
        from searchplat.engine.checkpoints.storage_check import check_from_worker

        check_from_worker(self._storage)
        note(self._ledger, SEARCH, self._storage)
        open_ = [_folder_of(trial) for trial in self._ledger.trials() if not trial.state.final]
        self._remover.remove_others(self._storage.child("trials"), open_)

    def _requeue_running(self) -> None:
        for trial in self._ledger.trials():
            if trial.state is TrialState.RUNNING:
                self._ledger.requeue(trial.number)

    def _order(self, trial: TrialRecord, share: Allocation) -> Order:
        return Order(
            number=trial.number,
            method=trial.method,
            config=trial.config,
            data=self._spec.data.name,
            data_options=dict(self._spec.data.options),
            data_fraction=trial.data_fraction,
            data_seed=self._spec.seed,
            seed=trial.seed,
            folder=str(self._folder.checkpoints / _folder_of(trial)),
            threads=share.threads,
            gpu=share.gpu > 0,
            timeout_s=self._spec.resources.timeout_s,
            gpu_fraction=share.gpu_fraction,
            request=share.request,
            storage=None if self._storage is None else self._storage.child("trials", _folder_of(trial)).uri,
            workers=self._spec.resources.workers,
        )

    def _remove_checkpoints(self, trial: TrialRecord) -> None:
        # Only the newest checkpoints of open trials are of use; winners are retrained by promotion.
        shutil.rmtree(self._folder.checkpoints / _folder_of(trial), ignore_errors=True)
        if self._storage is not None:
            self._remover.remove(self._storage.child("trials", _folder_of(trial)))

    def _stop_for_bug(self, trial: TrialRecord) -> None:
        self._bug = trial
        self._shutdown.at_once()

    def _say_stopping(self) -> None:
        when = " once the epochs under way have ended" if self._shutdown.under_way else ""
        self._monitor.event(f"stopping{when}; the same command goes on from here")

    def _outcome(self) -> SearchOutcome:
        path = self._ledger.path
        if self._bug is not None:
            return self._failed(f"trial {self._bug.number} raised, which is a bug:\n{self._bug.cause}")
        if self._shutdown.signal is not None:
            return self._interrupted(exit_code(self._shutdown.signal), self._goes_on())
        if not Ranking.of(self._ledger).ranked:
            error = nothing_scored(self._ledger.trials(), "no trial ended with a value")
            return self._failed(str(error), error.exit_code)
        return SearchOutcome(self._folder.name, "done", 0, path, "done")

    def _goes_on(self) -> str:
        how = "interrupted" if self._shutdown.by is None else f"stopped by {self._shutdown.by}"
        return f"{how}; the same command goes on from here"

    def _interrupted(self, exit_code: int, message: str) -> SearchOutcome:
        return SearchOutcome(self._folder.name, "interrupted", exit_code, self._ledger.path, message)

    def _failed(self, message: str, exit_code: int = SearchFailedError.exit_code) -> SearchOutcome:
        return SearchOutcome(self._folder.name, "failed", exit_code, self._ledger.path, message)


def _folder_of(trial: TrialRecord) -> str:
    """What the folder of its checkpoints is called."""
    return f"{trial.number:05d}"
