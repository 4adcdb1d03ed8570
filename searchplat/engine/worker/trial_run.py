"""One trial's work in one process: from the driver's order to reports. Knows nothing of Ray.

`cluster.trial_process`, a promotion's race and measured shares run it in Ray workers, `run_one` in this process: all
give the same metrics.
"""

from __future__ import annotations

import math
import time
import traceback
from dataclasses import replace
from pathlib import Path

from searchplat.contract import ClosingTraining, Training, WarmCache
from searchplat.engine.worker.memory import hold_to
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.watchdog import Watchdog, trace_of
from searchplat.errors import InputError, PartnerLostError, TrialFailedError, TryAgainError, disk_full, out_of_memory
from searchplat.firewall import sealed
from searchplat.methods import load_method
from searchplat.redaction import redact


class TrialRun:
    """Drives one trial's `Training` step by step and sorts what goes wrong.

    Args:
        order: What to do.
        warm: What this process keeps between trials.
        rank: Of this process among those that train the trial together, from 0; they are driven in step.
    """

    def __init__(self, order: Order, warm: WarmCache, rank: int = 0) -> None:
        self._synced = order.synced_folder()
        self._order = order if self._synced is None else replace(order, folder=str(self._synced.folder))
        self._warm, self._rank = warm, rank
        self._training: Training | None = None

    def step(self) -> Message:
        """Train one epoch and save a checkpoint; the first step builds the model or takes up a checkpoint.

        A checkpoint is saved before its epoch is reported, and holds the epoch's metrics: whoever takes the
        trial up after a crash reports them again, and the ledger knows whether it had them.
        """
        traces = [Path(self._order.folder) / trace_of(rank) for rank in range(self._order.workers)]
        trace, synced = traces[self._rank], self._synced
        try:
            if self._training is None:
                if synced is not None:
                    synced.download()
                    for one in traces:
                        synced.timeout(one)
                for one in traces:
                    if one.exists() and one.stat().st_size:
                        stacks = one.read_text(errors="replace")[-4000:]
                        return Message(Said.TIMEOUT, cause=f"silent for {self._order.timeout_s} s, at:\n{stacks}")
            tell = None if synced is None else synced.tell_timeout
            with sealed(), Watchdog(trace, self._order.timeout_s, tell):
                message = self._step()
            # Not by the watchdog's clock: a slow network is no hanging trial.
            if synced is not None and self._rank == 0:
                synced.upload(message.epoch)
            return message
        except Exception as error:  # every failure is sorted here, so that the worker stays warm
            self._end()
            if out_of_memory(error):
                self._warm.clear()
            return failure(error)

    def close(self) -> None:
        """End what the trial started; remove what this machine has of it if its checkpoints are kept in a storage."""
        self._end()
        if self._synced is not None:
            self._synced.close()

    def _end(self) -> None:
        if isinstance(self._training, ClosingTraining):
            self._training.close()
        self._training = None

    def _step(self) -> Message:
        if self._training is None:
            began = time.perf_counter()
            self._training = self._start()
            setup_seconds = time.perf_counter() - began
            if self._training.restore() > 0:
                # Saved, perhaps not yet reported.
                return self._message(self._training, self._training.metrics)
            return self._epoch(self._training, {"time/setup_seconds": setup_seconds})
        return self._epoch(self._training, {})

    def _start(self) -> Training:
        if self._order.gpu_fraction is not None:
            hold_to(self._order.gpu_fraction)
        return load_method(self._order.method).start(self._order.job(self._warm, rank=self._rank))

    def _epoch(self, training: Training, more: dict[str, float]) -> Message:
        metrics = {**training.run_epoch(), **more}
        if all(math.isfinite(value) for value in metrics.values()):
            training.save()
        return self._message(training, metrics)

    def _message(self, training: Training, metrics: dict[str, float]) -> Message:
        return Message(Said.REPORT, training.epoch, training.epochs, metrics)


def failure(error: Exception) -> Message:
    """What a trial's process says of an error; secrets are cut out of it here, before anything leaves the process."""
    if out_of_memory(error):
        return Message(Said.INFEASIBLE, cause=redact(f"out of memory: {error}"))
    if isinstance(error, PartnerLostError):
        return Message(Said.PARTNER_LOST, cause=redact(str(error)))
    if isinstance(error, TryAgainError):
        return Message(Said.NOT_NOW, cause=str(error))
    if isinstance(error, InputError):
        return Message(Said.WRONG_INPUT, cause=redact(str(error)), fields=error.fields)
    if isinstance(error, TrialFailedError):
        return Message(Said.PROGRAM_FAILED, cause=redact(str(error)))
    if disk_full(error):
        return Message(Said.NOT_NOW, cause=f"{error}; free some space and run the same command again")
    return Message(Said.BUG, cause=redact("".join(traceback.format_exception(error))))
