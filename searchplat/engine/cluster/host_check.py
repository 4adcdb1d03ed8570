"""What a driver asks of every host of a cluster before its trials may run there, and who sees to it: a steward each.

A steward is a small actor on its host. It compares code and libraries with the driver's, looks for the folder of the
search, and has data and weights prepared, each thing once a host and run. Since a host on which an actor lives is not
let go by an autoscaler, a steward goes when the search has had no process there for a while, and whoever needs one
again makes it. `cluster.hosts` is the driver's side.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchplat.assets.progress import say
from searchplat.engine.cluster import code_upload
from searchplat.engine.cluster.asset_server import HostStore
from searchplat.engine.prepare import Need, need_of
from searchplat.engine.worker.order import Order
from searchplat.environment import adopt
from searchplat.errors import SearchplatError
from searchplat.ledger import lineage
from searchplat.methods import imports

_SHARED_FOLDERS_SHOW_S = 5.0
"""A new file may take a moment to be seen through a network's file system."""
_UNUSED_S = 60.0
"""Seconds without a process of the search on its host after which a steward goes."""
_LOOK_EVERY_S = 1.0
_TRIES = 3


@dataclass(frozen=True)
class HostRequirements:
    """What the hosts of one run must know.

    Args:
        run: Names this run's actors.
        modules: Top-level modules that travel.
        facts: The driver's, of `facts_of`.
        data: A hash of its data.
        probe: A file of the driver's in the folder of the search; None where no folder need be shared.
        needs: What the run's trials need.
    """

    run: str
    modules: tuple[str, ...]
    facts: Mapping[str, str]
    data: str
    probe: Path | None
    needs: tuple[Need, ...]

    def steward(self, node: str) -> str:
        """The name of the actor on the node of this identifier."""
        return f"searchplat-{self.run}-{node}"

    @property
    def asset_server(self) -> str:
        """The name of the actor that hands out the driver's assets."""
        return f"searchplat-{self.run}-assets"

    def unfit_here(self, order: Order) -> str | None:
        """Why a worker cannot begin a trial on this host; None if it can, with everything prepared."""
        with imports() if order.allow_import else nullcontext():
            need = need_of(order, self.needs)
        for tries_left in reversed(range(_TRIES)):
            try:
                reason: str | None = ray.get(steward_of(self, _node()).unfit.remote(need, os.getpid()))
                return reason
            except RayActorError:  # it went at this moment, or the worker that had made it
                if not tries_left:
                    raise
                time.sleep(0.1)
        raise AssertionError


def facts_of(modules: tuple[str, ...]) -> dict[str, str]:
    """What must be equal on all machines: a hash of the code, versions of Python and libraries."""
    return {"code": code_upload.digest(modules), **lineage.versions()}


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> list[str]:
    """What differs, each as a phrase. Builds of one version (`2.13.0+cpu`) and patches of one Python are alike.

    >>> differences({"torch": "2.12.0", "python": "3.11.9"}, {"torch": "2.13.0+cpu", "python": "3.11.2"})
    ['torch is 2.12.0 there and 2.13.0+cpu here']
    """
    return [
        f"{name} is {there.get(name, 'missing')} there and {here[name]} here"
        for name in here
        if _comparable(name, there.get(name, "")) != _comparable(name, here[name])
    ]


def on_node(node: str) -> NodeAffinitySchedulingStrategy:
    """There and nowhere else."""
    return NodeAffinitySchedulingStrategy(node, soft=False)


