"""Work in another thread, supervised by the main one: it ends in time, whatever the work does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import types
from collections.abc import Callable

import pytest

from searchplat.engine.shutdown.shutdown import LEAVE_S, Shutdown
from searchplat.engine.shutdown.supervisor import Supervisor
from searchplat.errors import InputError, RayEndedError, TryAgainError
from searchplat.signals import Interrupted


def supervised(work: Callable[[], object], *after_s: float, number: int = signal.SIGTERM) -> tuple[Shutdown, list[str]]:
    """Attend to work, with signals to this process after so many seconds; what the shutdown and the watchers heard."""
    shutdown, told = Shutdown(), list[str]()
    timers = [threading.Timer(seconds, os.kill, (os.getpid(), number)) for seconds in after_s]
    supervisor = Supervisor(shutdown, lambda: told.append("told"))
    with supervisor.hearing():
        for timer in timers:
            timer.start()
        try:
            supervisor.run(work)
        finally:
            for timer in timers:
                timer.join()
    return shutdown, told


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


def test_results_and_errors_come_through() -> None:
    supervisor = Supervisor(Shutdown(), lambda: None)
    assert supervisor.run(lambda: 3) == 3
    for error in (InputError("wrong"), TryAgainError("full"), ZeroDivisionError("a bug")):
        with pytest.raises(type(error), match=str(error)):
            supervisor.run(lambda error=error: (_ for _ in ()).throw(error))  # type: ignore[misc]


def test_a_ray_that_fails_after_a_signal_is_the_signals_end_and_wrong_input_is_not() -> None:
    for error, kind in ((RayEndedError("Ray did not start"), Interrupted), (InputError("wrong"), InputError)):
        shutdown = Shutdown()
        supervisor = Supervisor(shutdown, lambda: None)

        def work(shutdown: Shutdown = shutdown, error: Exception = error) -> None:
            until(lambda: shutdown.asked)
            raise error

        with supervisor.hearing():
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with pytest.raises(kind):
                supervisor.run(work)


def test_a_module_that_the_work_has_half_loaded_is_no_ray_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "searchplat.engine.cluster.connect", types.ModuleType("searchplat.engine.cluster.connect")
    )
    assert Supervisor(Shutdown(), lambda: None).run(lambda: time.sleep(1.5) or "done") == "done"


def test_while_ray_starts_a_signal_is_not_waited_for() -> None:
    shutdown = Shutdown()
    supervisor = Supervisor(shutdown, lambda: None)
    over = threading.Event()

    def work() -> None:
        with shutdown.while_connecting():
            os.kill(os.getpid(), signal.SIGTERM)
            over.wait(60)

    with supervisor.hearing():
        began = time.monotonic()
        with pytest.raises(Interrupted):
            supervisor.run(work)
        assert time.monotonic() - began < LEAVE_S / 2
        over.set()


def test_work_that_heeds_the_shutdown_ends_by_itself() -> None:
    shutdown = Shutdown()
    told: list[str] = []
    supervisor = Supervisor(shutdown, lambda: told.append("told"))
    with supervisor.hearing():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        supervisor.run(lambda: until(lambda: shutdown.asked))
    assert shutdown.signal == signal.SIGTERM
    assert told == ["told"]


def test_a_third_signal_leaves_everything_behind() -> None:
    stuck = threading.Event()
    began = time.monotonic()
    with pytest.raises(Interrupted) as left:
        supervised(stuck.wait, 0.2, 0.4, 0.6, number=signal.SIGINT)  # type: ignore[arg-type]
    assert left.value.exit_code == 130
    assert time.monotonic() - began < LEAVE_S
    stuck.set()


def test_what_fails_under_a_signal_is_interrupted_unless_it_says_why() -> None:
    shutdown = Shutdown()

    def fail(error: Exception) -> None:
        until(lambda: shutdown.asked)
        raise error

    supervisor = Supervisor(shutdown, lambda: None)
    shutdown.hear(signal.SIGTERM)
    with pytest.raises(Interrupted):
        supervisor.run(lambda: fail(ConnectionError("Ray has gone")))
    with pytest.raises(TryAgainError, match="disk"):
        supervisor.run(lambda: fail(TryAgainError("disk full")))


LEFT_BEHIND = """
import os, signal, threading, time
from searchplat.engine.shutdown import shutdown, supervisor
shutdown.LEAVE_S = 0.5
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
watching = supervisor.Supervisor(shutdown.Shutdown(), lambda: None)
try:
    with watching.hearing():
        watching.run(lambda: time.sleep(600))
except supervisor.Interrupted as left:
    threading.Thread(target=time.sleep, args=(600,)).start()  # Python would wait for it
    print("written down")
    supervisor.leave(left.exit_code)
"""


def test_a_process_ends_although_its_work_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (143, "written down\n", "")
