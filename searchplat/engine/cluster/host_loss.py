"""Whether a trial's worker died alone or with its whole host: the one counts against the trial, the other does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import ray
from ray.exceptions import RayError

_NODE_DIED = "because its node has died"
# A worker's connection breaks at once; that the host has gone, Ray notices by a quarter of a minute without its signs.
_NOT_KNOWN_YET = "is temporarily unavailable"
_PATIENCE_S = 1.0
_LOOK_EVERY_S = 0.1
_ANSWER_S = 2.0


def all_answer() -> bool:
    """Whether Ray's daemon takes calls on every host that Ray takes to be alive."""
    try:
        places = [(node["NodeManagerAddress"], node["NodeManagerPort"]) for node in ray.nodes() if node["Alive"]]
    except RayError:  # Ray itself has gone: another part says so
        return True
    try:
        for place in places:
            socket.create_connection(place, timeout=_ANSWER_S).close()
    except OSError:
        return False
    return True


def host_died(said: str, answer: Callable[[], bool] = all_answer) -> bool:
    """Whether a worker was lost with its whole host.

    Args:
        said: Ray's words about it. Where they are only that the worker is out of reach, the hosts are asked: which one
            it was on, nobody tells.
        answer: Whether all hosts do.
    """
    if _NODE_DIED in said:
        return True
    if _NOT_KNOWN_YET not in said:
        return False
    until = time.monotonic() + _PATIENCE_S  # a host's processes do not end all at once
    while answer():
        if time.monotonic() > until:
            return False
        time.sleep(_LOOK_EVERY_S)
    return True


class HostLosses:
    """The verdicts on workers that were lost at the same time: where hosts must be asked, they are asked once.

    Args:
        answer: As of `host_died`.
    """

    def __init__(self, answer: Callable[[], bool] = all_answer) -> None:
        self._answer = answer
        self._out_of_reach: bool | None = None

    def host_died(self, said: str) -> bool:
        """Whether a worker was lost with its whole host; see the function of this name."""
        if _NODE_DIED in said or _NOT_KNOWN_YET not in said:
            return host_died(said, self._answer)
        if self._out_of_reach is None:
            self._out_of_reach = host_died(said, self._answer)
        return self._out_of_reach
