"""Searches on real clusters of several hosts: what they need reaches them, and they may come and go."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hosts import Host, Network, without_ours
from interruptions import check_nothing_lost, command, diary, ledger_path, trials_of, wait_until

from searchplat.assets import AssetStore
from searchplat.ledger import Ledger
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


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter with libraries and without our code."""
    return without_ours(tmp_path / "bare")


def search(
    host: Host, address: str, folder: Path, space: str = "space.yaml", **variables: str
) -> subprocess.Popen[str]:
    """`searchplat search ... --address ...` on a host; with this process's code, which the hosts have not."""
    command = [sys.executable, "-m", "searchplat", "search", space, "--address", address]
    return host.popen(*command, cwd=folder, PYTHONPATH=os.environ["PYTHONPATH"], **variables)


def at_work(folder: Path, host: Host) -> bool:
    """Whether an epoch was begun on the host."""
    own = set(host.processes())
    return any(line.process in own for line in diary(folder))


def finish(process: subprocess.Popen[str], host: Host, code: int = 0) -> str:
    """What a search, and whatever else ran on its host, has said in the end."""
    assert process.wait(timeout=600) == code, host.log.read_text()
    return host.log.read_text()


@pytest.mark.by_hand
def test_a_host_that_dies_costs_no_trial_and_one_that_joins_a_full_cluster_soon_has_work(
    tmp_path: Path, hosts: Network, bare: str
) -> None:
    first, second = (hosts.host(1, bare) for _ in range(2))
    write(tmp_path, SPACE, trials=60)
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
    said = finish(process, first)
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    assert len(after) == 60
    assert {trial.state for trial in after} == {TrialState.FINISHED}
    assert sum(trial.retries for trial in after) == 1
    with Ledger.read(ledger_path(tmp_path)) as ledger:
        assert [event.payload for event in ledger.events() if event.kind == "retried"] == [{"cause": "its host died"}]
    redone = sum(Counter((line.trial, line.epoch) for line in diary(tmp_path)).values()) - 60 * 5
    print(f"taken up again: 1 trial, epochs begun twice: {redone}")
    assert redone <= 1
    assert "host3" in said
    assert "has left" in said
    assert waited < 60  # seconds of a machine on which all hosts share two cores


@pytest.mark.by_hand
def test_each_host_prepares_once_with_what_the_driver_has_and_without_a_network(
    tmp_path: Path, hosts: Network, bare: str
) -> None:
    if not AssetStore().cached("ml-100k"):
        pytest.skip("ml-100k is not in the cache: searchplat assets --fetch ml-100k")
    machines = [hosts.host(1, bare) for _ in range(3)]
    first, others = machines[0], machines[1:]
    # The driver's machine has it; the others have nothing, and nobody to ask but it.
    shutil.copytree(AssetStore().fetch("ml-100k"), first.cache / "assets" / "ml-100k")
    write(tmp_path, REAL)
    finish(search(first, hosts.address, tmp_path, SEARCHPLAT_DATA_DIR=""), first)
    assert {trial.state for trial in trials_of(tmp_path)} == {TrialState.FINISHED}
    for host in machines:
        prepared = [path for path in (host.cache / "prepared" / "ml-100k").iterdir() if path.is_dir()]
        assert len(prepared) == 1, host.name
        assert AssetStore(host.cache).verify("ml-100k") == ()
    for host in others:
        said = "".join(path.read_text() for path in host.temporary.glob("session_*/logs/worker-*.err"))
        assert said.count("prepared for popularity") == 1, "once a host, not once a trial"


@pytest.mark.by_hand
def test_hosts_that_differ_and_folders_that_are_not_shared_are_said_before_anything_starts(
    tmp_path: Path, hosts: Network, bare: str
) -> None:
    other = tmp_path / "other"
    shutil.copytree(Path(bare).parents[1], other, symlinks=True)
    (numpy,) = (other / "lib").glob("python*/site-packages/numpy-*.dist-info")
    altered = (numpy / "METADATA").read_text()
    numpy.unlink()  # a link to that of this environment
    numpy.mkdir()
    (numpy / "METADATA").write_text(altered.replace("\nVersion: ", "\nVersion: 0.", 1))
    first = hosts.host(1, bare)
    hosts.host(1, str(other / "bin" / "python"))
    write(tmp_path, SPACE, trials=2)
    # A folder of runs that only the driver sees.
    private = f"mkdir -p runs && mount -t tmpfs none runs && exec {' '.join(command('--address', hosts.address))}"
    process = first.popen("sh", "-c", private, cwd=tmp_path, PYTHONPATH=os.environ["PYTHONPATH"])
    said = finish(process, first, code=2)
    assert "host host2: numpy is 0." in said
    assert "install the same versions on every machine" in said
    assert "host host1: the folder of the search" in said
    assert "SEARCHPLAT_RUNS" in said
    assert not diary(tmp_path)


@pytest.mark.by_hand
def test_two_searches_share_a_cluster_and_who_is_alone_has_it_all(tmp_path: Path, hosts: Network, bare: str) -> None:
    first = hosts.host(4, bare)
    write(tmp_path, SPACE, trials=40)
    # It may have two at once: its half of the cluster, not half of the two.
    write(tmp_path, SPACE.replace("gpu: 0}", "gpu: 0, concurrent: 2}"), trials=6, name="second")

    def running(name: str) -> int:
        if not ledger_path(tmp_path, name).exists():
            return 0
        return sum(trial.state is TrialState.RUNNING for trial in trials_of(tmp_path, name))

    one = search(first, hosts.address, tmp_path)
    wait_until(lambda: running("space") == 4, "four trials at once", one, 240)
    two = search(first, hosts.address, tmp_path, "second.yaml")
    wait_until(lambda: (running("space"), running("second")) == (2, 2), "two and two", two, 240)
    print("a second search got two of four slots")
    finish(two, first)
    wait_until(lambda: running("space") == 4, "all four again", one, 60)
    one.send_signal(signal.SIGTERM)
    finish(one, first, code=128 + signal.SIGTERM)
