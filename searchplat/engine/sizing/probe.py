"""Measures what trials need and how many an hour end with so many at once: short real trainings in Ray actors.

Each is one epoch of the method on its data through `TrialRun`, as a trial's first. None of them is a trial: nothing
of it is seen by searchers, and its folder is thrown away. What the figures lead to is `arithmetic`'s to say.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchplat.contract import WarmCache
from searchplat.engine.sizing.arithmetic import (
    PROBING_SHARE,
    Allocation,
    Machine,
    Peak,
    Rate,
    best,
    probing_epochs,
    sized,
    trials_per_hour,
)
from searchplat.engine.worker import memory
from searchplat.engine.worker.environment import enter_host
from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.firewall import seal
from searchplat.methods import allow_imports

_LOOK_S = 0.5
"""Seconds between two looks whether to stop."""


@dataclass(frozen=True)
class ProbeResult:
    """What one probe training came to.

    Args:
        kind: What the training said last.
        peak: What it needed; figures of one that did not report mean nothing.
        divided: Whether batches had to be taken in parts to fit into memory.
    """

    kind: Said
    cause: str | None
    peak: Peak
    divided: bool


class Prober:
    """A process that trains one epoch of one configuration after another and keeps what is warm, as a trial's does."""

    def __init__(self) -> None:
        enter_host()
        # What a trial's process has loaded is a part of what it takes of memory.
        from searchplat.engine.cluster import trial_process as trial_process

        seal()
        self._warm = WarmCache()

    def train(self, name: str, order_json: str, fresh: bool) -> ProbeResult:
        """Train one epoch.

        Args:
            fresh: Whether memory that is not needed any more is given back first, so that peaks are this training's
                own; it costs time.
        """
        order = Order.from_json(order_json)
        if order.allow_import:
            allow_imports()
        if fresh:
            memory.forget_peaks(order.gpu)
        began = time.perf_counter()
        message = TrialRun(order, self._warm).step()
        taken = time.perf_counter() - began
        setup = message.metrics.get("time/setup_seconds", 0.0)
        gpu = memory.gpu_memory() if order.gpu else None
        peak = Peak(name, taken - setup, setup, memory.host_peak())
        if gpu is not None:
            peak = replace(
                peak, gpu_bytes=gpu.held, gpu_allocated_bytes=gpu.allocated, gpu_overhead_bytes=gpu.overhead,
                gpu_total_bytes=gpu.total,
            )  # fmt: skip
        return ProbeResult(message.kind, message.cause, peak, message.metrics.get("memory/parts", 1.0) > 1)


@dataclass(frozen=True)
class Measured:
    """What was measured.

    Args:
        peaks: Of each configuration alone on a whole unit.
        rates: Of each number at once that was tried, the smallest first; empty if nothing can be said.
        refused: Numbers at once that do not fit into memory, by prediction or in fact.
        shares: The shares of `rates`, with the memory that each is held to.
        seconds: That it took.
        cause: Why there is no more, None if there is nothing more to measure.
    """

    peaks: list[Peak] = field(default_factory=list)
    rates: list[Rate] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    shares: list[Allocation] = field(default_factory=list)
    seconds: float = 0.0
    cause: str | None = None


class _StoppedError(Exception):
    """There is nothing more to be measured; the text says why."""


def machine(on_gpu: bool) -> tuple[Machine, str] | None:
    """The smallest node that is there and can run trials, and its identifier; None if there is none yet.

    Args:
        on_gpu: Whether only nodes with a GPU count, if there are any.
    """
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
    with_gpu = [node for node in nodes if node["Resources"].get("GPU", 0) >= 1]
    chosen = with_gpu if on_gpu and with_gpu else nodes
    if not chosen:
        return None

    def size(node: Any) -> tuple[float, float]:
        has = node["Resources"]
        return has.get("CPU", 0) / max(1, has.get("GPU", 0)), has.get("memory", 0)

    node = min(chosen, key=size)
    has = node["Resources"]
    gpus = int(has.get("GPU", 0)) if on_gpu else 0
    kinds = sorted(name.partition(":")[2] for name in has if name.startswith("accelerator_type:")) if gpus else []
    units = sum(int(one["Resources"]["GPU"]) for one in with_gpu) if gpus else len(nodes)
    made = Machine(int(has.get("CPU", 1)), has.get("memory", 0.0), gpus, max(1, units), ", ".join(kinds))
    return made, node["NodeID"]


