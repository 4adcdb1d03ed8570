"""Figures for Prometheus: read off a ledger, served by a real Ray node, and what the dashboard asks for."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchplat.engine.telemetry import GAUGES, Reading, Telemetry, readings
from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective

DASHBOARD = Path(__file__).parents[3] / "dashboards" / "grafana" / "searchplat.json"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """One finished trial with two reports, one diverged, one running, one that waits again after its worker died."""
    with Ledger.create(tmp_path / "ledger.db", {}, (Objective("valid/mrr", True),)) as made:
        for info in ({"route": "design"}, {"seconds": 0.25}, {"seconds": 0.5}, {}):
            trial = made.suggest(
                stage="layout", method="darec", values={}, config={}, data_fraction=1.0, seed=0, info=info,
                based_on=made.seq,
            )  # fmt: skip
            made.start(trial.number)
        for epoch, value in ((1, 0.1), (2, 0.3)):
            made.report(0, epoch, {"valid/mrr": value, "time/train_seconds": 10.0})
        made.end(0, TrialState.FINISHED)
        made.end(1, TrialState.DIVERGED, "not finite")
        made.retry(3, "worker died")
        yield made


def read(ledger: Ledger) -> list[Reading]:
    return readings(ledger, "mine", planned=8, slots=2, gpus={"layout": 0.5}, backlog=7)


def test_readings_say_what_the_ledger_says(ledger: Ledger) -> None:
    found = {(r.name.removeprefix("searchplat_"), *sorted(r.labels.values())): r.value for r in read(ledger)}
    by_state = {r.labels["state"]: r.value for r in read(ledger) if r.name == "searchplat_trials"}
    assert set(by_state) == {state.value for state in TrialState}
    assert by_state["finished"] == by_state["diverged"] == 1
    assert by_state["running"] + by_state["waiting"] == 2
    assert found["best_value", "mine", "valid/mrr"] == 0.3
    assert found["suggestion_seconds", "layout", "mine"] == 0.5
    assert found["reports", "mine"] == 2
    assert found["retries", "mine"] == 1
    assert found["trial_seconds", "mine"] == 20
    assert found["gpu_seconds", "mine"] == 10
    assert (found["trials_planned", "mine"], found["slots", "mine"], found["outbox_events", "mine"]) == (8, 2, 7)


def test_every_reading_is_of_a_declared_gauge_with_its_labels(ledger: Ledger) -> None:
    for reading in read(ledger):
        assert set(reading.labels) == set(GAUGES[reading.name][1])
    assert {reading.name for reading in read(ledger)} == set(GAUGES)


def expressions() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_the_dashboard_asks_for_gauges_and_labels_that_exist() -> None:
    asked = set()
    for expression in expressions():
        for name, labels in re.findall(r"ray_(searchplat_\w+)(?:\{([^}]*)\})?", expression):
            asked.add(name)
            used = set(re.findall(r'(\w+)\s*(?:=~|!~|!=|=)"', labels))
            assert used <= set(GAUGES[name][1]), expression
        states = {word for group in re.findall(r'state[!=]~?"([^"]*)"', expression) for word in group.split("|")}
        assert states <= {state.value for state in TrialState}, expression
    assert asked == set(GAUGES) - {"searchplat_trial_seconds"}


@pytest.mark.slow  # starts Ray, which passes figures on every few seconds
def test_a_real_node_serves_them_and_every_query_of_the_dashboard_finds_something(ledger: Ledger) -> None:
    import ray

    from searchplat.engine.cluster.connect import connected

    with connected(None, {}):
        node = ray.nodes()[0]
        url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        with Telemetry(lambda: read(ledger), period_s=0.5) as telemetry:
            deadline = time.monotonic() + 60
            wanted = {f"ray_{name}" for name in GAUGES}
            samples: dict[str, list[str]] = {}
            while time.monotonic() < deadline and not wanted <= samples.keys():
                time.sleep(1)
                with urllib.request.urlopen(url, timeout=10) as answer:
                    text = answer.read().decode()
                samples = {}
                for line in text.splitlines():
                    if line.startswith("ray_searchplat_"):
                        samples.setdefault(re.split(r"[{ ]", line, maxsplit=1)[0], []).append(line)
        assert telemetry.error is None
    assert wanted <= samples.keys()
    assert any('state="finished"' in line and line.endswith(" 1.0") for line in samples["ray_searchplat_trials"])
    for expression in expressions():
        for name in re.findall(r"ray_searchplat_\w+", expression):
            assert samples[name], expression
