"""From measurements to a share: what is chosen fits, and nothing is handed out twice."""

from __future__ import annotations

import json
import math

from hypothesis import example, given
from hypothesis import strategies as st

from searchplat.engine.sizing.arithmetic import (
    GAIN,
    MARGIN,
    PROBING_SHARE,
    Allocation,
    Choice,
    Machine,
    Peak,
    Rate,
    best,
    candidates,
    pays,
    probing_epochs,
    reason,
    sized,
    trials_per_hour,
    unmeasured,
)
from searchplat.spec.model import Resources

GIB = 1 << 30
LAPTOP = Machine(cores=8, memory_bytes=16 * GIB)
SERVER = Machine(cores=16, memory_bytes=128 * GIB, gpus=2, units=2, kind="H200")

machines = st.builds(
    Machine,
    cores=st.integers(1, 256),
    memory_bytes=st.floats(GIB, 1024 * GIB),
    gpus=st.integers(0, 8),
    units=st.integers(1, 64),
)
wishes = st.builds(
    Resources,
    cpu=st.sampled_from([0.5, 1, 2, 3]),
    gpu=st.sampled_from([None, 0.0, 0.5, 1.0]),
    concurrent=st.none() | st.integers(1, 64),
    cpu_auto=st.booleans(),
)
peaks = st.builds(
    Peak,
    name=st.just("a"),
    seconds=st.floats(0.01, 100),
    setup_seconds=st.floats(0, 10),
    host_bytes=st.integers(1, 64 * GIB),
    gpu_bytes=st.none() | st.integers(0, 100 * GIB),
    gpu_overhead_bytes=st.integers(0, 4 * GIB),
    gpu_total_bytes=st.just(80 * GIB),
)


@given(machines, wishes)
def test_candidates_hand_out_every_core_and_gpu_once(machine: Machine, resources: Resources) -> None:
    found = candidates(machine, resources)
    assert found[0].parts == 1
    assert [share.parts for share in found] == [2**i for i in range(len(found))]
    for share in found[1:]:
        at_once = share.parts * (machine.gpus if share.gpu else 1)
        assert share.cpu * at_once <= machine.cores
        assert share.gpu * share.parts <= 1
        assert share.parts <= (4 if share.gpu else machine.cores)


@given(machines, wishes)
def test_what_is_not_auto_is_as_the_space_says(machine: Machine, resources: Resources) -> None:
    found = candidates(machine, resources)
    if not resources.cpu_auto:
        assert {share.cpu for share in found} == {resources.cpu}
    if resources.gpu is not None:
        assert {share.gpu for share in found} == {resources.gpu}
    if not resources.cpu_auto and (resources.gpu is not None or machine.gpus == 0):
        assert found == [unmeasured(machine, resources)]  # and nothing will be measured


@given(machines, wishes, st.lists(peaks, min_size=1, max_size=4))
def test_what_fits_does_fit_with_its_margin(machine: Machine, resources: Resources, measured: list[Peak]) -> None:
    for share in candidates(machine, resources):
        fitting = sized(share, measured, machine)
        if share.parts == 1:
            assert fitting == share
        elif fitting is not None:
            assert fitting.memory_bytes is not None
            assert fitting.memory_bytes >= MARGIN * max(peak.host_bytes for peak in measured)
            at_once = share.parts * (machine.gpus if share.gpu else 1)
            assert fitting.memory_bytes * at_once <= machine.memory_bytes
            if share.gpu:
                assert fitting.gpu_fraction is not None
                assert fitting.gpu_fraction > 0
                for peak in measured:
                    assert peak.gpu_bytes is not None
                    allowed = fitting.gpu_fraction * peak.gpu_total_bytes
                    assert allowed >= peak.gpu_bytes * MARGIN * (1 - 1e-9)
                    # The contexts of all processes fit beside what they may allocate.
                    assert (allowed + peak.gpu_overhead_bytes) * share.parts <= peak.gpu_total_bytes * (1 + 1e-9)


