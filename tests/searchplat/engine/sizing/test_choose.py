"""Shares measured by real trainings on a real Ray: what is chosen, kept and said, and that trials do not change."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from searches import one_stage, rehearsal_spec

from searchplat.engine.cluster.connect import slots
from searchplat.engine.cluster.pool import options_of
from searchplat.engine.planning.plan import Plan
from searchplat.engine.sizing.arithmetic import Allocation, Choice, Peak, Rate, candidates
from searchplat.engine.sizing.choose import _META, Allocations, for_promotion, recorded, said
from searchplat.engine.sizing.cost_classes import cost_classes
from searchplat.engine.worker.environment import quiet_environment
from searchplat.engine.worker.order import Order
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec import find_space, load, to_document
from searchplat.spec.model import Objective, Resources, SearchSpec

# Ray leaves sockets open where the port of its dashboard is taken.
quiet = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3, seconds: 0.3}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: 6
resources: {cpu: CPU, gpu: 0, probe_s: 120}
"""


def order_of(spec: SearchSpec, folder: Path, **more: Any) -> Order:
    (one, *_) = cost_classes(spec, spec.stages[0])
    return Order(None, spec.method, {**one.config, **more}, spec.data.name, {}, 1.0, 0, 0, str(folder))


def test_an_order_says_what_ray_sets_aside_for_it(tmp_path: Path) -> None:
    share = Allocation(2, 1.0, 0.5, 1 << 30, 0.45)
    order = replace(order_of(rehearsal_spec(), tmp_path), request=share.request, gpu_fraction=share.gpu_fraction)
    assert Order.from_json(order.to_json()) == order
    assert options_of(order) == {"num_cpus": 1.0, "num_gpus": 0.5, "memory": float(1 << 30)}


def test_a_choice_is_said_and_serves_a_promotion_s_cores(tmp_path: Path) -> None:
    spec = rehearsal_spec()
    with Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), (Objective("valid/mrr", True),)) as ledger:
        auto = replace(spec, resources=Resources(cpu_auto=True))
        assert recorded(ledger) == {}
        assert said(ledger) is None
        assert for_promotion(ledger, auto) == auto.resources
        choice = Choice(Allocation(2, 4, 0.5), "2 at once on a GPU: trials an hour with 1 at once 10, 2 at once 19")
        kept = {"choices": {"k": choice.to_json()}, "stages": {"layout": "k", "weights": "k"}}
        ledger.set_meta(_META, json.dumps(kept))
        assert recorded(ledger) == {"layout": choice, "weights": choice}
        assert said(ledger) == f"layout, weights: 4 CPU, 1/2 GPU ({choice.reason})"
        assert for_promotion(ledger, auto) == Resources(cpu=4)  # a final training has a whole GPU to itself
        assert for_promotion(ledger, spec) == spec.resources


def searchplat(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "searchplat", *arguments], capture_output=True, text=True, timeout=600)


def record_of(name: str) -> Ledger:
    return SearchFolder(Path("runs"), name).read()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_cores_are_shared_out_by_measuring_once_and_trials_are_those_without(tmp_path: Path) -> None:
    for name, cpu in (("auto", "auto"), ("one", "1")):
        (tmp_path / f"{name}.yaml").write_text(SPACE.replace("CPU", cpu))
        done = searchplat("search", f"{name}.yaml")
        assert done.returncode == 0, done.stdout + done.stderr
        assert ("stage search: a trial takes" in done.stdout + done.stderr) == (cpu == "auto")
    with record_of("auto") as auto, record_of("one") as one:

        def points(ledger: Ledger) -> list[Any]:
            return [(t.number, t.values, t.seed, t.state, t.epoch, t.objectives) for t in ledger.trials()]

        assert points(auto) == points(one)
        assert recorded(one) == {}
        choice = recorded(auto)["search"]
        measured = [event for event in auto.events() if event.kind == "packed"]
    # Epochs that sleep: as many at once as there are cores finish so many times as many an hour.
    assert [rate.parts for rate in choice.rates][:2] == [1, 2]
    assert choice.share.parts > 1
    assert choice.share.memory_bytes is not None
    assert [peak.name for peak in choice.peaks] == ["defaults"]
    assert len(measured) == 1
    assert measured[0].payload["stages"] == ["search"]
    assert (
        json.loads(searchplat("status", "auto", "--json").stdout)["share"]
        == f"search: {choice.share.words()} ({choice.reason})"
    )

    again = searchplat("search", "auto.yaml", "--trials", "8")
    assert again.returncode == 0, again.stdout + again.stderr
    with record_of("auto") as auto:
        assert len(auto.trials()) == 8
        assert sum(event.kind == "packed" for event in auto.events()) == 1  # nothing is measured twice
        assert recorded(auto)["search"] == choice
    assert not (Path("runs") / "auto" / "scratch").exists()


@pytest.fixture(scope="module")
def ray_with_a_gpu_in_name() -> Iterator[Any]:
    """Two cores, and a GPU that Ray hands out and Torch does not see."""
    import ray

    ray.init(
        address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False,
        runtime_env={"env_vars": quiet_environment()},
    )  # fmt: skip
    yield ray
    ray.shutdown()


