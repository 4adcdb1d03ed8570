"""One run of a promotion in a worker's process, from its assignment to its result. Knows nothing of Ray."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from searchplat.contract import ClosingTraining, FinalJob, FinalMethod, FinalTraining, WarmCache
from searchplat.engine.checkpoints.sync import SyncedFolder
from searchplat.engine.promotion_runs.messages import AskDriver, Assignment, Ended, Epoch, Key, MayTest, Measured
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.trial_run import TrialRun, failure
from searchplat.errors import PartnerLostError, out_of_memory
from searchplat.firewall import sealed
from searchplat.methods import is_reference, load_method


def race_run(assignment: Assignment, warm: WarmCache, device: str, ask: AskDriver) -> None:
    """Train as a trial of the search would, on another seed."""
    work = TrialRun(replace(assignment.order, gpu=device != "cpu"), warm)
    try:
        _race(assignment, work, ask)
    finally:
        work.close()


def _race(assignment: Assignment, work: TrialRun, ask: AskDriver) -> None:
    while True:
        said = work.step()
        if said.kind is not Said.REPORT:
            ask(Ended(assignment.key, said.kind, said.cause or "", said.fields))
            return
        if bad := _not_finite(said.metrics):
            ask(Ended(assignment.key, Said.INFEASIBLE, f"diverged in epoch {said.epoch}: {bad}"))
            return
        done = said.epoch >= said.epochs
        ask(Epoch(assignment.key, said.epoch, said.metrics, done))
        if done:
            return


def final_run(
    assignment: Assignment,
    warm: WarmCache,
    device: str,
    rank: int,
    workers: int,
    ask: AskDriver,
    ask_once: AskDriver,
) -> None:
    """Train in full, in step with the other workers, without the test split; then ask for a permit, and test with it.

    Args:
        ask: Sends a message to the driver and returns its answer.
        ask_once: The same from rank 0 alone, with the answer in all workers.
    """
    try:
        with _folder(assignment) as (assigned, synced):
            _train_and_test(assigned, synced, warm, device, rank, workers, ask_once)
    except PartnerLostError:  # no failure of the run's: all begin anew, and the driver counts how often
        raise
    except Exception as error:  # sorted here, so that the worker stays warm
        diverged = isinstance(error, _DivergedError)
        said = Message(Said.INFEASIBLE, cause=str(error)) if diverged else failure(error)
        if out_of_memory(error):
            warm.clear()
        ask(Ended(assignment.key, said.kind, said.cause or "", said.fields))
        # Others that train with this one may be waiting for it in the middle of a step: all begin anew.
        if said.kind is Said.NOT_NOW or (workers > 1 and not diverged):
            raise


class _DivergedError(Exception):
    """A metric is not finite, in all workers alike."""


@contextmanager
def _folder(assignment: Assignment) -> Iterator[tuple[Assignment, SyncedFolder | None]]:
    """Where to train: in the folder of the order, or in one of this machine that is kept in a storage."""
    synced = assignment.order.synced_folder()
    if synced is None:
        yield assignment, None
        return
    try:
        yield replace(assignment, order=replace(assignment.order, folder=str(synced.folder))), synced
    finally:
        synced.close()


def _train_and_test(
    assignment: Assignment,
    synced: SyncedFolder | None,
    warm: WarmCache,
    device: str,
    rank: int,
    workers: int,
    ask_once: AskDriver,
) -> None:
    if synced is not None:
        synced.download()
    with sealed():
        training = _start(assignment, warm, device, rank, workers)
    try:
        _follow(training, assignment, synced, rank, ask_once)
    finally:
        if isinstance(training, ClosingTraining):
            training.close()


def _follow(
    training: FinalTraining, assignment: Assignment, synced: SyncedFolder | None, rank: int, ask_once: AskDriver
) -> None:
    key = assignment.key
    with sealed():
        restored = training.restore()
    if restored:  # saved, perhaps not yet reported
        ask_once(_epoch(key, training, training.metrics))
    while not training.done:
        with sealed():
            metrics = training.run_epoch()
            if bad := _not_finite({name: metrics[name] for name in metrics if name.startswith(("train/", "valid/"))}):
                raise _DivergedError(f"diverged in epoch {training.epoch}: {bad}")
            training.save()
        if synced is not None and rank == 0:
            synced.upload(training.epoch)
        ask_once(_epoch(key, training, metrics))
    permit = ask_once(MayTest(key))
    if synced is not None and rank > 0:
        synced.download()  # what rank 0 wrote on its machine, which is in the storage before it asks
    tested = training.test(permit, assignment.test)
    if synced is not None and rank == 0:
        synced.upload_results()
    ranks = None
    if tested.ranks is not None:
        ranks = str(tested.ranks) if synced is None else tested.ranks.name  # this machine's folder goes away
    ask_once(
        Measured(key, dict(tested.metrics), ranks, tested.num_users, training.num_parameters, training.fingerprint)
    )


def _start(assignment: Assignment, warm: WarmCache, device: str, rank: int, workers: int) -> FinalTraining:
    name = assignment.order.method
    method = load_method(name)
    assert isinstance(method, FinalMethod)  # the driver has seen to it
    return method.start_final(
        FinalJob(
            trial=assignment.order.job(warm, device),
            objective=assignment.objective,
            maximize=assignment.maximize,
            patience=assignment.patience,
            rank=rank,
            workers=workers,
            code=name if is_reference(name) else None,
        )
    )


def _epoch(key: Key, training: FinalTraining, metrics: dict[str, float]) -> Epoch:
    return Epoch(key, training.epoch, metrics, best=training.best_metrics, best_epoch=training.best_epoch)


def _not_finite(metrics: dict[str, float]) -> str:
    return ", ".join(name for name, value in metrics.items() if not math.isfinite(value))