def test_shares_of_cores_and_gpus() -> None:
    cores = candidates(LAPTOP, Resources(cpu_auto=True))
    assert [(share.parts, share.cpu, share.gpu) for share in cores] == [(1, 8, 0), (2, 4, 0), (4, 2, 0), (8, 1, 0)]
    gpus = candidates(SERVER, Resources())
    assert [(share.parts, share.cpu, share.gpu) for share in gpus] == [(1, 1, 1), (2, 1, 0.5), (4, 1, 0.25)]
    both = candidates(SERVER, Resources(cpu_auto=True))
    assert [(share.parts, share.cpu, share.gpu) for share in both] == [(1, 8, 1), (2, 4, 0.5), (4, 2, 0.25)]
    assert len(candidates(SERVER, Resources(cpu=4))) == 2  # a fourth of a GPU would want 32 cores of 16


def test_no_smaller_share_than_lets_the_trials_run_that_may() -> None:
    assert len(candidates(SERVER, Resources(concurrent=2))) == 1  # two GPUs, two trials
    assert len(candidates(SERVER, Resources(concurrent=3))) == 2
    assert [share.cpu for share in candidates(LAPTOP, Resources(cpu_auto=True, concurrent=1))] == [8]


def test_a_share_says_what_ray_and_torch_are_told() -> None:
    small = sized(Allocation(2, 4, 0.5), [Peak("a", 1, 1, 4 * GIB, 20 * GIB, 18 * GIB, GIB, 80 * GIB)], SERVER)
    assert small is not None
    assert small.request == {"cpu": 4, "gpu": 0.5, "memory": math.ceil(MARGIN * 4 * GIB)}
    assert small.gpu_fraction == 39 / 80  # half, less what the process takes by being there
    assert (small.threads, small.words()) == (4, "4 CPU, 1/2 GPU")
    assert sized(Allocation(4, 4, 0.25), [Peak("a", 1, 1, GIB, 20 * GIB, 0, GIB, 80 * GIB)], SERVER) is None
    assert sized(Allocation(2, 4, 0.5), [Peak("a", 1, 1, GIB)], SERVER) is None  # nobody measured the GPU
    assert sized(Allocation(2, 4), [Peak("a", 1, 1, 7 * GIB)], LAPTOP) is None
    assert small.of(Resources(cpu_auto=True)) == Resources(cpu=4, gpu=0.5)
    assert small.of(Resources(cpu_auto=True), gpu=False) == Resources(cpu=4)


@given(st.lists(st.floats(0.1, 1e6), min_size=1, max_size=6))
@example([664322.0, 697533.0, 732409.0])  # the middle one is about equal to either
def test_the_best_rate_is_as_good_as_any_but_for_the_gain(speeds: list[float]) -> None:
    rates = [Rate(2**i, speed, 1) for i, speed in enumerate(speeds)]
    chosen = best(rates)
    assert chosen.per_hour * GAIN >= max(speeds) * (1 - 1e-9)
    assert all(chosen.per_hour >= rate.per_hour for rate in rates if rate.parts < chosen.parts)
    assert chosen == rates[0] or chosen.per_hour >= rates[0].per_hour * GAIN


def test_trials_an_hour_and_when_measuring_pays() -> None:
    assert trials_per_hour(10, [(5.0, 1.0)]) == 240
    assert trials_per_hour(10, [(5.0, 1.0)] * 2) == 480
    shares = candidates(SERVER, Resources())
    assert probing_epochs(3, shares) == 16
    assert not pays(3, shares, math.ceil(16 / PROBING_SHARE) - 1)
    assert pays(3, shares, math.ceil(16 / PROBING_SHARE))


def test_a_choice_survives_the_ledger_and_says_why() -> None:
    rates = (Rate(1, 100.0, GIB, 2 * GIB), Rate(2, 150.0, GIB, 2 * GIB))
    why = reason("GPU", rates, [4], rates[1])
    assert (
        why
        == "2 at once on a GPU: trials an hour with 1 at once 100, 2 at once 150; 4 at once would not fit into memory"
    )
    choice = Choice(Allocation(2, 1, 0.5, GIB, 0.4), why, (Peak("a", 1, 1, GIB),), rates, 12.5, SERVER.name)
    assert Choice.from_json(json.loads(json.dumps(choice.to_json()))) == choice
