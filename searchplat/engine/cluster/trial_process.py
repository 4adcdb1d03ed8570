"""The process in which trials run: an actor of Ray, for one trial after another. `pool` is the driver's side.

It imports little, and nothing of the driver's: each process that starts waits for that.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING, Any

import ray

from searchplat.contract import WarmCache
from searchplat.engine.worker.environment import enter_host
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.process_group import Meeting, join, open_store
from searchplat.engine.worker.trial_run import TrialRun, failure
from searchplat.firewall import seal
from searchplat.methods import allow_imports

if TYPE_CHECKING:
    from searchplat.engine.cluster.host_check import HostRequirements


class Trial:
    """A trial's process. Its class has the name that reads well on Ray's dashboard: `ray::Trial.train`.

    Args:
        name: What Ray's dashboard and logs call it.
        requirements: What its host must fulfil; None on a Ray of our own.
        rank, workers: Its number among those that train a trial together, and how many there are.
    """

    def __init__(self, name: str, requirements: HostRequirements | None, rank: int = 0, workers: int = 1) -> None:
        if requirements is not None:
            enter_host()
        seal()
        # Methods may write where they are: not into the folder of whoever started Ray, nor into each other's.
        self._folder = tempfile.TemporaryDirectory(prefix="searchplat-")
        os.chdir(self._folder.name)
        self._name, self._requirements = name, requirements
        self._rank, self._workers = rank, workers
        self._store: Any = None
        self._warm = WarmCache()
        self._work: TrialRun | None = None
        self._unfit: str | None = None

    def __repr__(self) -> str:
        """Its name."""
        return self._name

    def greet(self) -> None:
        """Answered as soon as the process has started."""

    def meet(self) -> Meeting:
        """Where the processes of a trial meet, which is at rank 0."""
        host = "127.0.0.1" if self._requirements is None else ray.util.get_node_ip_address()
        self._store, port = open_store(host, self._workers)
        return host, port

    def join(self, meeting: Meeting, gpu: bool) -> str | None:
        """Answered as soon as all processes of a trial have met: None, or a `Message` as JSON if they cannot."""
        try:
            join(meeting, self._rank, self._workers, gpu=gpu, store=self._store)
        except Exception as error:
            where = "{}:{}".format(*meeting)
            said = f"the workers of a trial cannot meet at {where}: {error}; its machines must reach each other"
            return Message(Said.NOT_NOW, cause=said).to_json()
        return None

    def leave(self) -> None:
        """Leave nothing on this machine: the process is about to be ended."""
        self.close()
        os.chdir(tempfile.gettempdir())
        self._folder.cleanup()

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
            return Message(Said.NOT_NOW, cause=self._unfit)
        assert self._work is not None
        return self._work.step()

    def _begin(self, order: Order) -> None:
        if order.allow_import:
            allow_imports()
        self.close()
        self._work = TrialRun(order, self._warm, self._rank)
        self._unfit = None if self._requirements is None else self._requirements.unfit_here(order)
