"""The processes in which trials run: actors of Ray, each for one trial after another."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray

from searchplat.contract import WarmCache
from searchplat.engine.cluster.host_check import HostRequirements, enter, unfit_here
from searchplat.engine.worker.order import Message, Order
from searchplat.engine.worker.trial_run import TrialRun, failure
from searchplat.firewall import seal
from searchplat.methods import allow_imports

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

Held = tuple[tuple[str, float], ...]
"""What a process holds of the cluster while it lives."""


class Trial:
    """A trial's process. Its class has the name that reads well on Ray's dashboard: `ray::Trial.train`.

    Args:
        name: What Ray's dashboard and logs call it.
        requirements: What its host must fulfil; None on a Ray of our own.
    """

    def __init__(self, name: str, requirements: HostRequirements | None) -> None:
        if requirements is not None:
            enter()
        seal()
        # Methods may write where they are: not into the folder of whoever started Ray, nor into each other's.
        self._folder = tempfile.TemporaryDirectory(prefix="searchplat-")
        os.chdir(self._folder.name)
        self._name, self._requirements = name, requirements
        self._warm = WarmCache()
        self._work: TrialRun | None = None
        self._unfit: str | None = None

    def __repr__(self) -> str:
        """Its name."""
        return self._name

    def greet(self) -> None:
        """Answered as soon as the process has started."""

    def train(self, order: str | None) -> str:
        """One epoch; of another trial, keeping what is warm, if an order is given.

        On a host that is not fit the search has to end, and the trial stays open.

        Args:
            order: An `Order` as JSON: nothing but plain values goes either way.

        Returns:
            A `Message` as JSON.
        """
        return self._train(None if order is None else Order.from_json(order)).to_json()

    def close(self) -> None:
        """End what the trial started; leave nothing of it on this machine if its checkpoints are kept elsewhere."""
        if self._work is not None:
            self._work.close()
            self._work = None

    def _train(self, order: Order | None) -> Message:
        if order is not None:
            try:
                self._begin(order)
            except Exception as error:
                return failure(error)
        if self._unfit is not None:
            return Message("later", cause=self._unfit)
        assert self._work is not None
        return self._work.step()

    def _begin(self, order: Order) -> None:
        if order.allow_import:
            allow_imports()
        self.close()
        self._work = TrialRun(order, self._warm)
        self._unfit = None if self._requirements is None else unfit_here(self._requirements, order)


class Worker:
    """The driver's hold on a trial's process.

    Args:
        actor: The handle of a `Trial`.
        held: What it holds of the cluster.
    """

    def __init__(self, actor: ActorHandle, held: Held) -> None:
        self._actor, self.held = actor, held

    def greet(self) -> ObjectRef:
        """An answer, None, that comes once the process has started."""
        return self._actor.greet.remote()

    def train(self, order: Order | None) -> ObjectRef:
        """The message of one epoch, as JSON; see `Trial.train`."""
        return self._actor.train.remote(None if order is None else order.to_json())

    def close(self) -> None:
        """Have it end what its trial started, and forget the trial."""
        self._actor.close.remote()

    def end(self) -> ObjectRef:
        """End the process in good order: Ray ends it when what was asked of it is done and nobody holds it.

        Returns:
            An answer that comes once it has nothing more of a trial on its machine.
        """
        closed = self._actor.close.remote()
        self._actor = None
        return closed

    def kill(self) -> None:
        """End the process now, whatever it is doing."""
        ray.kill(self._actor)
        self._actor = None


class Pool:
    """Starts processes, and keeps idle ones by what they hold of the cluster.

    Args:
        requirements: What each host must fulfil; None on a Ray of our own.
        start: In place of Ray's own start of an actor, for tests.
    """

    def __init__(self, requirements: HostRequirements | None, start: Callable[[Order], Any] | None = None) -> None:
        self._requirements = requirements
        self._start = start or self._actor
        self._idle: dict[Held, list[Worker]] = defaultdict(list)
        self._class: Any = None  # Ray keeps every one that it is given

    def take(self, order: Order) -> tuple[Worker, bool]:
        """A process for a trial, and whether it is a new one.

        Nothing is kept from a trial that waits: where no idle process holds what it is to hold, those that hold
        something else end, as stages may differ in what their trials take.
        """
        held = tuple(sorted(order.request.items()))
        if (worker := self.idle(held)) is not None:
            return worker, False
        self.keep(0)
        return Worker(self._start(order), held), True

    def idle(self, held: Held) -> Worker | None:
        """An idle process that holds just this, no longer the pool's; None if there is none."""
        return self._idle[held].pop() if self._idle[held] else None

    def give_back(self, worker: Worker) -> None:
        """Its trial has ended, or gives way: it may take another."""
        self._idle[worker.held].append(worker)

    def keep(self, most: int) -> None:
        """End idle processes beyond so many; what they held is free then for other programs on the cluster."""
        idle = [worker for workers in self._idle.values() for worker in workers]
        for worker in idle[: max(0, len(idle) - most)]:
            self._idle[worker.held].remove(worker)
            worker.end()

    def end(self, within_s: float) -> None:
        """End all idle processes, and wait for them to leave nothing behind."""
        idle = [worker.end() for workers in self._idle.values() for worker in workers]
        self._idle.clear()
        if idle and within_s:
            ray.wait(idle, num_returns=len(idle), timeout=within_s)

    def _actor(self, order: Order) -> ActorHandle:
        self._class = self._class or ray.remote(Trial)
        return self._class.options(**options_of(order)).remote(name_of(order), self._requirements)


def options_of(order: Order) -> dict[str, float]:
    """What Ray sets aside for a process that begins with this order."""
    names = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
    return {names[name]: amount for name, amount in order.request.items()}


def name_of(first: Order) -> str:
    """A process's name, after its search and the first of its trials."""
    return f"{Path(first.folder).parents[1].name}, from trial {first.number} on"
