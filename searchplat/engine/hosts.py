"""The machines of a cluster, from the driver's side: what is sent there, which of them are fit, how much is ours.

`hosts_of` gives one of two kinds: `Alone` for the Ray that a command starts by itself, `Hosts` for a cluster that is
there. `terms` is what happens on each host.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import ray
from ray.exceptions import RayError
from ray.tune import Callback

from searchplat import lineage
from searchplat.assets import AssetStore
from searchplat.engine import shipping
from searchplat.engine.access import is_own
from searchplat.engine.actor import MESSAGE, ORDER, TrialActor, trainable
from searchplat.engine.cluster import gpu_share, slots
from searchplat.engine.driver_only import DriverOnly
from searchplat.engine.folder import SearchFolder
from searchplat.engine.giving import Giver
from searchplat.engine.prepare import Need
from searchplat.engine.share import Share
from searchplat.engine.terms import Steward, Terms, enter, facts_of, on_node, unfit_here
from searchplat.engine.work import Message, Order, quiet_environment
from searchplat.environment import otherwise
from searchplat.errors import InputError
from searchplat.spec.model import Resources, SearchSpec

_LOOK_EVERY_S = 0.5
_EACH_HOSTS_OWN = ("SEARCHPLAT_CACHE", "SEARCHPLAT_DATA_DIR", "SEARCHPLAT_OFFLINE", "SEARCHPLAT_ROUTES", "HF_HOME")
_OFFLINE = "HF_HUB_OFFLINE"

Left = Callable[[], int]
"""Trials that have not ended or not begun."""

Say = Callable[[str], None]


class Alone:
    """The Ray that this command starts on this machine: nothing is sent, nobody else is there."""

    def __init__(self) -> None:
        self.environment = quiet_environment()
        self.callbacks: list[Callback] = []
        self.terms: Terms | None = None

    def code(self) -> AbstractContextManager[list[str]]:
        """What to send of our code."""
        return nullcontext([])

    def watched(self, resources: Resources, say: Say, tell: Say, left: Left) -> AbstractContextManager[None]:
        """The time of the search."""
        return nullcontext()

    def slots(self, fit: int) -> int:
        """Trials that may run at once now, of those that fit."""
        return fit

    def trainable(self) -> Any:
        """What Tune runs."""
        return trainable()


class Hosts(Alone):
    """A cluster that was there before.

    Args:
        spec: The search.
        folder: Of the search, to be seen by every host; None where trials share no folder.
        needs: What the trials need.
    """

    def __init__(self, spec: SearchSpec, folder: SearchFolder | None, needs: tuple[Need, ...]) -> None:
        self.environment = cluster_environment()
        self.callbacks = [Tidings(self._tell)]
        self._names = {spec.data.name, *(need.method for need in needs)}
        modules = shipping.modules_of(self._names - {spec.data.name}, spec.data.name)
        run = uuid.uuid4().hex[:12]
        data = lineage.data_of(spec.data.name, spec.data.options, AssetStore())
        probe = None if folder is None else folder.path / f".seen-{run}"
        self.terms: Terms = Terms(run, modules, facts_of(modules), data, probe, needs)
        self._giver: Any = None
        self._stewards: dict[str, tuple[str, Any]] = {}
        self._share: Share | None = None
        self._news: list[str] = []
        self._teller: Say | None = None

    def code(self) -> AbstractContextManager[list[str]]:
        """What to send of our code."""
        return shipping.packed(self.terms.modules, self._names)

    @contextmanager
    def watched(self, resources: Resources, say: Say, tell: Say, left: Left) -> Iterator[None]:
        """The time of the search: its hosts are checked and prepared, newcomers welcomed, the cluster shared.

        Args:
            say: Told what is slow before it can begin.
            tell: Told who comes and goes, in the thread in which Tune calls its callbacks.

        Raises:
            InputError: If a host is not fit; the text says which, and why.
        """
        probe = self.terms.probe
        if probe is not None:
            for old in probe.parent.glob(".seen-*"):
                old.unlink(missing_ok=True)
            probe.touch()
        here = ray.get_runtime_context().get_node_id()
        self._giver = _actor(Giver, self.terms.giver, here, AssetStore().cache)
        ended = threading.Event()
        watch = threading.Thread(target=self._keep_looking, args=(resources, ended), name="hosts", daemon=True)
        try:
            self._look(resources)
            say(f"preparing {len(self._stewards)} hosts: {', '.join(name for name, _ in self._stewards.values())}")
            self._check()
            self._teller, self._news = tell, []
            watch.start()
            with Share(lambda: min(1.0, left() / slots(resources))) as self._share:
                yield
        finally:
            ended.set()
            if watch.is_alive():
                watch.join()
            self._teller = self._share = None
            if probe is not None:
                probe.unlink(missing_ok=True)

    def slots(self, fit: int) -> int:
        """Trials that may run at once now: this search's part of what fits."""
        return fit if self._share is None else self._share.slots(fit)

    def trainable(self) -> Any:
        """What Tune runs: a trial that asks its host's steward before it begins."""
        made = trainable(HostedActor)
        made.terms = self.terms
        return made

    def _check(self) -> None:
        asked = {}
        for name, steward in self._stewards.values():
            # All at once; each host takes them in turn, and says at the first what is wrong.
            for need in (None, *self.terms.needs):
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

    def _keep_looking(self, resources: Resources, ended: threading.Event) -> None:
        while not ended.wait(_LOOK_EVERY_S):
            try:
                self._look(resources)
            except (RayError, OSError):  # the head is away; it may come back
                continue

    def _look(self, resources: Resources) -> None:
        """Give newcomers that have room for a trial their steward, and notice who has left."""
        share = gpu_share(resources)
        there = {
            node["NodeID"]: f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
            for node in ray.nodes()
            if node["Alive"]
            and node["Resources"].get("CPU", 0) >= resources.cpu
            and node["Resources"].get("GPU", 0) >= share
        }
        for node, name in there.items():
            if node not in self._stewards:
                steward = _actor(Steward, self.terms.steward(node), node, self.terms)
                steward.unfit.remote()  # what can be known at once
                self._stewards[node] = (name, steward)
                self._news.append(f"host {name} has joined")
        for node in [node for node in self._stewards if node not in there]:
            self._news.append(f"host {self._stewards.pop(node)[0]} has left")

    def _tell(self) -> None:
        while self._news and self._teller is not None:
            self._teller(self._news.pop(0))


