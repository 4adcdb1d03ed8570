"""What a driver asks of every host of a cluster before its trials may run there, and who sees to it: a steward each.

A steward is a small actor on its host. It compares code and libraries with the driver's, looks for the folder of the
search, and has data and weights prepared, each thing once a host and run. `hosts` is the driver's side.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchplat import lineage
from searchplat.assets.progress import say
from searchplat.engine import shipping
from searchplat.engine.giving import HostStore
from searchplat.engine.prepare import Need, need_of
from searchplat.engine.work import Order
from searchplat.environment import adopt
from searchplat.errors import SearchplatError
from searchplat.methods import imports

_SHARED_FOLDERS_SHOW_S = 5.0
"""A new file may take a moment to be seen through a network's file system."""
_STEWARD_COMES_S = 60.0


@dataclass(frozen=True)
class Terms:
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
    def giver(self) -> str:
        """The name of the actor that hands out the driver's assets."""
        return f"searchplat-{self.run}-giver"


def facts_of(modules: tuple[str, ...]) -> dict[str, str]:
    """What must be equal on all machines: a hash of the code, versions of Python and libraries."""
    return {"code": shipping.digest(modules), **lineage.versions()}


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
    """Sees to it that its host is fit for a run's trials. An actor, which answers one question after the other."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._prepared: set[str] = set()

    def unfit(self, need: Need | None = None) -> str | None:
        """Why trials cannot run on this host; None if they can.

        Args:
            need: What to prepare first, unless it was; None to look at code and folders alone.
        """
        if reason := self._stranger() or self._lost():
            return f"host {socket.gethostname()}: {reason}"
        if need is None or need.key in self._prepared:
            return None
        # In a process of its own: it may use the network and much memory, and neither is to last.
        task = ray.remote(num_cpus=0, max_calls=1, max_retries=1)(_prepare)
        try:
            reason = ray.get(task.options(scheduling_strategy=on_node(_node())).remote(need, self._terms))
        except RayError as error:
            reason = str(error)
        if reason is not None:
            return f"host {socket.gethostname()}: {need.method} cannot be prepared: {reason}"
        self._prepared.add(need.key)
        return None

    def _stranger(self) -> str | None:
        found = differences(facts_of(self._terms.modules), self._terms.facts)
        if not found:
            return None
        return (
            f"{', '.join(found)}; install the same versions on every machine, and start Ray there without "
            "another copy of this code on PYTHONPATH"
        )

    def _lost(self) -> str | None:
        probe = self._terms.probe
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


def enter() -> None:
    """Make a worker's process one of its host: with the host's own folders, and off the hub."""
    adopt(os.environ)
    os.environ["HF_HUB_OFFLINE"] = "1"


def unfit_here(terms: Terms, order: Order) -> str | None:
    """Why a worker cannot begin a trial on its host; None if it can, with everything prepared.

    Raises:
        TimeoutError: If the driver, which makes a steward for every host that joins, does not.
    """
    name, deadline = terms.steward(_node()), time.monotonic() + _STEWARD_COMES_S
    with imports() if order.allow_import else nullcontext():
        need = need_of(order, terms.needs)
    while True:
        try:
            steward = ray.get_actor(name)
            break
        except ValueError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"host {socket.gethostname()}: the driver has not looked at it yet") from None
            time.sleep(0.1)
    reason: str | None = ray.get(steward.unfit.remote(need))
    return reason


def _prepare(need: Need, terms: Terms) -> str | None:
    adopt(os.environ)
    try:
        store = HostStore(ray.get_actor(terms.giver))
        need.prepare(store)
        found = lineage.data_of(need.data, need.data_options, store)
    except SearchplatError as error:
        return str(error)
    say(f"prepared for {need.method} on {need.fraction:.0%} of the users")
    if found != terms.data:
        return f"data {need.data} is not that of the driver's machine; remove what differs, or share one folder"
    return None


def _node() -> str:
    return str(ray.get_runtime_context().get_node_id())


def _comparable(name: str, version: str) -> str:
    if name == "python":
        return ".".join(version.split(".")[:2])
    return version.partition("+")[0]
