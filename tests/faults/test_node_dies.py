"""A node of a Ray cluster dies in mid-search: its trials go on elsewhere. The head dies: the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from interruptions import (
    SIDE_BY_SIDE,
    Whole,
    check_mlflow,
    check_nothing_lost,
    command,
    diary,
    environment,
    event_is_there,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.engine.cluster.auth import guard_token
from searchplat.ledger import Ledger

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    # Ray leaves sockets open where the port of its dashboard is taken.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without a processor for trials, and two nodes with one each: raylets of their own on this machine."""
    from ray.cluster_utils import Cluster

    guard_token()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


def test_a_search_loses_nothing_when_a_node_dies_and_nothing_when_the_head_does(
    tmp_path: Path, cluster: Any, whole: Whole
) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    write_space(tmp_path, "side by side", 0.6)
    assert SIDE_BY_SIDE["SLOTS"] == "2"
    process = subprocess.Popen(
        command("--address", cluster.address), env=environment(RAY_gcs_rpc_server_reconnect_timeout_s="5"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(event_is_there(tmp_path, 14), "event 14", process, 250)
    before = trials_of(tmp_path)

    # The node on which the newest epoch was begun: a worker is a child of its node's raylet.
    raylet = int(Path(f"/proc/{diary(tmp_path)[-1].process}/stat").read_text().rpartition(")")[2].split()[1])
    (doomed,) = [node for node in nodes if node.all_processes["raylet"][0].process.pid == raylet]
    cluster.remove_node(doomed, allow_graceful=False)
    wait_until(lambda: sum(t.retries for t in trials_of(tmp_path)) > 0, "a retry", process, 120)
    seen = len(trials_of(tmp_path))
    wait_until(lambda: len(trials_of(tmp_path)) >= min(seen + 1, 8), "a trial more", process, 120)
    after_node = trials_of(tmp_path)
    check_nothing_lost(before, after_node)
    print(f"a node died with {len(before)} trials: {sum(t.retries for t in after_node)} taken up again")
    # A trial may be sent to the dead node again before Ray has noticed: nor does that count against it.
    with Ledger.read(ledger_path(tmp_path)) as ledger:
        causes = [event.payload["cause"] for event in ledger.events() if event.kind == "retried"]
    assert set(causes) == {"its host died"}

    cluster.remove_node(cluster.head_node, allow_graceful=False)
    try:
        process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    print(f"the head died: the driver ended with {process.returncode}")
    assert process.returncode != 0
    before_resume = trials_of(tmp_path)
    check_nothing_lost(after_node, before_resume)

    done = subprocess.run(command(), capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    check_nothing_lost(before_resume, after)
    check_mlflow(tmp_path, "space", after)
    assert outcome(after) == whole("side by side")
