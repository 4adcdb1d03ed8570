"""Whether a trial's worker died alone or with its whole host: the one counts against the trial, the other does not."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

_FAILURE = "Failure # "
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


def host_died(trial: Any, answer: Callable[[], bool] = all_answer) -> bool:
    """Whether a trial's last failure was that its node was lost.

    Tune keeps what Ray said in a text beside the trial, in the driver's own folder; its callbacks are not told. Where
    that says only that the worker is out of reach, the hosts are asked: which one it was on, nobody tells.

    Args:
        trial: Tune's.
        answer: Whether all hosts do.
    """
    path = trial.error_file
    if path is None or not Path(path).exists():
        return False
    said = Path(path).read_text(encoding="utf-8", errors="replace").rpartition(_FAILURE)[2]
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
