"""Several searches on one cluster: each gets an equal part of it, and what one cannot use goes to the others.

Every driver tells the board, a small actor that they share, which part of the cluster it could use, and hears which
part is its own. A search that has more at work than that begins nothing new until it is down to it: no trial is
stopped. Searches of one part each, however large their trials are; a driver that falls silent is soon forgotten.
"""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

_NAME, _NAMESPACE = "searchplat-board", "searchplat"
_EVERY_S = 0.5
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
    """Who shares the cluster now. An actor."""

    def __init__(self) -> None:
        self._wanted: dict[str, float] = {}
        self._heard: dict[str, float] = {}

    def part(self, search: str, wanted: float) -> tuple[float, float]:
        """Note what a search could use of the cluster, in [0, 1]; return where its part begins and how large it is."""
        now = time.monotonic()
        self._wanted[search], self._heard[search] = wanted, now
        for name in [name for name, heard in self._heard.items() if now - heard > _FORGOTTEN_S]:
            del self._wanted[name], self._heard[name]
        names = list(self._wanted)
        parts = even_parts(list(self._wanted.values()))
        place = names.index(search)
        return sum(parts[:place]), parts[place]

    def leave(self, search: str) -> None:
        """Forget a search at once."""
        self._wanted.pop(search, None)
        self._heard.pop(search, None)


class Share:
    """One search's part of a cluster, for the time of the block; Ray must be connected.

    Args:
        wanted: The part, in [0, 1], that the search could use now.
    """

    def __init__(self, wanted: Callable[[], float]) -> None:
        self._wanted = wanted
        self._search = uuid.uuid4().hex
        self._part = (0.0, 1.0)
        self._ended = threading.Event()
        self._board: Any = None  # held: an actor without a holder ends, and the next question would start another
        self._thread = threading.Thread(target=self._keep_asking, name="share", daemon=True)

    def __enter__(self) -> Share:
        self._ask()
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
            self._ask()

    def _ask(self) -> None:
        try:
            self._board = self._board or _board()
            self._part = ray.get(self._board.part.remote(self._search, self._wanted()), timeout=_ANSWER_S)
        except GetTimeoutError:  # it is still starting, or its host is busy
            return
        except (RayError, ValueError, OSError):
            # Its host is gone, or that of the driver that had made it: the next question is to another.
            self._board = None


def _board() -> Any:
    return (
        ray.remote(num_cpus=0)(Board)
        .options(name=_NAME, namespace=_NAMESPACE, get_if_exists=True)
        .remote()
    )  # fmt: skip