class Steward:
    """Sees to it that its host is fit for a run's trials. An actor, which answers one question after the other.

    Args:
        goes: Whether to end once the host is not in use any more.
    """

    def __init__(self, requirements: HostRequirements, goes: bool = False) -> None:
        self._requirements = requirements
        self._prepared: set[str] = set()
        self._processes: set[int] = set()
        self._answering = False
        if goes:
            threading.Thread(target=self._go_once_unused, name="unused", daemon=True).start()

    def unfit(self, need: Need | None = None, process: int | None = None) -> str | None:
        """Why trials cannot run on this host; None if they can.

        Args:
            need: What to prepare first, unless it was; None to look at code and folders alone.
            process: That asks, if it is one of this host: while it lives the host is in use.
        """
        if process is not None:
            self._processes.add(process)
        self._answering = True
        try:
            return self._unfit(need)
        finally:
            self._answering = False

    @property
    def in_use(self) -> bool:
        """Whether a process that has asked still lives, or waits for an answer."""
        for process in list(self._processes):
            if not _lives(process):
                self._processes.discard(process)
        return self._answering or bool(self._processes)

    def _go_once_unused(self) -> None:
        used = time.monotonic()
        while time.monotonic() - used < _UNUSED_S:
            time.sleep(_LOOK_EVERY_S)
            if self.in_use:
                used = time.monotonic()
        ray.kill(ray.get_runtime_context().current_actor)

    def _unfit(self, need: Need | None) -> str | None:
        if reason := self._stranger() or self._lost():
            return f"host {socket.gethostname()}: {reason}"
        if need is None or need.key in self._prepared:
            return None
        # In a process of its own: it may use the network and much memory, and neither is to last.
        task = ray.remote(num_cpus=0, max_calls=1, max_retries=1)(_prepare)
        try:
            reason = ray.get(task.options(scheduling_strategy=on_node(_node())).remote(need, self._requirements))
        except RayError as error:
            reason = str(error)
        if reason is not None:
            return f"host {socket.gethostname()}: {need.method} cannot be prepared: {reason}"
        self._prepared.add(need.key)
        return None

    def _stranger(self) -> str | None:
        found = differences(facts_of(self._requirements.modules), self._requirements.facts)
        if not found:
            return None
        return (
            f"{', '.join(found)}; install the same versions on every machine, and start Ray there without "
            "another copy of this code on PYTHONPATH"
        )

    def _lost(self) -> str | None:
        probe = self._requirements.probe
        if probe is None:
            return None
        deadline = time.monotonic() + _SHARED_FOLDERS_SHOW_S
        while not probe.exists():
            if time.monotonic() > deadline:
                return (
                    f"the folder of the search, {probe.parent}, is not there, though checkpoints must be seen by all "
                    "machines; name a folder on shared storage in SEARCHPLAT_RUNS, or keep checkpoints in a --storage"
                )
            time.sleep(0.1)
        if not os.access(probe.parent, os.W_OK):
            return f"the folder of the search, {probe.parent}, cannot be written there; give Ray's user the right to"
        return None


def actor_on(node: str, kind: type[Any], name: str, *arguments: Any) -> Any:
    """The actor of this name; one of this kind is made on the node if there is none."""
    made = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(kind)
    return made.options(name=name, get_if_exists=True, scheduling_strategy=on_node(node)).remote(*arguments)


def steward_of(requirements: HostRequirements, node: str) -> Any:
    """The steward of a node; it is made if there is none, and ends with its maker or when it is not needed."""
    name = requirements.steward(node)
    try:
        return ray.get_actor(name)
    except ValueError:
        return actor_on(node, Steward, name, requirements, True)


def _prepare(need: Need, requirements: HostRequirements) -> str | None:
    adopt(os.environ)
    try:
        store = HostStore(ray.get_actor(requirements.asset_server))
        need.prepare(store)
        found = lineage.data_of(need.data, need.data_options, store)
    except SearchplatError as error:
        return str(error)
    say(f"prepared for {need.method} on {need.fraction:.0%} of the users")
    if found != requirements.data:
        return f"data {need.data} is not that of the driver's machine; remove what differs, or share one folder"
    return None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _comparable(name: str, version: str) -> str:
    if name == "python":
        return ".".join(version.split(".")[:2])
    return version.partition("+")[0]
