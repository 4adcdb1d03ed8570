"""One run of a promotion in a worker's process, from its order to its result. Knows nothing of Ray.

Messages to the driver are dicts with `kind` and `key`: `epoch`, `test` (answered with a permit), `tested`, `failed`,
`later` (it cannot go on now, and has not failed), `input` (what it was given is wrong).
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from searchplat.contract import ClosingTraining, FinalJob, FinalMethod, FinalTraining, WarmCache
from searchplat.engine.checkpoints.sync import SyncedFolder
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.errors import InputError, PartnerLostError, TryAgainError, out_of_memory
from searchplat.firewall import sealed
from searchplat.methods import load_method
from searchplat.redaction import redact

Key = tuple[str, str, int]
"""Phase, candidate, seed."""

Answer = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True)
class Assignment:
    """What a worker is to do.

    Args:
        order: As for a trial.
        final: Whether to train in full and test, or only as a trial would.
        objective, maximize, patience: What early stopping goes by.
        test: Metrics to measure on the test split.
    """

    key: Key
    order: Order
    final: bool
    objective: str
    maximize: bool
    patience: int
    test: tuple[str, ...]


def race_run(assignment: Assignment, warm: WarmCache, device: str, ask: Answer) -> None:
    """Train as a trial of the search would, on another seed."""
    work = TrialRun(replace(assignment.order, gpu=device != "cpu"), warm)
    try:
        _race(assignment, work, ask)
    finally:
        work.close()


def _race(assignment: Assignment, work: TrialRun, ask: Answer) -> None:
    while True:
        message = work.step()
        if message.kind == "later":
            ask({"kind": "later", "key": assignment.key, "cause": message.cause})
            return
        if message.kind == "input":
            ask(_input(assignment, message.cause or "", message.fields))
            return
        if message.kind != "report":
            ask({"kind": "failed", "key": assignment.key, "cause": f"{message.kind}: {message.cause}"})
            return
        if bad := _not_finite(message.metrics):
            ask({"kind": "failed", "key": assignment.key, "cause": f"diverged in epoch {message.epoch}: {bad}"})
            return
        ask(
            {
                "kind": "epoch", "key": assignment.key, "epoch": message.epoch, "metrics": message.metrics,
                "done": message.epoch >= message.epochs,
            }
        )  # fmt: skip
        if message.epoch >= message.epochs:
            return


def final_run(
    assignment: Assignment,
    warm: WarmCache,
    device: str,
    rank: int,
    workers: int,
    ask: Answer,
    ask_once: Answer,
) -> None:
    """Train in full, in step with the other workers, then test.

    Args:
        ask: Sends a message to the driver and returns its answer.
        ask_once: The same from rank 0 alone, with the answer in all workers.
    """
    try:
        with _folder(assignment) as (assigned, synced):
            _train_and_test(assigned, synced, warm, device, rank, workers, ask_once)
    except TryAgainError as error:
        ask({"kind": "later", "key": assignment.key, "cause": str(error)})
        raise
    except PartnerLostError:  # no failure of the run's: all begin anew, and the driver counts how often
        raise
    except InputError as error:
        ask(_input(assignment, redact(str(error)), error.fields))
        if workers > 1:  # the others may be waiting for this one
            raise
    except Exception as error:  # sorted here, so that the worker stays warm
        if out_of_memory(error):
            warm.clear()
            cause = f"out of memory: {error}"
        elif isinstance(error, _DivergedError):
            cause = str(error)
        else:
            cause = traceback.format_exc()
        ask({"kind": "failed", "key": assignment.key, "cause": cause})
        if workers > 1 and not isinstance(error, _DivergedError):
            # The others may be waiting for this one in the middle of a step: all begin anew.
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
    ask_once: Answer,
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
    training: FinalTraining, assignment: Assignment, synced: SyncedFolder | None, rank: int, ask_once: Answer
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
    permit = ask_once({"kind": "test", "key": key})
    if synced is not None and rank > 0:
        synced.download()  # what rank 0 wrote on its machine, which is in the storage before it asks
    tested = training.test(permit, assignment.test)
    if synced is not None and rank == 0:
        synced.upload_results()
    ranks = None
    if tested.ranks is not None:
        ranks = str(tested.ranks) if synced is None else tested.ranks.name  # this machine's folder goes away
    ask_once(
        {
            "kind": "tested", "key": key, "metrics": dict(tested.metrics), "ranks": ranks,
            "num_users": tested.num_users, "parameters": training.num_parameters,
            "fingerprint": training.fingerprint,
        }
    )  # fmt: skip


def _start(assignment: Assignment, warm: WarmCache, device: str, rank: int, workers: int) -> FinalTraining:
    method = load_method(assignment.order.method)
    assert isinstance(method, FinalMethod)  # the driver has seen to it
    return method.start_final(
        FinalJob(
            trial=assignment.order.job(warm, device),
            objective=assignment.objective,
            maximize=assignment.maximize,
            patience=assignment.patience,
            rank=rank,
            workers=workers,
        )
    )


def _epoch(key: Key, training: FinalTraining, metrics: dict[str, float]) -> dict[str, Any]:
    return {
        "kind": "epoch", "key": key, "epoch": training.epoch, "metrics": metrics, "done": False,
        "best_epoch": training.best_epoch, "best": training.best_metrics,
    }  # fmt: skip


def _input(assignment: Assignment, cause: str, fields: Sequence[str]) -> dict[str, Any]:
    return {"kind": "input", "key": assignment.key, "cause": cause, "fields": tuple(fields)}


def _not_finite(metrics: dict[str, float]) -> str:
    return ", ".join(name for name, value in metrics.items() if not math.isfinite(value))