class HostedActor(TrialActor):
    """A trial on a host of a cluster: it begins once the host is fit, with what the host has prepared."""

    terms: ClassVar[Terms]

    def setup(self, config: dict[str, Any]) -> None:
        """Begin in a new process, in the environment that is meant for this host."""
        enter()
        super().setup(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Go on with another trial."""
        super().reset_config(new_config)
        self._unfit = unfit_here(self.terms, Order.from_json(new_config[ORDER]))
        return True

    def step(self) -> dict[str, Any]:
        """One epoch; on a host that is not fit the search has to end, and the trial stays open."""
        if self._unfit is not None:
            return {MESSAGE: Message("later", cause=self._unfit).to_json()}
        return super().step()


class Tidings(DriverOnly, Callback):
    """Passes on, in the driver's main thread, which hosts have come and gone."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Tune goes round once more."""
        self._tell()


def hosts_of(address: str | None, spec: SearchSpec, folder: SearchFolder | None, needs: tuple[Need, ...]) -> Alone:
    """Who is there at an address, as `--address` takes it."""
    return Alone() if is_own(address) else Hosts(spec, folder, needs)


def cluster_environment() -> dict[str, str]:
    """As `quiet_environment`, but each host's own cache and data folders win over the driver's.

    Trials stay off the hub there too (`HostedActor`), while a host that prepares for them may ask it.
    """
    quiet = quiet_environment()
    sent = {name: quiet[name] for name in _EACH_HOSTS_OWN if name in quiet}
    return {name: value for name, value in quiet.items() if name not in (*sent, _OFFLINE)} | otherwise(sent)


def _actor(kind: type[Any], name: str, node: str, *arguments: Any) -> Any:
    made = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(kind)
    return made.options(name=name, scheduling_strategy=on_node(node)).remote(*arguments)
