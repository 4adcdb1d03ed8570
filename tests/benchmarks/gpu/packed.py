"""Trials an hour with one, two and four at once on the GPU, and peak memory as probes predict it and trials take it.

What the platform does through Ray, with its own arithmetic and in plain processes, so that Ray need not be there: the
stage's cost classes train one epoch each, alone; their peaks say how many fit at once; then so many processes train a
trial each, of a random layout, and all that they take counts from the moment they are warm. A process on the GPU is
held to its share of memory as a trial is.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from settings import PACKED_USERS, Rows, Settings

EPOCHS = 3
"""Of a trial."""

_warm: Any = None


@dataclass(frozen=True)
class Taken:
    """What one training took: wall-clock seconds, and bytes."""

    began: float
    ended: float
    metric: float
    peak_bytes: float
    peak: Any


def train(name: str, order_json: str, epochs: int, fresh: bool) -> Taken:
    """Train so many epochs in this process, which keeps what is warm, as a trial's does."""
    from searchplat.contract import WarmCache
    from searchplat.engine.sizing.arithmetic import Peak
    from searchplat.engine.worker import memory
    from searchplat.engine.worker.messages import Said
    from searchplat.engine.worker.order import Order
    from searchplat.engine.worker.trial_run import TrialRun

    global _warm
    _warm = _warm or WarmCache()
    order = Order.from_json(order_json)
    if fresh:
        memory.forget_peaks(order.gpu)
    began = time.time()
    work = TrialRun(order, _warm)
    reports = [work.step() for _ in range(epochs)]
    ended = time.time()
    if bad := [message for message in reports if message.kind is not Said.REPORT]:
        raise RuntimeError(f"{name} ended as {bad[0].kind}: {bad[0].cause}")
    setup = reports[0].metrics["time/setup_seconds"]
    peak = Peak(name, ended - began - setup, setup, memory.host_peak())
    if (gpu := memory.gpu_memory() if order.gpu else None) is not None:
        peak = replace(
            peak, gpu_bytes=gpu.held, gpu_allocated_bytes=gpu.allocated, gpu_overhead_bytes=gpu.overhead,
            gpu_total_bytes=gpu.total,
        )  # fmt: skip
    most = max(message.metrics["memory/peak_bytes"] for message in reports)
    return Taken(began, ended, max(message.metrics["valid/mrr"] for message in reports), most, peak)


def main(settings: Settings, rows: Rows, ends: float) -> None:
    """Probe, then run so many trials at once."""
    import numpy as np

    from searchplat.engine.sizing.arithmetic import Machine, candidates, sized
    from searchplat.engine.sizing.cost_classes import cost_classes
    from searchplat.spec.model import Resources

    cuda = settings.device == "cuda"
    spec = settings.spec(f"epochs={EPOCHS}")
    stage = spec.stages[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    machine = Machine(len(os.sched_getaffinity(0)), memory, int(cuda))
    resources = Resources(cpu=1) if cuda else Resources(cpu=1, gpu=0, cpu_auto=True)
    shares = [share for share in candidates(machine, resources) if share.parts in (1, 2, 4)]

    def order(config: dict[str, Any], seed: int, share: Any) -> str:
        precision = "bfloat16" if cuda else "float32"
        made = settings.order(spec, {**config, "precision": precision}, seed, f"packed-{seed}", PACKED_USERS)
        return replace(made, threads=share.threads, gpu_fraction=share.gpu_fraction).to_json()

    numbers = iter(range(1, 1000))
    (alone,) = _team(1)
    peaks = []
    for one in cost_classes(spec, stage):
        taken = alone.submit(train, one.name, order(one.config, next(numbers), shares[0]), 1, True).result()
        peaks.append(taken.peak)
        rows.add(
            f"probe: {one.name}", f"{taken.peak.seconds:.1f} s an epoch, {_peak(taken.peak, cuda) / 2**20:,.0f} MiB",
            seconds=taken.peak.seconds, predicted_bytes=_peak(taken.peak, cuda),
        )  # fmt: skip
    alone.shutdown()
    predicted = max(_peak(peak, cuda) for peak in peaks)
    rng, rates = np.random.default_rng(1), []
    for share in shares:
        fitting = sized(share, peaks, machine)
        if fitting is None:
            rows.add(f"{share.parts} at once", "would not fit into memory, by the probes")
            break
        if time.monotonic() > ends - 3 * EPOCHS * max(peak.seconds for peak in peaks):
            rows.add(f"{share.parts} at once", "not tried, the time was up")
            break
        config = dict(cost_classes(spec, stage)[0].config)
        layouts = [stage_layout(spec, rng) for _ in range(share.parts)]
        team = _team(share.parts)
        # The first epoch of a process loads what stays warm.
        _all(team, [order(config, next(numbers), fitting) for _ in team], 1)
        taken = _all(team, [order({**config, "layout": text}, next(numbers), fitting) for text in layouts], EPOCHS)
        for one in team:
            one.shutdown()
        wall = max(each.ended for each in taken) - min(each.began for each in taken)
        rates.append(3600 * share.parts / wall)
        actual = max(each.peak_bytes if cuda else each.peak.host_bytes for each in taken)
        rows.add(
            f"{share.parts} at once, {EPOCHS} epochs on {PACKED_USERS:.0%} of the users",
            f"{rates[-1]:,.0f} trials an hour, x{rates[-1] / rates[0]:.2f}; peak memory predicted "
            f"{predicted / 2**20:,.0f} MiB, taken {actual / 2**20:,.0f} MiB, {predicted / actual:.3f} of it",
            parts=share.parts, per_hour=rates[-1], speed_up=rates[-1] / rates[0], predicted_bytes=predicted,
            taken_bytes=actual, ratio=predicted / actual,
        )  # fmt: skip


def stage_layout(spec: Any, rng: Any) -> str:
    """A layout drawn at random."""
    return str(spec.space.only(("layout",)).sample(rng, dict(spec.fixed))["layout"])


def _peak(peak: Any, cuda: bool) -> int:
    return int(peak.gpu_allocated_bytes if cuda else peak.host_bytes)


def _team(size: int) -> list[ProcessPoolExecutor]:
    """So many processes, each with a queue of its own."""
    context = multiprocessing.get_context("spawn")
    return [ProcessPoolExecutor(1, mp_context=context) for _ in range(size)]


def _all(team: list[ProcessPoolExecutor], orders: list[str], epochs: int) -> list[Taken]:
    waiting = [one.submit(train, "trial", text, epochs, True) for one, text in zip(team, orders, strict=True)]
    return [each.result() for each in waiting]
