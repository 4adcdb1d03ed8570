"""Two drivers at once: of one search the second is refused, two on one fresh MLflow store both work."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from interruptions import (
    TRIALS,
    Whole,
    check_mlflow,
    command,
    event_is_there,
    outcome,
    trials_of,
    wait_until,
    write_space,
)

from searchplat.ledger import Ledger

HOLDER = """
import sys
from pathlib import Path
from searchplat.ledger.folder import SearchFolder
with SearchFolder(Path("runs"), "space").held():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_search_that_another_process_runs_is_refused_at_once(tmp_path: Path) -> None:
    write_space(tmp_path, "in turn", 0.0)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        refused, wall, cpu = _refused()
        assert list((tmp_path / "runs" / "space").iterdir()) == [tmp_path / "runs" / "space" / "lock"]
    finally:
        holder.communicate()
    assert refused.returncode == 75
    assert "is being run by another process" in refused.stderr
    print(f"refused after {wall:.2f} s, {cpu:.2f} s of one processor")
    assert cpu <= 2


def _refused() -> tuple[subprocess.CompletedProcess[str], float, float]:
    """What a second command says, its seconds, and those of a processor: a busy machine is not its fault."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    refused = subprocess.run(command(), capture_output=True, text=True, timeout=100)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return refused, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_of_two_equal_commands_goes_on_unharmed(tmp_path: Path, whole: Whole) -> None:
    write_space(tmp_path, "side by side", 0.3)
    first = subprocess.Popen(command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(event_is_there(tmp_path, 10), "event 10", first, 250)
    refused = _refused()[0]
    assert refused.returncode == 75, refused.stdout + refused.stderr
    out, err = first.communicate(timeout=250)
    assert first.returncode == 0, out + err
    trials = trials_of(tmp_path)
    check_mlflow(tmp_path, "space", trials)
    assert {trial.retries for trial in trials} == {0}
    assert outcome(trials) == whole("side by side")


OPENER = """
import sys
from pathlib import Path
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect, load

name, rounds = sys.argv[1], int(sys.argv[2])
load(Address.parse("sqlite:///none.db"))
for round in range(rounds):
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        client = connect(Address.parse(f"sqlite:///{Path(str(round)).absolute()}/mlflow.db"))
        run = client.create_run(client.create_experiment(name))
        client.log_metric(run.info.run_id, "m", 1.0)
        print("done", flush=True)
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace(chr(10), " "), flush=True)
"""
ROUNDS = 20


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_twenty_fresh_stores_are_each_opened_by_two_processes_at_once(tmp_path: Path) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, name, str(ROUNDS)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        )
        for name in ("one", "other")
    ]  # fmt: skip
    said: Counter[str] = Counter()
    for _ in range(ROUNDS):
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for opener in openers:
            assert opener.stdin is not None
            opener.stdin.write("go\n")
            opener.stdin.flush()
        said.update(opener.stdout.readline() for opener in openers if opener.stdout is not None)
    for opener in openers:
        opener.communicate()
    print(f"{said['done' + chr(10)] // 2} of {ROUNDS} cold starts")
    assert said == {"done\n": 2 * ROUNDS}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_searches_begun_at_once_on_a_fresh_store_both_end(tmp_path: Path) -> None:
    write_space(tmp_path, "side by side", 0.0)
    both = {
        name: subprocess.Popen(command("--name", name), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name in ("one", "other")
    }
    for process in both.values():
        out, err = process.communicate(timeout=400)
        assert process.returncode == 0, out + err
        assert "cannot be written" not in err
    found = []
    for name in both:
        with Ledger.read(tmp_path / "runs" / name / "ledger.sqlite") as ledger:
            found.append(ledger.trials())
        assert len(found[-1]) == TRIALS
        check_mlflow(tmp_path, name, found[-1])
    assert outcome(found[0]) == outcome(found[1])
