"""A search on a cluster that grows for it: Ray's own autoscaler, with hosts that are Ray's processes on one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hosts import Host, Network, without_ours
from interruptions import command, diary, ledger_path, trials_of, wait_until

from searchplat.searchers.contract import TrialState

pytestmark = [pytest.mark.by_hand, pytest.mark.slow, pytest.mark.timeout(1200)]

# Controls begin first: one goes on alone after the others.
SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2, seconds: 1.0, diary: DIARY}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: 6
controls: [{name: long, values: {epochs: LONG}}]
resources: {cpu: 1, gpu: 0}
"""
WORKERS = {"small": {"resources": {"CPU": 1}, "node_config": {}, "min_workers": 0, "max_workers": 2}}
NEWER = [
    pytest.param(True, id="newer autoscaler"),
    pytest.param(False, id="older autoscaler", marks=pytest.mark.by_hand),
]


def begin(head: Host, address: str, folder: Path, long: int) -> subprocess.Popen[str]:
    """A search with one trial of so many epochs and six short ones."""
    text = SPACE.replace("DIARY", str(folder / "diary.txt")).replace("LONG", str(long))
    (folder / "space.yaml").write_text(text)
    return head.popen(*command("--address", address), cwd=folder, PYTHONPATH=os.environ["PYTHONPATH"])


def running(folder: Path) -> int:
    if not ledger_path(folder).exists():
        return 0
    return sum(trial.state is TrialState.RUNNING for trial in trials_of(folder))


def status(head: Host, address: str) -> str:
    """What `ray status` says on the head."""
    time.sleep(2)  # each time costs as much of a processor
    before = len(head.log.read_text())
    head.popen(sys.executable, "-m", "ray.scripts.scripts", "status", f"--address={address}").wait(timeout=120)
    return head.log.read_text()[before:]


@pytest.mark.parametrize("newer", NEWER)
def test_a_cluster_without_hosts_grows_for_a_search_and_shrinks_as_its_trials_end(
    tmp_path: Path, hosts: Network, newer: bool
) -> None:
    head = hosts.growing(WORKERS, newer, without_ours(tmp_path / "bare"))
    process = begin(head, hosts.address, tmp_path, long=110)
    said = head.log.read_text
    wait_until(lambda: "room for 7 trials wanted, each of 1 CPU" in said(), "the wish", process, 120)
    wait_until(lambda: len({line.process for line in diary(tmp_path)}) == 2, "work on both hosts", process, 300)
    assert "from request_resources()" in status(head, hosts.address)

    wait_until(lambda: sum(t.state.final for t in trials_of(tmp_path)) == 6, "the end of the short ones", process, 300)
    wait_until(lambda: "has left" in said(), "the end of a host that nobody needs", process, 240)
    assert running(tmp_path) == 1
    assert process.wait(timeout=300) == 0, said()
    assert {trial.state for trial in trials_of(tmp_path)} == {TrialState.FINISHED}
    assert sum(trial.retries for trial in trials_of(tmp_path)) == 0
    alone = [line for line in diary(tmp_path) if line.trial == 0]
    beside = [line for line in diary(tmp_path) if line.trial != 0 and alone[0].at < line.at < alone[-1].at]
    assert beside, "at the same time, which one host of one processor has no room for"
    wait_until(lambda: "from request_resources()" not in status(head, hosts.address), "the withdrawal", None, 30)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_an_interrupted_or_killed_search_asked_for_is_taken_back(
    tmp_path: Path, hosts: Network, how: signal.Signals
) -> None:
    head = hosts.growing(WORKERS, newer=True, python=without_ours(tmp_path / "bare"))
    process = begin(head, hosts.address, tmp_path, long=1000)
    wait_until(lambda: "from request_resources()" in status(head, hosts.address), "the request", process, 120)
    process.send_signal(how)
    process.wait(timeout=60)
    wait_until(lambda: "from request_resources()" not in status(head, hosts.address), "the withdrawal", None, 60)
