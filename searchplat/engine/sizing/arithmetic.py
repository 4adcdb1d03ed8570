"""How much of a machine a trial should take: arithmetic from measurements to a choice. Measures nothing itself.

A unit is what is shared out: a GPU, or the cores of a node where trials take no GPU. One trial at a time on a unit
is compared with two and four on a GPU, and with two, four, and so on down to one core each on cores. `probe` measures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from searchplat.spec.model import Resources

MARGIN = 1.2
"""What memory is set aside, by what was measured: one epoch of a few configurations is not every trial."""

GAIN = 1.05
"""More trials at once must finish at least so many times as many an hour: what runs together cannot learn from each
other, and a measurement is not exact."""

PROBING_SHARE = 0.05
"""Of a stage's expected time that measuring may take where the space does not say."""

_MOST_ON_A_GPU = 4


@dataclass(frozen=True)
class Machine:
    """The smallest node that trials may run on, and what the cluster has of units.

    Args:
        cores, gpus: Of the node.
        memory_bytes: Of the node, that Ray hands out.
        units: Of the whole cluster: GPUs, or nodes where there is none.
        kind: What the node's GPUs are called, empty without any.
    """

    cores: int
    memory_bytes: float
    gpus: int = 0
    units: int = 1
    kind: str = ""

    @property
    def name(self) -> str:
        """By what a choice is known to be one for this kind of machine; memory that is free varies from day to day."""
        return f"{self.cores} cores, {self.gpus} GPUs {self.kind}".strip()


@dataclass(frozen=True)
class Allocation:
    """What one trial takes.

    Args:
        parts: Trials at once on a unit, >= 1.
        cpu: Cores; its threads are the whole ones, at least one.
        gpu: Of a GPU, in [0, 1].
        memory_bytes: Of the node, that Ray sets aside; None for none.
        gpu_fraction: Of the GPU's memory that the trial's process may allocate, in (0, 1); None for no bound.
    """

    parts: int
    cpu: float
    gpu: float = 0.0
    memory_bytes: int | None = None
    gpu_fraction: float | None = None

    @property
    def request(self) -> dict[str, float]:
        """What Ray sets aside."""
        memory = {} if self.memory_bytes is None else {"memory": float(self.memory_bytes)}
        return {"cpu": self.cpu, "gpu": self.gpu, **memory}

    @property
    def threads(self) -> int:
        """Of a trial."""
        return max(1, int(self.cpu))

    def of(self, resources: Resources, gpu: bool = True) -> Resources:
        """The space's resources with this share in place of `auto`; without `gpu` only of the cores."""
        return replace(resources, cpu=self.cpu, cpu_auto=False, gpu=self.gpu if gpu else resources.gpu)

    def words(self) -> str:
        """For people: `1 CPU, 1/2 GPU`."""
        gpu = f"1/{self.parts} GPU" if self.gpu and self.parts > 1 else f"{self.gpu:g} GPU"
        return f"{self.cpu:g} CPU, {gpu}"


@dataclass(frozen=True)
class Peak:
    """What one probe training was seen to need.

    Args:
        name: Which configuration, e.g. `all serial`.
        seconds: Of its epoch, evaluation included.
        setup_seconds: Until the epoch began.
        host_bytes: Largest resident memory of its process.
        gpu_bytes: Largest memory that its process held of the GPU through Torch; None if no GPU was measured.
        gpu_allocated_bytes: The part of it that tensors took.
        gpu_overhead_bytes: Memory of the GPU in use beside that: the context of the process, and other processes.
        gpu_total_bytes: Of the GPU.
    """

    name: str
    seconds: float
    setup_seconds: float
    host_bytes: int
    gpu_bytes: int | None = None
    gpu_allocated_bytes: int | None = None
    gpu_overhead_bytes: int = 0
    gpu_total_bytes: int = 0


@dataclass(frozen=True)
class Rate:
    """Trials an hour on one unit, measured with `parts` trainings at once, and the largest peaks among them."""

    parts: int
    per_hour: float
    host_bytes: int
    gpu_bytes: int | None = None


