"""Searches on real clusters of several hosts: what they need reaches them, and they may come and go."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from hosts import Host, Network, without_ours
from interruptions import check_nothing_lost, command, diary, trials_of, wait_until

from searchplat.searchers.contract import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 5, seconds: 0.5, diary: DIARY}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: TRIALS
resources: {cpu: 1, gpu: 0}
"""
REAL = """
method: popularity
data: {name: ml-100k}
objective: {metric: valid/mrr, direction: maximize}
controls: [{name: again, method: popularity, trials: 11}]
resources: {cpu: 1, gpu: 0}
"""


def write(folder: Path, text: str, trials: int = 0, name: str = "space") -> None:
    text = text.replace("DIARY", str(folder / f"diary{'' if name == 'space' else '-' + name}.txt"))
    (folder / f"{name}.yaml").write_text(text.replace("TRIALS", str(trials)))


def search(host: Host, address: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`searchplat search space.yaml --address ...` on a host; this process's code, which the hosts have not."""
    return host.popen(
        *command("--address", address, *arguments), cwd=folder, PYTHONPATH=os.environ["PYTHONPATH"]
    )  # fmt: skip


def at_work(folder: Path, host: Host) -> bool:
    """Whether an epoch was begun on the host."""
    own = set(host.processes())
    return any(line.process in own for line in diary(folder))


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, out + err
    return out + err


def test_a_host_that_dies_costs_no_trial_and_one_that_joins_a_full_cluster_soon_has_work(
    tmp_path: Path, hosts: Network
) -> None:
    bare = without_ours(tmp_path / "bare")
    first, second = (hosts.host(1, bare) for _ in range(2))
    write(tmp_path, SPACE, trials=24)
    process = search(first, hosts.address, tmp_path)
    for host in (first, second):
        wait_until(lambda host=host: at_work(tmp_path, host), f"work on {host.name}", process, 240)  # type: ignore[misc]

    third = hosts.host(1, bare)
    joined = time.monotonic()
    wait_until(lambda: at_work(tmp_path, third), "work on host3", process, 120)
    waited = time.monotonic() - joined
    print(f"a host that joined while all slots were taken had work after {waited:.1f} s")

    before = trials_of(tmp_path)
    second.kill()
    killed = time.monotonic()
    wait_until(lambda: sum(t.retries for t in trials_of(tmp_path)) > 0, "a retry", process, 120)
    print(f"a host's death was noticed after {time.monotonic() - killed:.1f} s")
    said = finish(process)
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    assert len(after) == 24
    assert {trial.state for trial in after} == {TrialState.FINISHED}
    assert sum(trial.retries for trial in after) == 1
    redone = sum(Counter((line.trial, line.epoch) for line in diary(tmp_path)).values()) - 24 * 5
    print(f"taken up again: 1 trial, epochs begun twice: {redone}")
    assert redone <= 1
    assert "host3" in said
    assert "has left" in said
    assert waited < 10
