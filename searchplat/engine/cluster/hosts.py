"""The machines of a cluster, from the driver's side: what is sent there, which of them are fit, how much is ours.

`hosts_of` gives one of two kinds: `OwnRay` for the Ray that a command starts by itself, `Cluster` for a cluster that is
there. `host_check` is what happens on each host.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import RayError

from searchplat.assets import AssetStore
from searchplat.engine.cluster import code_upload
from searchplat.engine.cluster.asset_server import AssetServer
from searchplat.engine.cluster.auth import is_own
from searchplat.engine.cluster.connect import all_counted, fitting, gpu_share, slots
from searchplat.engine.cluster.fair_share import FairShare
from searchplat.engine.cluster.growth import Wish
from searchplat.engine.cluster.host_check import HostRequirements, actor_on, facts_of, steward_of
from searchplat.engine.prepare import Need
from searchplat.engine.worker.environment import quiet_environment
from searchplat.environment import otherwise
from searchplat.errors import InputError
from searchplat.ledger import lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import Resources, SearchSpec

_LOOK_EVERY_S = 0.5
_SAY_EVERY_S = 60.0
"""Seconds after which is said again that trials wait for a host."""
_SHOWN = 8
"""Hosts that are named there."""
_EACH_HOSTS_OWN = ("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "SEARCHPLAT_OFFLINE", "SEARCHPLAT_ROUTES", "HF_HOME")
_OFFLINE = "HF_HUB_OFFLINE"

Ready = Callable[[], int]
"""Trials that could be at work now, were there room."""

Say = Callable[[str], None]


class OwnRay:
    """The Ray that this command starts on this machine: nothing is sent, nobody else is there."""

    def __init__(self) -> None:
        self.environment = quiet_environment()
        self.requirements: HostRequirements | None = None

    def code(self) -> AbstractContextManager[list[str]]:
        """What to send of our code."""
        return nullcontext([])

    def watched(
        self, resources: Resources, say: Say, tell: Say, left: Ready, wish: Wish | None = None
    ) -> AbstractContextManager[None]:
        """The time of the search."""
        return nullcontext()

    def grow_for(self, takes: Callable[[], Resources]) -> None:
        """From now on it is known what a trial takes that begins now."""

    def slots(self, resources: Resources) -> int:
        """Trials of these resources that may run at once now: one at least, as was seen to when Ray started."""
        return max(1, slots(resources))

    def tell_news(self) -> None:
        """Say who has come and gone since the last call."""


class Cluster(OwnRay):
    """A cluster that was there before.

    Args:
        spec: The search.
        folder: Of the search, to be seen by every host; None where trials share no folder.
        needs: What the trials need.
    """

    def __init__(self, spec: SearchSpec, folder: SearchFolder | None, needs: tuple[Need, ...]) -> None:
        self.environment = cluster_environment()
        self._names = {spec.data.name, *(need.method for need in needs)}
        modules = code_upload.modules_of(self._names - {spec.data.name}, spec.data.name)
        run = uuid.uuid4().hex[:12]
        data = lineage.data_of(spec.data.name, spec.data.options, AssetStore())
        probe = None if folder is None else folder.path / f".seen-{run}"
        self.requirements: HostRequirements = HostRequirements(run, modules, facts_of(modules), data, probe, needs)
        self._asset_server: Any = None
        self._stewards: dict[str, tuple[str, Any]] = {}
        self._resources = spec.resources
        self._wish: Wish | None = None
        self._share: FairShare | None = None
        self._news: list[str] = []
        self._teller: Say | None = None
        self._room = True
        self._say_at = 0.0

    def code(self) -> AbstractContextManager[list[str]]:
        """What to send of our code."""
        return code_upload.packed(self.requirements.modules, self._names)

    @contextmanager
    def watched(
        self, resources: Resources, say: Say, tell: Say, left: Ready, wish: Wish | None = None
    ) -> Iterator[None]:
        """The time of the search: its hosts are checked and prepared, newcomers welcomed, the cluster shared.

        Args:
            say: Told what is slow before it can begin.
            tell: Told what is waited for where no host has room for a trial, and by `tell_news` who comes and goes.
            wish: What the cluster is to grow for: where no host has room for a trial, the first one is waited for.

        Raises:
            InputError: If a host is not fit; the text says which, and why.
        """
        probe = self.requirements.probe
        if probe is not None:
            for old in probe.parent.glob(".seen-*"):
                old.unlink(missing_ok=True)
            probe.touch()
        here = ray.get_runtime_context().get_node_id()
        self._asset_server = actor_on(here, AssetServer, self.requirements.asset_server, AssetStore().cache)
        self._resources, self._wish = resources, wish
        ended = threading.Event()
        watch = threading.Thread(target=self._keep_looking, args=(ended,), name="hosts", daemon=True)
        try:
            self._look()
            self._news = []
            if wish is not None:
                wish.waiting = not (self._stewards and fitting(resources))
            # From now on: a host on which nothing of ours lives may be let go again before it gets work.
            watch.start()
            with FairShare(lambda: self._usable(left), Counter if wish is None else wish.now) as share:
                if wish is not None and wish.waiting:
                    self._wait(wish, tell)
                # What a trial takes is decided now: hosts of another kind may still come.
                self._resources = replace(resources, gpu=gpu_share(resources))
                stewards = list(self._stewards.values())
                if stewards:
                    say(f"preparing {len(stewards)} hosts: {', '.join(name for name, _ in stewards)}")
                self._check(stewards)
                self._teller, self._share = tell, share
                share.ask()
                yield
        finally:
            ended.set()
            if watch.is_alive():
                watch.join()
            self._teller = self._share = self._wish = None
            if probe is not None:
                probe.unlink(missing_ok=True)

    def grow_for(self, takes: Callable[[], Resources]) -> None:
        """From now on the cluster is asked for room for trials that take this, and what is asked for is said."""
        if self._wish is None:
            return
        self._wish.takes = takes
        wanted, fit = self._wish.trials(), slots(takes())
        if wanted > fit:
            self._news.append(
                f"the cluster is asked for room for {wanted} trials at once; so far there is room for {fit}"
            )

    def slots(self, resources: Resources) -> int:
        """Trials of these resources that may run at once now, on this search's part of the cluster."""
        at_most = slots(resources)
        return at_most if self._share is None else min(at_most, self._share.slots(fitting(resources)))

    def tell_news(self) -> None:
        """Say who has come and gone since the last call, and every minute that no host has room for a trial."""
        if self._teller is None:
            return
        while self._news:
            self._teller(self._news.pop(0))
        if self._wish is not None and not self._room and self._wish.trials():
            self._say_waiting(self._wish, self._teller)

    def _usable(self, left: Ready) -> float:
        """The part of the cluster that the search could use: none until its hosts are prepared."""
        if self._share is None:
            return 0.0
        at_once = min(left(), self._resources.concurrent or math.inf)
        return min(1.0, at_once / max(1, fitting(self._resources)))

    def _wait(self, wish: Wish, tell: Say) -> None:
        """Until a host with room for a trial has come, or the search is to end."""
        while not (self._stewards and all_counted() and fitting(self._resources)) and not wish.stopping():
            self._say_waiting(wish, tell)
            time.sleep(_LOOK_EVERY_S)
        wish.waiting = False

    def _say_waiting(self, wish: Wish, tell: Say) -> None:
        """Say what is waited for, unless that was said a moment ago."""
        if time.monotonic() < self._say_at:
            return
        self._say_at = time.monotonic() + _SAY_EVERY_S
        tell(f"{wish.words()} ({hosts_line()}); `ray status` says what comes, and what is stopped now goes on later")

    def _check(self, stewards: list[tuple[str, Any]]) -> None:
        asked = {}
        for name, steward in stewards:
            # All at once; each host takes them in turn, and says at the first what is wrong.
            for need in (None, *self.requirements.needs):
                asked[steward.unfit.remote(need)] = name
        problems: dict[str, str] = {}
        for answer, name in asked.items():
            try:
                problem = ray.get(answer)
            except RayError as error:
                problem = f"host {name}: searchplat cannot run there: {str(error).strip().splitlines()[-1]}"
            if problem is not None:
                problems.setdefault(name, problem)
        if problems:
            raise InputError("\n".join(f"--address: {problem}" for problem in problems.values()))

    def _keep_looking(self, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_EVERY_S):
            try:
                self._look()
            except (RayError, OSError):  # the head is away; it may come back
                continue

    def _look(self) -> None:
        """Give newcomers that have room for a trial their steward, and notice who has left."""
        share = gpu_share(self._resources)
        there = {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            for node in ray.nodes()
            if node["Alive"]
            and node["Resources"].get("CPU", 0) >= self._resources.cpu
            and node["Resources"].get("GPU", 0) >= share
        }
        for node, name in there.items():
            if node not in self._stewards:
                steward = steward_of(self.requirements, node)
                steward.unfit.remote()  # what can be known at once
                self._stewards[node] = (name, steward)
                self._news.append(f"host {name} has joined")
        self._room = fitting(self._resources) > 0
        for node in [node for node in self._stewards if node not in there]:
            self._news.append(f"host {self._stewards.pop(node)[0]} has left")


def hosts_line() -> str:
    """The hosts that are there, and what they have."""
    there = [
        f"{node['NodeManagerHostname']}: {has.get('CPU', 0):g} CPU, {has.get('GPU', 0):g} GPU"
        for node in ray.nodes()
        if node["Alive"] and (has := node["Resources"])
    ]
    more = f"; and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    return "; ".join(there[:_SHOWN]) + more


def hosts_of(address: str | None, spec: SearchSpec, folder: SearchFolder | None, needs: tuple[Need, ...]) -> OwnRay:
    """Who is there at an address, as `--address` takes it."""
    return OwnRay() if is_own(address) else Cluster(spec, folder, needs)


def cluster_environment() -> dict[str, str]:
    """As `quiet_environment`, but each host's own cache and data folders win over the driver's.

    Trials stay off the hub there too (`trial_process`), while a host that prepares for them may ask it.
    """
    quiet = quiet_environment()
    sent = {name: quiet[name] for name in _EACH_HOSTS_OWN if name in quiet}
    return {name: value for name, value in quiet.items() if name not in (*sent, _OFFLINE)} | otherwise(sent)