@dataclass(frozen=True)
class Choice:
    """A share and why.

    Args:
        reason: In words, for people.
        seconds: That measuring took.
        machine: `Machine.name`.
    """

    share: Allocation
    reason: str
    peaks: tuple[Peak, ...] = ()
    rates: tuple[Rate, ...] = ()
    seconds: float = 0.0
    machine: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` reads."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Choice:
        """The choice that `to_json` wrote."""
        return cls(
            share=Allocation(**document["share"]),
            reason=document["reason"],
            peaks=tuple(Peak(**peak) for peak in document["peaks"]),
            rates=tuple(Rate(**rate) for rate in document["rates"]),
            seconds=document["seconds"],
            machine=document["machine"],
        )


def candidates(machine: Machine, resources: Resources) -> list[Allocation]:
    """The shares that come into question before anything was measured, the largest first; one if nothing is `auto`.

    Cores are never handed out twice, and a smaller share than lets `concurrent` trials run is not looked at.
    """
    on_gpu = resources.gpu is None and machine.gpus > 0
    whole = _whole(machine, resources)
    if not (on_gpu or (resources.cpu_auto and not resources.gpu)):
        return [whole]
    found, parts = [whole], 2
    while parts <= (_MOST_ON_A_GPU if on_gpu else machine.cores):
        enough = resources.concurrent is not None and parts // 2 * machine.units >= resources.concurrent
        cpu = machine.cores // (parts * (machine.gpus if on_gpu else 1)) if resources.cpu_auto else resources.cpu
        if enough or cpu * parts * (machine.gpus if on_gpu else 1) > machine.cores or cpu <= 0:
            break
        found.append(Allocation(parts, cpu, 1 / parts if on_gpu else 0.0))
        parts *= 2
    return found


def unmeasured(machine: Machine, resources: Resources) -> Allocation:
    """The share where nothing is measured: a whole GPU where there is one, one core unless the space says more."""
    on_gpu = resources.gpu is None and machine.gpus > 0
    return Allocation(1, resources.cpu, 1.0 if on_gpu else resources.gpu or 0.0)


def _whole(machine: Machine, resources: Resources) -> Allocation:
    """One trial at a time on a unit."""
    share = unmeasured(machine, resources)
    if not resources.cpu_auto:
        return share
    part = min(1.0, share.gpu / max(1, machine.gpus)) if share.gpu else 1.0
    return replace(share, cpu=max(1, int(machine.cores * part)))


def sized(share: Allocation, peaks: Sequence[Peak], machine: Machine, margin: float = MARGIN) -> Allocation | None:
    """The share with the memory that it is to hold to; None if trials that large do not fit so many at once.

    A whole unit is always taken to fit, without bounds: there is nothing smaller than one trial at a time.

    Args:
        peaks: Of probe trainings that had a whole unit, at least one.
        margin: What is set aside, by the largest peak.
    """
    if share.parts == 1:
        return share
    host = math.ceil(margin * max(peak.host_bytes for peak in peaks))
    if host * share.parts * max(1, machine.gpus if share.gpu else 1) > machine.memory_bytes:
        return None
    if not share.gpu:
        return replace(share, memory_bytes=host)
    total = min(peak.gpu_total_bytes for peak in peaks)
    if total <= 0 or any(peak.gpu_bytes is None for peak in peaks):
        return None  # what was not measured is not promised
    need = margin * max(peak.gpu_bytes or 0 for peak in peaks)
    # The context of every process comes out of its share, for Torch's own bound does not count it.
    room = share.gpu * total - max(peak.gpu_overhead_bytes for peak in peaks)
    if need > room or room <= 0:
        return None
    return replace(share, memory_bytes=host, gpu_fraction=room / total)


def trials_per_hour(epochs: int, timings: Sequence[tuple[float, float]]) -> float:
    """How many trials end in an hour where each line of (seconds to set up, seconds an epoch) is a process at work.

    >>> trials_per_hour(5, [(2.0, 10.0), (2.0, 10.0)])
    138.46153846153845
    """
    return sum(3600 / max(1e-9, setup + epochs * epoch) for setup, epoch in timings)


def best(rates: Sequence[Rate], gain: float = GAIN) -> Rate:
    """The rate whose share is to be taken; of two that are about equal, the one with fewer trials at once.

    >>> best([Rate(1, 100, 1), Rate(2, 104, 1), Rate(4, 130, 1)]).parts
    4
    """
    chosen = rates[0]
    for rate in rates[1:]:
        if rate.per_hour >= chosen.per_hour * gain:
            chosen = rate
    return chosen


def probing_epochs(classes: int, shares: Sequence[Allocation]) -> int:
    """Epochs that measuring costs at most, in epochs of one trial with a whole unit.

    Each class once, one of them once more with everything warm, then for each smaller share twice as many as run at
    once: should they run no faster together than in turn, that is how long they take.
    """
    return classes + 1 + sum(2 * share.parts for share in shares if share.parts > 1)


def pays(classes: int, shares: Sequence[Allocation], epochs_left: int) -> bool:
    """Whether a stage with so many epochs of trials before it is long enough for measuring.

    >>> halves, quarters = Allocation(2, 1, 0.5), Allocation(4, 1, 0.25)
    >>> pays(3, [Allocation(1, 1, 1), halves, quarters], 320), pays(1, [Allocation(1, 2), Allocation(2, 1)], 20)
    (True, False)
    """
    return probing_epochs(classes, shares) <= PROBING_SHARE * epochs_left


def reason(unit: str, rates: Sequence[Rate], refused: Sequence[int], chosen: Rate) -> str:
    """Why a share was chosen, in words.

    Args:
        unit: `GPU` or `node`.
        refused: Numbers of trials at once that did not fit.
    """
    measured = ", ".join(f"{rate.parts} at once {rate.per_hour:.3g}" for rate in rates)
    said = f"{chosen.parts} at once on a {unit}: trials an hour with {measured}"
    if refused:
        said += f"; {' and '.join(map(str, refused))} at once would not fit into memory"
    return said
