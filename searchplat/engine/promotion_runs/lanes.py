"""Promotion on Ray Train: lanes of workers that fetch one run after another from the driver.

    driver: answer(lane, message)  <->  Desk (an actor)  <->  lane: TorchTrainer(train_loop) x workers

A lane is one `TorchTrainer`: one worker on a laptop, several on a cluster, which then train each run together by
DistributedDataParallel (gloo between CPUs, NCCL between GPUs). Its processes stay from run to run, and so does what
they keep warm. Every message is answered after the driver has written it down, so nothing is acted on that a kill
of the driver could make unsaid. Read `messages` for what travels, `searchplat.promotion.drive` for the answers.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer

from searchplat.engine.cluster.host_check import HostRequirements
from searchplat.engine.cluster.hosts import OwnRay
from searchplat.engine.cluster.room import check_workers
from searchplat.engine.promotion_runs.messages import Ended, Next, PromotionMessage
from searchplat.engine.promotion_runs.run import final_run, race_run
from searchplat.engine.worker.environment import enter_host
from searchplat.engine.worker.messages import Said
from searchplat.errors import InputError, SearchFailedError, TryAgainError
from searchplat.methods import allow_imports
from searchplat.spec.model import Resources

Answer = Callable[[int, PromotionMessage], Any]
"""What a lane's message is answered with."""

_POLL_S = 0.5
_PATIENCE_S = 24 * 3600
"""How long workers wait for one of them, e.g. until rank 0 has written a checkpoint."""
_MAX_RESTARTS = 20
"""Times that a lane's workers are started again; how often one run may take them along is the driver's to say."""


_ENDED = (
    ray.exceptions.RayActorError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.OwnerDiedError,
    ray.exceptions.WorkerCrashedError,
)
"""How Ray says that a process or a machine has gone, depending on what is noticed first."""


@dataclass(frozen=True)
class Lanes:
    """How much runs at once.

    Args:
        count: Runs at once.
        workers: Processes that train each of them together.
        cpu, gpu: Of each process.
        scratch: A folder for Ray Train's own files, which are not read again.
        requirements: What the hosts of a cluster must know; None for a Ray of our own.
    """

    count: int
    workers: int
    cpu: float
    gpu: float
    scratch: Path
    requirements: HostRequirements | None = None


