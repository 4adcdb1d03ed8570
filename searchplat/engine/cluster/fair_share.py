"""Several searches on one cluster: each gets an equal part of it, and what one cannot use goes to the others.

Every driver tells the board, a small actor that they share, which part of the cluster it could use, and hears which
part is its own. A search that has more at work than that begins nothing new until it is down to it: no trial is
stopped. Searches of one part each, however large their trials are; a driver that falls silent is soon forgotten.

The board also has the cluster grow: it asks for what all searches want together, see `growth`, and takes the request
back when the last of them leaves or falls silent. So it outlives the driver that made it, but not by long.
"""

from __future__ import annotations

import math
import threading
import time
import traceback
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from searchplat.engine.cluster.growth import Request, Wanted

_NAME, _NAMESPACE = "searchplat-board", "searchplat"
_EVERY_S = 0.5
_KEEP_EVERY_S = 1.0
_FORGOTTEN_S = 10.0
_ANSWER_S = 5.0


def even_parts(wanted: Sequence[float]) -> list[float]:
    """Share 1 out evenly, but to nobody more than is wanted.

    >>> even_parts([1.0, 1.0]), even_parts([0.2, 1.0, 1.0]), even_parts([0.1, 0.2])
    ([0.5, 0.5], [0.2, 0.4, 0.4], [0.1, 0.2])
    """
    parts, left = [0.0] * len(wanted), 1.0
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for position, i in enumerate(order):
        parts[i] = min(wanted[i], left / (len(order) - position))
        left -= parts[i]
    return parts


def slots_of(before: float, own: float, fit: int) -> int:
    """Whole slots of a part that begins at `before`, so that all parts' slots together are what fits; at least 1.

    >>> [slots_of(k / 3, 1 / 3, 8) for k in range(3)]
    [2, 3, 3]
    """
    return max(1, math.floor((before + own) * fit + 1e-6) - math.floor(before * fit + 1e-6))


class Board:
    """Who shares the cluster now, and what they want of it. An actor.

    Args:
        request: By which the cluster is asked to grow; without one it is not asked.
    """

    def __init__(self, request: Request | None = None) -> None:
        self._wanted: dict[str, float] = {}
        self._heard: dict[str, float] = {}
        self._wishes: dict[str, Wanted] = {}
        self._lock, self._asking = threading.RLock(), threading.Lock()
        self._request = request
        self._last_heard, self._ever_heard = time.monotonic(), False
        if request is not None:
            threading.Thread(target=self._live, args=(request,), name="board", daemon=True).start()

    def part(self, search: str, wanted: float, wish: Wanted | None = None) -> tuple[float, float]:
        """Note what a search could use of the cluster; return where its part begins and how large it is.

        Args:
            wanted: In [0, 1], of the cluster as it is.
            wish: What there is to be room for.
        """
        with self._lock:
            now = time.monotonic()
            self._wanted[search], self._wishes[search] = wanted, wish or Counter()
            self._heard[search] = self._last_heard = now
            self._ever_heard = True
            self._forget(now)
            names = list(self._wanted)
            parts = even_parts(list(self._wanted.values()))
            place = names.index(search)
            return sum(parts[:place]), parts[place]

    def leave(self, search: str) -> None:
        """Forget a search at once, and what it wanted."""
        with self._lock:
            self._drop(search)
        if self._request is not None:
            self._keep(self._request)

    def wished(self) -> Wanted:
        """What all searches want together."""
        with self._lock:
            self._forget(time.monotonic())
            return sum(self._wishes.values(), Counter())

    def _forget(self, now: float) -> None:
        for name in [name for name, heard in self._heard.items() if now - heard > _FORGOTTEN_S]:
            self._drop(name)

    def _drop(self, search: str) -> None:
        for known in (self._wanted, self._heard, self._wishes):
            known.pop(search, None)

    def _keep(self, request: Request) -> None:
        with self._asking:
            request.keep(self.wished())

    def _live(self, request: Request) -> None:
        """Keep the request until nobody has been heard for a while, and take it back then."""
        silent = False
        while not silent:
            time.sleep(_KEEP_EVERY_S)
            silent = time.monotonic() - self._last_heard > _FORGOTTEN_S
            try:
                if silent and not self._ever_heard:
                    # Made anew where its host had gone, with the last driver perhaps: what it had asked for stands.
                    request.withdraw()
                self._keep(request)
            except Exception:  # the head may be away, and come back; the log of the actor is where one would look
                traceback.print_exc()
                silent = False
        ray.kill(ray.get_runtime_context().current_actor)


class FairShare:
    """One search's part of a cluster, for the time of the block; Ray must be connected.

    Args:
        wanted: The part, in [0, 1], that the search could use now.
        wish: What there is to be room for on a cluster that grows.
    """

    def __init__(self, wanted: Callable[[], float], wish: Callable[[], Wanted] = Counter) -> None:
        self._wanted, self._wish = wanted, wish
        self._search = uuid.uuid4().hex
        self._part = (0.0, 1.0)
        self._ended = threading.Event()
        self._board: Any = None  # held: an actor without a holder ends, and the next question would start another
        self._thread = threading.Thread(target=self._keep_asking, name="share", daemon=True)

    def __enter__(self) -> FairShare:
        self.ask()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        try:
            if self._board is not None:
                ray.get(self._board.leave.remote(self._search), timeout=_ANSWER_S)
        except (RayError, ValueError):  # it is forgotten before long
            return

    def slots(self, fit: int) -> int:
        """How many of the slots that fit on the cluster are this search's."""
        return slots_of(*self._part, fit)

    def _keep_asking(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self.ask()

    def ask(self) -> None:
        """Say what the search could use now, and hear which part is its own."""
        try:
            self._board = self._board or _board()
            said = self._board.part.remote(self._search, self._wanted(), self._wish())
            self._part = ray.get(said, timeout=_ANSWER_S)
        except GetTimeoutError:  # it is still starting, or its host is busy
            return
        except (RayError, ValueError, OSError):
            # Its host is gone, or that of the driver that had made it: the next question is to another.
            self._board = None


def _board() -> Any:
    here = ray.get_runtime_context().get_node_id()
    made = ray.remote(num_cpus=0, max_restarts=-1)(Board)
    return made.options(
        name=_NAME,
        namespace=_NAMESPACE,
        get_if_exists=True,
        lifetime="detached",  # a driver that is killed takes nothing back
        # A host on which it lives is not let go.
        scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
    ).remote(Request())
