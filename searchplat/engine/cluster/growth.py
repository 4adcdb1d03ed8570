"""Clusters that grow: what a search wants of them, and how their autoscaler is asked for it.

A driver's `Wish` says what its search wants. The board of `fair_share` adds up the wishes of all searches, and its
`Request` asks for the sum: Ray knows one request a cluster, and the last call wins.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import ray

from searchplat.engine.cluster.connect import gpu_share
from searchplat.spec.model import Resources

Shape = tuple[tuple[str, float], ...]
"""What one trial, or one worker of it, takes, by Ray's names: `(("CPU", 1.0), ("GPU", 0.5))`."""

Wanted = Counter[Shape]
"""Trials, or workers of them, that there is to be room for at once, by what they take."""

_MOST = 1000
"""Trials that a search wants room for at most: Ray's autoscaler places one after the other."""
_TRY_S = 15.0
"""Seconds for which one thing is asked for: an autoscaler looks every 5 s unless told otherwise, and may be late."""
_FEWER = 0.7
_AGAIN_S = 60.0
"""Seconds after which what stands is asked for again: somebody else may have asked, or the head lost it."""


def shape_of(resources: Resources) -> Shape:
    """What a trial of these resources, or a worker of it, takes.

    Memory is left out, as not every cluster says what its hosts have. `auto` is what there is now.
    """
    takes = (("CPU", resources.cpu), ("GPU", gpu_share(resources)))
    return tuple((name, float(amount)) for name, amount in takes if amount > 0)


