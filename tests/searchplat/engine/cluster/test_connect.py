"""A Ray of our own that cannot start or has gone, as seen without asking it; and what it leaves of our handlers."""

from __future__ import annotations

import socket
import subprocess
import sys
from typing import Any

import pytest

from searchplat.engine.cluster import connect
from searchplat.errors import TryAgainError
from searchplat.spec.model import Resources

TERMINATED = """
import os, signal, threading
from searchplat.engine.cluster.auth import load_ray
from searchplat.signals import heard
load_ray(None)
import ray
from searchplat.engine.cluster.connect import connected

ready, over = threading.Event(), threading.Event()

def work():
    with connected(None, {}):
        environment = ray.get(ray.remote(lambda: dict(os.environ)).remote())
        assert "RAY_DISABLE_FAILURE_SIGNAL_HANDLER" not in environment
        ready.set()
        over.wait()

told = []
with heard(told.append):
    thread = threading.Thread(target=work)
    thread.start()
    ready.wait(100)
    os.kill(os.getpid(), signal.SIGTERM)  # before anybody has put our handlers back
    over.set()
    thread.join()
print(told)
"""


def listener() -> tuple[socket.socket, int]:
    held = socket.socket()
    held.bind(("127.0.0.1", 0))
    held.listen()
    return held, held.getsockname()[1]


def test_a_daemon_that_refuses_calls_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not connect.gone()  # none was started
    (one, first), (other, second) = listener(), listener()
    monkeypatch.setattr(connect, "_daemons", [("127.0.0.1", first), ("127.0.0.1", second)])
    assert not connect.gone()
    other.close()
    assert connect.gone()
    one.close()


def test_without_a_port_for_the_dashboard_ray_is_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    held, port = listener()
    monkeypatch.setattr(connect, "_DASHBOARD_PORTS", range(port, port + 1))
    with pytest.raises(TryAgainError, match="Failed to start the dashboard"):
        connect._check_dashboard_port()
    held.close()
    connect._check_dashboard_port()


def test_trials_of_several_workers_fit_as_whole_ones_on_whole_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [{"CPU": 3.0, "GPU": 2.0}, {"CPU": 3.0}, {"CPU": 5.0, "GPU": 1.0}]
    monkeypatch.setattr(connect._total, "hosts", lambda: hosts)

    def fit(**takes: Any) -> int:
        return connect.fitting(Resources(**takes))

    assert fit(cpu=2, gpu=0, workers=2) == 2  # 1 + 1 + 2 workers
    assert fit(cpu=2, gpu=0, workers=3) == 1
    assert fit(cpu=2, gpu=0, workers=5) == 0
    assert fit(cpu=1, gpu=1, workers=3) == 1
    assert fit(cpu=1, gpu=1, workers=4) == 0
    assert connect.slots(Resources(cpu=1, gpu=0, workers=2, concurrent=3)) == 3
    assert connect.slots(Resources(cpu=2, gpu=0, workers=2, concurrent=3)) == 2


def test_ray_puts_no_handler_below_python_in_the_place_of_ours() -> None:
    done = subprocess.run([sys.executable, "-c", TERMINATED], capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stdout) == (0, "[15]\n"), done.stderr
    assert "*** SIGTERM received" not in done.stderr, "and 3 s later it would abort the process"