def lanes(resources: Resources, runs: int, workers: int, scratch: Path, hosts: OwnRay | None = None) -> Lanes:
    """As many lanes as fit on our part of the cluster as it is now, and as there are runs.

    Raises:
        InputError: If the workers of a single one do not fit.
    """
    from searchplat.engine.cluster.connect import gpu_share, slots

    fit = max(1, slots(resources))  # a machine that has left may come back
    check_workers(workers, resources, fit)
    ours, requirements = (fit, None) if hosts is None else (hosts.slots(resources), hosts.requirements)
    return Lanes(
        max(1, min(runs, ours // workers)), workers, resources.cpu, gpu_share(resources), scratch, requirements
    )


def run_lanes(plan: Lanes, answer: Answer, stopped: Callable[[], bool]) -> None:
    """Run lanes until they were all answered `stop`. Ray must be connected.

    Args:
        answer: Called in this thread with every message; its answer goes back to the worker.
        stopped: Whether to leave at once; the lanes are then still running, and end when Ray is disconnected.

    Raises:
        SearchFailedError: If a lane cannot be kept running.
        TryAgainError: If Ray ends meanwhile.
    """
    desk = ray.remote(num_cpus=0, max_concurrency=10_000)(Desk).remote()
    # In processes of their own: a thread that waits for Ray cannot be left behind when this one disconnects.
    run = ray.remote(num_cpus=0, max_retries=0)(_lane)
    running = [run.remote(number, plan, desk) for number in range(plan.count)]
    while running:
        if stopped():
            return
        try:
            if (taken := ray.get(desk.take.remote(_POLL_S))) is not None:
                ticket, (lane, message) = taken
                ray.get(desk.put.remote(ticket, answer(lane, message)))
            ended, running = ray.wait(running, num_returns=len(running), timeout=0)
            ray.get(ended)
        except _ENDED as error:
            raise TryAgainError(
                "Ray, or a process or machine of it, ended under this command; run the same command again: what has "
                "ended is kept, and what was running goes on from its last checkpoint"
            ) from error
        except ray.exceptions.RayError as error:
            raise SearchFailedError(f"final training could not be kept running: {error}") from error
    ray.kill(desk)


class Desk:
    """Where workers leave messages and wait for the driver's answers. An actor: it lives in a process of its own."""

    def __init__(self) -> None:
        self._questions: asyncio.Queue[tuple[int, Any]] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._tickets = 0

    async def ask(self, question: tuple[int, PromotionMessage]) -> Any:
        """The driver's answer to a lane's message."""
        self._tickets += 1
        ticket = self._tickets
        self._answers[ticket] = asyncio.get_running_loop().create_future()
        await self._questions.put((ticket, question))
        try:
            return await self._answers[ticket]
        finally:
            del self._answers[ticket]

    async def take(self, timeout_s: float) -> tuple[int, tuple[int, PromotionMessage]] | None:
        """The next question and its ticket; None if there is none for a while."""
        try:
            return await asyncio.wait_for(self._questions.get(), timeout_s)
        except TimeoutError:
            return None

    async def put(self, ticket: int, answer: Any) -> None:
        """Answer a question; nothing happens if whoever asked is gone."""
        future = self._answers.get(ticket)
        if future is not None and not future.done():
            future.set_result(answer)


def _lane(number: int, plan: Lanes, desk: Any) -> None:
    """Keep one lane's workers running until they were told to stop."""
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")  # relative folders of the space stay what they are
    resources = {"CPU": plan.cpu, **({"GPU": plan.gpu} if plan.gpu else {})}
    TorchTrainer(
        train_loop,
        train_loop_config={"desk": desk, "lane": number, "requirements": plan.requirements},
        torch_config=TorchConfig(timeout_s=_PATIENCE_S),
        scaling_config=ScalingConfig(num_workers=plan.workers, use_gpu=plan.gpu > 0, resources_per_worker=resources),
        run_config=RunConfig(
            name=f"lane-{number}",
            storage_path=str(plan.scratch),
            failure_config=FailureConfig(max_failures=_MAX_RESTARTS),
        ),
    ).fit()


def train_loop(config: dict[str, Any]) -> None:
    """What every worker of a lane does: fetch a run, do it, until there are no more."""
    from ray.train import get_context
    from ray.train.torch import get_device

    from searchplat.contract import WarmCache

    requirements: HostRequirements | None = config["requirements"]
    if requirements is not None:
        enter_host()
    context = get_context()
    rank, workers = context.get_world_rank(), context.get_world_size()
    device = str(get_device())
    warm = WarmCache()

    def ask(message: PromotionMessage) -> Any:
        return ray.get(config["desk"].ask.remote((config["lane"], message)))

    def ask_once(message: PromotionMessage) -> Any:
        """Rank 0 asks, all get the answer."""
        return shared(ask(message) if rank == 0 else None, rank, workers)

    while (assignment := ask_once(Next())) != "stop":
        if assignment == "wait":
            time.sleep(_POLL_S)
            continue
        if assignment.order.allow_import:
            allow_imports()
        if requirements is not None and (unfit := requirements.unfit_here(assignment.order)):
            ask(Ended(assignment.key, Said.NOT_NOW, unfit))
            if workers == 1:
                continue
            raise InputError(unfit)  # the other workers wait for this one
        if assignment.final:
            final_run(assignment, warm, device, rank, workers, ask, ask_once)
        else:  # the race has one worker a lane
            race_run(assignment, warm, device, ask)


def shared(value: Any, rank: int, workers: int) -> Any:
    """The value of rank 0, in all workers."""
    if workers == 1:
        return value
    import torch.distributed

    box = [value]
    torch.distributed.broadcast_object_list(box, src=0)
    return box[0]
