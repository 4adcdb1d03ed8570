"""Keeps idle trial processes for the next trials, whatever order things happen in.

Tune keeps a finished trial's process only while a next trial already waits for one, or if it is the only idle one. With
several slots, and suggestions that take a moment, it would therefore end processes and start others, which load
libraries and the backbone again.
"""

from __future__ import annotations

from typing import Any

_ENOUGH = 1_000_000
"""More than any cluster has slots."""


def keep_idle_processes(wrapped_controller: Any, trial: Any) -> None:
    """Let Tune keep every idle process that was made for what `trial` needs.

    Args:
        wrapped_controller: What a Tune scheduler is given.
        trial: A Tune trial; its kind of resources is what counts.
    """
    cache = _cache(wrapped_controller)
    kind = trial.placement_group_factory
    if cache._max_num_objects[kind] < _ENOUGH // 2:
        cache.increase_max(kind, by=_ENOUGH)


def let_idle_processes_go(wrapped_controller: Any) -> None:
    """Undo `keep_idle_processes`: what idle processes hold is free for others on the cluster."""
    cache = _cache(wrapped_controller)
    for kind, most in cache._max_num_objects.items():
        if most >= _ENOUGH // 2:
            cache.decrease_max(kind, by=_ENOUGH)


def _cache(wrapped_controller: Any) -> Any:
    # Not a public setting; Ray is pinned to the minor version in which it was read, and a test counts the processes.
    return wrapped_controller._tune_controller._actor_cache
