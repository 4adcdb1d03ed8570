"""Keeps idle trial processes for the next trials, whatever order things happen in.

Tune keeps a finished trial's process only while a next trial already waits for one, or if it is the only idle one; and
it gives an idle process to a trial whose own is still starting, which it then ends. With several slots, suggestions
that take a moment, and trials shorter than a process takes to start, it would end processes and start others all the
time, each of which loads libraries and the backbone again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Any

from ray.tune.utils.object_cache import _ObjectCache

_START_S = 300.0
"""Seconds after which one that has not started gives its trial to an idle one: perhaps there is no room for it."""

_ALL = 1_000_000


class IdleProcesses(_ObjectCache):
    """Tune's store of idle processes, by what they hold of the cluster.

    Not a public class of Tune's; Ray is pinned to the minor version in which it was read, and a test counts processes.
    """

    def __init__(self) -> None:
        super().__init__(may_keep_one=True)
        self._keep: Callable[[], int] = lambda: _ALL
        self._wanted: set[Any] = set()  # what waiting trials are to hold of the cluster
        self._reserved = False
        self._starting: dict[Any, float] = {}  # trial -> since when its own process has been starting

    def update(self, wrapped_controller: Any, keep: Callable[[], int], reserve: bool) -> None:
        """Look at what is going on; called before trials get their processes.

        Args:
            wrapped_controller: What a Tune scheduler is given.
            keep: Says how many idle processes may be kept: slots that trials may still come to. What others hold is
                free for other programs on the cluster, another search among them. Asked when it matters, since a trial
                ends, and leaves its slot and its process, after this call.
            reserve: Whether trials come as soon as they are computed, so that idle processes wait for those.
        """
        controller = wrapped_controller._tune_controller
        now = time.monotonic()
        waiting = [
            trial
            for trial in controller._staged_trials
            if (process := controller._trial_to_actor.get(trial)) is not None
            and process not in controller._started_actors
        ]
        self._starting = {trial: self._starting.get(trial, now) for trial in waiting}
        self._wanted = {trial.placement_group_factory for trial in controller._pending_trials}
        self._keep = keep
        self._reserved = reserve and any(now - since < _START_S for since in self._starting.values())

    @property
    def num_cached_objects(self) -> int:
        """Idle processes for trials whose own are still starting. Trials without one get theirs in another way."""
        return 0 if self._reserved else int(self._num_cached_objects)

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Take in an idle process; always, as `flush_cached_objects` comes before the next trials do."""
        self._cached_objects[key].append(obj)
        self._num_cached_objects += 1
        return True

    def flush_cached_objects(self, force_all: bool = False) -> Generator[Any, None, None]:
        """Processes that are to be ended: those beyond what may be kept, and those of a kind that nobody waits for."""
        keep = self._keep()
        for kind, idle in list(self._cached_objects.items()):
            # Stages may differ in what their trials hold: nothing is kept from those that wait.
            unwanted = bool(self._wanted) and kind not in self._wanted
            while idle and (force_all or unwanted or self._num_cached_objects > keep):
                self._num_cached_objects -= 1
                yield idle.pop(0)


def look_after(wrapped_controller: Any) -> IdleProcesses:
    """Have Tune keep idle processes in our way.

    Args:
        wrapped_controller: What a Tune scheduler is given.
    """
    controller = wrapped_controller._tune_controller
    if not isinstance(controller._actor_cache, IdleProcesses):  # before the first trial, so it is empty
        controller._actor_cache = IdleProcesses()
    found: IdleProcesses = controller._actor_cache
    return found
