"""Whether a machine has room for a trial. Knows nothing of Ray, so that it can be said before Ray starts.

A trial for which no machine has room would wait for ever, without a word: Ray keeps what it cannot place.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from searchplat.engine.cluster.auth import is_own
from searchplat.errors import InputError
from searchplat.spec.model import Resources

Has = Mapping[str, float]
"""What a machine has, by Ray's names: `{"CPU": 2.0, "GPU": 1.0}`."""

_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd", "/dev/dri")
"""What Linux shows where a GPU has a driver: NVIDIA's, that of Windows' subsystem, AMD's, and anybody's."""


@dataclass(frozen=True)
class Lack:
    """Why a trial has no room on a machine.

    Args:
        key: Of the space file.
        rule: What a trial takes, and what there is.
        most: What would fit.
    """

    key: str
    rule: str
    most: float

    @property
    def remedy(self) -> str:
        """What to do about it in a search."""
        return f"take less (--set {self.key}={self.most:g}), or connect to a cluster that has them with --address"


def this_machine() -> Has:
    """What a Ray of our own has here at most.

    Containers may be allowed fewer cores; and GPUs are Ray's to count, which asks the driver of each maker. Where no
    driver is there are none.
    """
    none = sys.platform == "linux" and not any(Path(driver).exists() for driver in _DRIVERS)
    return {"CPU": float(os.cpu_count() or 1), "GPU": 0.0 if none else math.inf}


def workers_on(machine: Has, resources: Resources) -> int:
    """Workers of trials for which a machine has room; a trial of one process is its own worker.

    >>> workers_on({"CPU": 4.0, "GPU": 1.0}, Resources(cpu=1, gpu=0.5)), workers_on({"CPU": 2.0}, Resources(cpu=4))
    (2, 0)
    """
    takes = {"CPU": resources.cpu, "GPU": resources.gpu or 0.0}
    return int(min(machine.get(name, 0.0) / amount for name, amount in takes.items() if amount) + 1e-9)


def lack(resources: Resources, machine: Has) -> Lack | None:
    """Why a trial has no room on a machine that has nothing else to do; None if it has.

    >>> lack(Resources(cpu=4), {"CPU": 2.0}).rule
    'a trial takes 4 CPU cores, and this machine has 2'
    >>> lack(Resources(cpu=1, gpu=1), {"CPU": 2.0}).remedy
    'take less (--set resources.gpu=0), or connect to a cluster that has them with --address'
    """
    fit = workers_on(machine, resources)
    if fit >= resources.workers:
        return None
    cpu, gpu = machine.get("CPU", 0.0), machine.get("GPU", 0.0)
    who = "a trial" if resources.workers == 1 else "each worker of a trial"
    if resources.cpu > cpu:
        return Lack("resources.cpu", f"{who} takes {resources.cpu:g} CPU cores, and this machine has {cpu:g}", cpu)
    if (resources.gpu or 0.0) > gpu:
        return Lack("resources.gpu", f"{who} takes {resources.gpu:g} GPU, and this machine has {gpu:g}", gpu)
    each = f"{resources.cpu:g} CPU" + (f" and {resources.gpu:g} GPU" if resources.gpu else "")
    rule = f"a trial takes {resources.workers} workers of {each} each, and this machine has room for {fit}"
    return Lack("resources.workers", rule, fit)


def check_room(
    resources: Resources, address: str | None, machine: Has | None = None, remedy: str | None = None
) -> None:
    """Refuse trials for which a Ray of our own, which cannot grow, will never have room.

    Args:
        address: As `auth.check_cluster` gives it; a cluster that was there before may grow.
        machine: What this machine has; by default what can be known of it without Ray.
        remedy: What to do about it; by default what one does about a search.

    Raises:
        InputError: If there is no room.
    """
    if is_own(address) and (found := lack(resources, this_machine() if machine is None else machine)) is not None:
        raise InputError(f"{found.key}: {found.rule}, so it would wait for ever; {remedy or found.remedy}")


def check_workers(workers: int, resources: Resources, fit: int) -> None:
    """Refuse more processes for one model of a promotion than there is room for.

    Args:
        resources: What each takes.
        fit: How many there is room for.

    Raises:
        InputError: If there is no room for all.
    """
    if workers > max(1, fit):
        raise InputError(
            f"--workers: {workers} workers of {resources.cpu:g} CPU each must fit, and there is room for {fit}; ask "
            "for fewer, or connect to a larger cluster with --address"
        )