def run_measure(spec: SearchSpec, probes: list[tuple[str, Order]], folder: Path, **more: Any) -> Any:
    from searchplat.engine.sizing.probe import machine, measure

    where = machine(on_gpu=False)
    assert where is not None
    told = {"epochs": 2, "epochs_left": 10, "budget_s": 300.0, "folder": folder, "stopping": lambda: False, **more}
    return measure(probes, candidates(where[0], Resources(gpu=0, cpu_auto=True)), where, **told)


@pytest.mark.by_hand
@quiet
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_what_goes_wrong_while_measuring_is_said_and_no_more(ray_with_a_gpu_in_name: Any, tmp_path: Path) -> None:
    spec = one_stage(rehearsal_spec(), 3)
    for fault, said_ in (
        ("raise", "defaults ended as bug: RuntimeError: a planted bug"),
        ("memory", "defaults ended as infeasible: out of memory: planted"),
        ("kill", "a process died while it was measured"),
    ):
        order = order_of(spec, tmp_path, fault=fault, fault_epoch=1)
        found = run_measure(spec, [("defaults", order)], tmp_path / fault)
        assert found.rates == []
        assert found.cause.startswith(said_), found
    slow = order_of(spec, tmp_path, seconds=30.0)
    assert run_measure(spec, [("slow", slow)], tmp_path / "a", budget_s=1.0).cause == "the time for measuring is up"
    assert run_measure(spec, [("slow", slow)], tmp_path / "b", stopping=lambda: True).cause == "interrupted"
    quick = order_of(spec, tmp_path, seconds=0.1)
    found = run_measure(spec, [("quick", quick)], tmp_path / "c", budget_s=None)
    assert found.cause is not None
    assert found.cause.startswith("measuring would take about")


@pytest.mark.by_hand
@quiet
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_real_method_is_measured_at_the_scale_smoke(ray_with_a_gpu_in_name: Any, tmp_path: Path) -> None:
    from searchplat.assets import AssetStore
    from searchplat.contract import DataRequest
    from searchplat.methods import load_method

    spec = load(find_space("darec"), scale="smoke")
    stage = spec.stages[0]
    method = load_method("darec")
    request = DataRequest(spec.data.name, spec.data.options, stage.data_fraction, spec.seed)
    classes = cost_classes(spec, stage)
    method.prepare(method.Config(**classes[0].config), request, AssetStore())
    probes = [
        (
            one.name,
            Order(None, "darec", one.config, spec.data.name, dict(spec.data.options), stage.data_fraction, 1, 3, ""),
        )
        for one in classes
    ]
    found = run_measure(spec, probes, tmp_path / "probes")
    assert found.cause is None, found
    assert [peak.name for peak in found.peaks] == ["all serial", "all parallel", "random layout"]
    assert all(peak.host_bytes > 50 << 20 and peak.seconds > 0 and peak.gpu_bytes is None for peak in found.peaks)
    assert [rate.parts for rate in found.rates] == [1, 2]
    assert all(rate.per_hour > 0 for rate in found.rates)
    # What ran two at once needed what one alone was seen to, within the margin that was set aside.
    assert found.rates[1].host_bytes <= found.shares[1].memory_bytes


@quiet
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_gpu_that_nobody_can_measure_is_given_whole(ray_with_a_gpu_in_name: Any, tmp_path: Path) -> None:
    from searchplat.engine.shutdown.shutdown import Shutdown
    from searchplat.engine.sizing.probe import machine

    spec = one_stage(rehearsal_spec({"seconds": 0.1}, resources=Resources(probe_s=600.0)), 3)
    told: list[str] = []
    with Ledger.create(tmp_path / "ledger.sqlite", to_document(spec), spec.objectives) as ledger:

        def shares(of: SearchSpec) -> Allocations:
            made = Allocations(of, ledger, Plan(of, ledger), tmp_path / "scratch", Shutdown(), told.append, told.append)
            made.measure()
            return made

        found = shares(spec)
        assert told[0] == "measuring how many trials of stage search run best at once"
        assert told[1].startswith("stage search: a trial takes 1 CPU, 1 GPU;")
        assert "2 at once would not fit" in told[1]
        assert (found.gpus["search"], slots(found.resources())) == (1.0, 1)

        # As if this GPU had been measured: the kept choice is taken, two trials fit, each with half of it.
        where = machine(on_gpu=True)
        assert where is not None
        assert where[0].gpus == 1
        peak = Peak("defaults", 0.1, 0.0, 100 << 20, 20 << 30, 18 << 30, 1 << 30, 80 << 30)
        half = Allocation(2, 1, 0.5, 120 << 20, 39 / 80)
        kept = Choice(half, "measured", (peak,), (Rate(1, 10, 1), Rate(2, 19, 1)), 1.0, where[0].name)
        key = found._key(spec.stages[0], where[0])
        ledger.set_meta(_META, json.dumps({"choices": {key: kept.to_json()}, "stages": {}}))
        again = shares(spec)
        assert len(told) == 2
        assert (again.gpus["search"], slots(again.resources())) == (0.5, 2)

        # What the space says goes before what was measured, and a stage that is too short is not measured.
        assert shares(replace(spec, resources=Resources(gpu=1.0))).gpus["search"] == 1.0
        short = replace(spec, resources=Resources(concurrent=7))
        assert shares(short).gpus["search"] == 1.0
        assert "probe_s" in told[-1]