def measure(
    probes: Sequence[tuple[str, Order]],
    shares: Sequence[Allocation],
    where: tuple[Machine, str],
    *,
    epochs: int,
    epochs_left: int,
    budget_s: float | None,
    folder: Path,
    stopping: Callable[[], bool],
) -> Measured:
    """Train probes on one node, first each alone, then the slowest of them so many at once.

    Numbers at once are tried from one upwards, until one does not fit or is no better than fewer.

    Args:
        probes: Names and orders of the configurations, at least one.
        shares: From `arithmetic.candidates`, the whole unit first.
        where: From `machine`.
        epochs: Of a trial.
        epochs_left: Of all trials that the share is for: what measuring is weighed against.
        budget_s: Seconds that it may take; None for a twentieth of what `epochs_left` take.
        folder: For checkpoints; emptied by whoever calls.
        stopping: Whether to leave.
    """
    began = time.monotonic()
    found = Measured()
    numbers = itertools.count()
    deadline = None if budget_s is None else began + budget_s

    def train(team: list[Any], name: str, order: Order, share: Allocation, fresh: bool) -> list[ProbeResult]:
        waiting = []
        for actor in team:
            mine = replace(
                order, folder=str(folder / str(next(numbers))), threads=share.threads, gpu=share.gpu > 0,
                gpu_fraction=share.gpu_fraction,
            )  # fmt: skip
            waiting.append(actor.train.remote(name, mine.to_json(), fresh))
        return _answers(waiting, deadline, stopping)

    try:
        with _team(shares[0], where[1], 1) as team:
            for name, order in probes:
                found.peaks.append(_reported(train(team, name, order, shares[0], True))[0].peak)
                if len(found.peaks) == 1:
                    cold = time.monotonic() - began
                    deadline = _deadline(deadline, probes, shares, found.peaks[0], cold, epochs_left)
            slowest = max(range(len(probes)), key=lambda index: found.peaks[index].seconds)
            name, order = probes[slowest]
            alone = _reported(train(team, name, order, shares[0], False))
            found.rates.append(_rate(shares[0], epochs, alone))
            found.shares.append(shares[0])
        for share in shares[1:]:
            fitting = sized(share, found.peaks, where[0])
            if fitting is None:
                found.refused.append(share.parts)
                break  # so does every smaller one
            with _team(fitting, where[1], share.parts) as team:
                rounds = [train(team, name, order, fitting, fresh) for fresh in (True, False)]
            answers = [answer for answers in rounds for answer in answers]
            if any(answer.kind is Said.INFEASIBLE or answer.divided for answer in answers):
                found.refused.append(share.parts)
                break
            _reported(answers)
            found.rates.append(_rate(fitting, epochs, rounds[-1]))
            found.shares.append(fitting)
            if best(found.rates) is not found.rates[-1]:
                break
    except _StoppedError as error:
        return replace(found, seconds=time.monotonic() - began, cause=str(error))
    return replace(found, seconds=time.monotonic() - began)


@contextmanager
def _team(share: Allocation, node: str, size: int) -> Iterator[list[Any]]:
    """So many processes on one node, each with its share; ended with the block."""
    actor = ray.remote(Prober).options(
        num_cpus=share.cpu,
        num_gpus=share.gpu,
        memory=share.memory_bytes,
        max_restarts=0,
        scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
    )
    team = [actor.remote() for _ in range(size)]
    try:
        yield team
    finally:
        for one in team:
            ray.kill(one)


def _answers(waiting: list[Any], deadline: float | None, stopping: Callable[[], bool]) -> list[ProbeResult]:
    while True:
        _, open_ = ray.wait(waiting, num_returns=len(waiting), timeout=_LOOK_S)
        if not open_:
            break
        if stopping():
            raise _StoppedError("interrupted")
        if deadline is not None and time.monotonic() > deadline:
            raise _StoppedError("the time for measuring is up")
    try:
        answers: list[ProbeResult] = ray.get(waiting)
    except ray.exceptions.RayError as error:
        raise _StoppedError(f"a process died while it was measured ({type(error).__name__})") from error
    return answers


def _reported(answers: list[ProbeResult]) -> list[ProbeResult]:
    """The answers, if all are reports."""
    for answer in answers:
        if answer.kind is not Said.REPORT:
            # A bug will be met by the trials, and shown in full there.
            last = (answer.cause or "").strip().splitlines()[-1:] or ["no cause"]
            raise _StoppedError(f"{answer.peak.name} ended as {answer.kind}: {last[0]}")
    return answers


def _rate(share: Allocation, epochs: int, answers: list[ProbeResult]) -> Rate:
    peaks = [answer.peak for answer in answers]
    gpu = [peak.gpu_bytes for peak in peaks if peak.gpu_bytes is not None]
    per_hour = trials_per_hour(epochs, [(peak.setup_seconds, peak.seconds) for peak in peaks])
    return Rate(share.parts, per_hour, max(peak.host_bytes for peak in peaks), max(gpu) if gpu else None)


def _deadline(
    given: float | None,
    probes: Sequence[tuple[str, Order]],
    shares: Sequence[Allocation],
    first: Peak,
    cold_s: float,
    epochs_left: int,
) -> float:
    """Until when to measure, once the first epoch has shown how long one takes.

    Raises:
        _StoppedError: If it is known now that the rest will not be done by then.
    """
    allowed = PROBING_SHARE * epochs_left * first.seconds
    now = time.monotonic()
    if given is not None:
        return given
    expected = probing_epochs(len(probes), shares) * first.seconds + (len(shares) - 1) * cold_s
    if expected > allowed:
        raise _StoppedError(f"measuring would take about {expected:.0f} s, more than the {allowed:.0f} s it may")
    return now + allowed
