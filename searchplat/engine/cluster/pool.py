"""The driver's side of the processes in which trials run (`trial_process`): starts them, keeps idle ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from searchplat.engine.cluster.reply import Reply
from searchplat.engine.cluster.trial_process import Trial
from searchplat.engine.worker.order import Order

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

    from searchplat.engine.cluster.host_check import HostRequirements

_BUNDLE = {"cpu": "CPU", "gpu": "GPU", "memory": "memory"}

Held = tuple[tuple[str, float], ...]
"""What a process holds of the cluster while it lives."""


class WorkerGroup:
    """The driver's hold on a trial's process, or on the processes that train one trial after another together.

    Args:
        actors: The handles of `Trial`s, by rank.
        held: What they hold of the cluster.
        placement: The placement group of several.
    """

    def __init__(self, actors: Sequence[ActorHandle], held: Held, placement: PlacementGroup | None = None) -> None:
        self._actors, self.held, self.placement = list(actors), held, placement
        self._gpu = dict(held).get("gpu", 0.0) > 0
        self._met = len(actors) == 1
        self._last: Reply | None = None

    @property
    def reusable(self) -> bool:
        """Whether it may take another trial: processes of which one failed may be waiting for it still."""
        return len(self._actors) == 1 or self._last is None or self._last.unanimous

    def greet(self) -> Reply:
        """A reply, None, that comes once the processes have started, and several have met."""
        if self._met:
            return Reply([actor.greet.remote() for actor in self._actors])
        self._met = True
        meeting = self._actors[0].meet.remote()  # Ray passes it on once it is known
        return Reply([actor.join.remote(meeting, self._gpu) for actor in self._actors])

    def train(self, order: Order | None) -> Reply:
        """The message of one epoch, as JSON; see `Trial.train`."""
        text = None if order is None else order.to_json()
        self._last = Reply([actor.train.remote(text) for actor in self._actors])
        return self._last

    def close(self) -> None:
        """Have it end what its trial started, and forget the trial."""
        for actor in self._actors:
            actor.close.remote()

    def end(self) -> list[ObjectRef]:
        """End the processes in good order: Ray ends one when what was asked of it is done and nobody holds it.

        Returns:
            Answers that come once they have nothing more of a trial on their machines; only then may a placement group
            be removed, which ends them at once.
        """
        if self.placement is None:
            closed = [actor.close.remote() for actor in self._actors]
        else:
            closed = [actor.leave.remote() for actor in self._actors]
        self._actors.clear()
        return closed

    def kill(self) -> None:
        """End the processes now, whatever they are doing."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors.clear()
        if self.placement is not None:
            remove_placement_group(self.placement)


class Pool:
    """Starts processes, and keeps idle ones by what they hold of the cluster.

    Args:
        requirements: What each host must fulfil; None on a Ray of our own.
        start: In place of Ray's own start of an actor, for tests.
    """

    def __init__(self, requirements: HostRequirements | None, start: Callable[[Order], Any] | None = None) -> None:
        self._requirements = requirements
        self._start = start or self._actor
        self._idle: dict[Held, list[WorkerGroup]] = defaultdict(list)
        self._class: Any = None  # Ray keeps every one that it is given
        self._leaving: list[tuple[list[ObjectRef], PlacementGroup]] = []

    def take(self, order: Order) -> tuple[WorkerGroup, bool]:
        """A process for a trial, and whether it is a new one.

        Nothing is kept from a trial that waits: where no idle process holds what it is to hold, those that hold
        something else end, as stages may differ in what their trials take.
        """
        held = held_by(order)
        if (group := self.idle(held)) is not None:
            return group, False
        self.trim_idle(0)
        return (WorkerGroup([self._start(order)], held) if order.workers == 1 else self._start_group(order)), True

    def idle(self, held: Held) -> WorkerGroup | None:
        """An idle process that holds just this, no longer the pool's; None if there is none."""
        return self._idle[held].pop() if self._idle[held] else None

    def give_back(self, group: WorkerGroup) -> None:
        """Its trial has ended, or gives way: it may take another."""
        if group.reusable:
            self._idle[group.held].append(group)
        else:
            group.kill()

    def trim_idle(self, most: int) -> None:
        """End idle processes beyond so many; what they held is free then for other programs on the cluster."""
        self._clear_places()
        idle = [group for groups in self._idle.values() for group in groups]
        for group in idle[: max(0, len(idle) - most)]:
            self._idle[group.held].remove(group)
            self._dismiss(group)

    def end(self, within_s: float) -> None:
        """End all idle processes, and wait for them to leave nothing behind."""
        idle = [ref for groups in self._idle.values() for group in groups for ref in self._dismiss(group)]
        self._idle.clear()
        if idle and within_s:
            ray.wait(idle, num_returns=len(idle), timeout=within_s)
        for _, placement in self._leaving:
            remove_placement_group(placement)
        self._leaving.clear()

    def _dismiss(self, group: WorkerGroup) -> list[ObjectRef]:
        closed = group.end()
        if group.placement is not None:
            self._leaving.append((closed, group.placement))
        return closed

    def _clear_places(self) -> None:
        """Give back the places of those who have left."""
        for closed, placement in list(self._leaving):
            if len(ray.wait(closed, num_returns=len(closed), timeout=0)[0]) == len(closed):
                remove_placement_group(placement)
                self._leaving.remove((closed, placement))

    def _actor(self, order: Order) -> ActorHandle:
        self._class = self._class or ray.remote(Trial)
        return self._class.options(**options_of(order)).remote(name_of(order), self._requirements)

    def _start_group(self, order: Order) -> WorkerGroup:
        """Processes that train trials together. Ray gives them room for all or none, on as few hosts as it can."""
        self._class = self._class or ray.remote(Trial)
        name, count = name_of(order), order.workers
        bundle = {_BUNDLE[what]: amount for what, amount in order.request.items() if amount}
        placement = placement_group([bundle] * count, strategy="PACK", name=name)
        actors = [
            self._class.options(
                **options_of(order), scheduling_strategy=PlacementGroupSchedulingStrategy(placement, rank)
            ).remote(f"{name}, worker {rank} of {count}", self._requirements, rank, count)
            for rank in range(count)
        ]
        return WorkerGroup(actors, held_by(order), placement)


def held_by(order: Order) -> Held:
    """What the processes of a trial hold."""
    return tuple(sorted({**order.request, **({"workers": float(order.workers)} if order.workers > 1 else {})}.items()))


def options_of(order: Order) -> dict[str, float]:
    """What Ray sets aside for a process that begins with this order."""
    names = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
    return {names[name]: amount for name, amount in order.request.items()}


def name_of(first: Order) -> str:
    """A process's name, after its search and the first of its trials."""
    return f"{Path(first.folder).parents[1].name}, from trial {first.number} on"