class Wish:
    """What a search wants of its cluster.

    Args:
        resources: The space's.
        ready: Trials that could be at work now, were there room.
        stopping: Whether the search is to end.
    """

    def __init__(self, resources: Resources, ready: Callable[[], int], stopping: Callable[[], bool]) -> None:
        self._resources, self._ready, self.stopping = resources, ready, stopping
        self._began = time.monotonic()
        self.waiting = False
        """Whether no host with room for a trial has come yet."""
        self.takes: Callable[[], Resources] | None = None
        """What a trial takes that begins now; None until that is known."""

    def now(self) -> Wanted:
        """What is wanted now; one trial's share while it is not known how much `auto` is."""
        trials = 0 if self.stopping() else min(self._ready(), self._resources.concurrent or _MOST, _MOST)
        if self.takes is not None:
            shape = shape_of(self.takes())
        elif self.waiting and self._resources.gpu is None:
            # Nobody can say whether the cluster could have hosts with a GPU. One that is on its way has room for the
            # cores that are asked for in its place a while later.
            gpus_turn = int((time.monotonic() - self._began) / _TRY_S) % 2 == 0
            shape = shape_of(replace(self._resources, gpu=1.0 if gpus_turn else 0.0))
        else:
            shape = shape_of(self._resources)
        if self.takes is None and (self._resources.cpu_auto or self._resources.gpu is None):
            trials = min(1, trials)
        workers = self._resources.workers
        return Counter({shape: min(trials, _MOST // workers) * workers}) if shape and trials > 0 else Counter()

    def trials(self) -> int:
        """How many trials there is to be room for now."""
        return self.now().total() // self._resources.workers

    def words(self) -> str:
        """What is waited for, for people."""
        gpu = self._resources.gpu
        gpus = " and, if there can be one, a GPU" if gpu is None else f" and {gpu:g} GPU" if gpu else ""
        trials, workers = self.trials(), self._resources.workers
        each = "each of" if workers == 1 else f"each of {workers} workers of"
        return (
            f"waiting for the cluster to grow: room for {trials} trial{'' if trials == 1 else 's'} wanted, "
            f"{each} {self._resources.cpu:g} CPU{gpus}, for which no machine that is there is large enough"
        )


def room_for(wanted: Wanted, hosts: Iterable[Mapping[str, float]]) -> Wanted:
    """What of it fits on hosts that have this much, were they empty.

    >>> one, two = (("CPU", 1.0),), (("CPU", 2.0),)
    >>> sorted(room_for(Counter({one: 9, two: 1}), [{"CPU": 4.0}, {"CPU": 1.0}]).items())
    [((('CPU', 1.0),), 3), ((('CPU', 2.0),), 1)]
    """
    left = [dict(host) for host in hosts]
    found: Wanted = Counter()
    for shape in _largest_first(wanted):
        for host in left:
            fit = min(math.floor(host.get(name, 0.0) / amount + 1e-9) for name, amount in shape)
            count = min(fit, wanted[shape] - found[shape])
            found[shape] += count
            for name, amount in shape:
                host[name] = host.get(name, 0.0) - count * amount
    return +found


def steps(wanted: Wanted, there: Wanted) -> list[Wanted]:
    """What to ask for, one after the other, until the cluster has grown to what is wanted or as far as it can.

    Ray's newer autoscaler (v2, that of `ray up` and KubeRay) does nothing for a request that it cannot fulfil as a
    whole, be it that the cluster may have no more hosts or that none has what one search wants. Where the bounds are
    nobody can ask; but what is launched for one request comes also if the next one asks for less. So everything is
    asked for first, then ever fewer of each kind beyond what is there, as one of them is found feasible.

    Args:
        there: What of it fits now.

    >>> one = (("CPU", 1.0),)
    >>> [step[one] for step in steps(Counter({one: 12}), Counter({one: 2}))]
    [12, 9, 6, 4, 3]
    """
    found, more = [wanted], wanted - there
    while more:
        for shape in _largest_first(more):
            step = there + Counter({shape: more[shape]})
            if step not in found:
                found.append(step)
        more = +Counter({shape: int(_FEWER * count) for shape, count in more.items()})
    return found


class Request:
    """What a cluster's autoscaler is asked for. One process alone may have one.

    Args:
        ask: Asks for all of it at once, in place of what was asked for before.
        hosts: What each host that is there has.
    """

    def __init__(
        self,
        ask: Callable[[Wanted], None] | None = None,
        hosts: Callable[[], Sequence[Mapping[str, float]]] | None = None,
    ) -> None:
        self._ask, self._hosts = ask or _ask_autoscaler, hosts or _hosts_there
        self._stands: Wanted = Counter()
        self._said_at = 0.0
        self._step, self._step_since = 0, 0.0

    def keep(self, wanted: Wanted) -> None:
        """Ask for what is to be asked for at this moment; to be called every other second."""
        if not wanted:
            if self._stands:
                self.withdraw()
            return
        now = time.monotonic()
        there = room_for(wanted, self._hosts())
        if not self._stands or there == wanted:
            self._step, self._step_since = 0, now
        elif now - self._step_since >= _TRY_S:
            self._step, self._step_since = self._step + 1, now
        ways = steps(wanted, there)
        if self._step >= len(ways):
            self._step = 0
        if ways[self._step] != self._stands or now - self._said_at >= _AGAIN_S:
            self._ask(ways[self._step])
            self._stands, self._said_at = ways[self._step], now

    def withdraw(self) -> None:
        """Ask for nothing any more."""
        self._ask(Counter())
        self._stands = Counter()


def _ask_autoscaler(wanted: Wanted) -> None:
    # Harmless where none runs: Ray keeps the request in the head's store, where only the autoscaler's process reads
    # it, and that of a cluster without `--autoscaling-config` has a provider of hosts that can start and end none.
    from ray.autoscaler.sdk import request_resources

    try:
        request_resources(bundles=bundles(wanted))
    except TypeError:  # before 2.56, Ray takes whole numbers alone
        request_resources(bundles=whole_bundles(wanted))


def bundles(wanted: Wanted) -> list[dict[str, float]]:
    """One bundle a trial, or a worker of it; whole numbers as such, as Ray before 2.56 has it."""
    return [{name: _whole(amount) for name, amount in shape} for shape in wanted.elements()]


def whole_bundles(wanted: Wanted) -> list[dict[str, float]]:
    """The same in whole numbers: trials that share a GPU ask for it once, and each for its own cores.

    So no bundle needs a larger host than a trial does, rounded up.

    >>> whole_bundles(Counter({(("CPU", 1.0), ("GPU", 0.5)): 3}))
    [{'CPU': 1, 'GPU': 1}, {'CPU': 1}, {'CPU': 1, 'GPU': 1}]
    """
    found: list[dict[str, float]] = []
    for shape, count in wanted.items():
        sharing = {name: math.floor(1 / amount + 1e-9) for name, amount in shape if amount < 1}
        for number in range(count):
            bundle: dict[str, float] = {
                name: math.ceil(amount - 1e-9) for name, amount in shape if number % sharing.get(name, 1) == 0
            }
            found += [bundle] if bundle else []
    return found


def _whole(amount: float) -> float:
    return int(amount) if float(amount).is_integer() else amount


def _hosts_there() -> list[Mapping[str, float]]:
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def _largest_first(wanted: Wanted) -> list[Shape]:
    return sorted(wanted, key=lambda shape: (len(shape), sum(amount for _, amount in shape)), reverse=True)
