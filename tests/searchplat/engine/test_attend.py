"""Work in another thread, attended to by the main one: it ends in time, whatever the work does."""

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

from searchplat.engine.attend import Attendant
from searchplat.engine.halt import LEAVE_S, Halt
from searchplat.errors import InputError, RayEndedError, TryAgainError
from searchplat.signals import Interrupted


def attended(work: Callable[[], object], *after_s: float, number: int = signal.SIGTERM) -> tuple[Halt, list[str]]:
    """Attend to work, with signals to this process after so many seconds; what the halt and the watchers heard."""
    halt, told = Halt(), list[str]()
    timers = [threading.Timer(seconds, os.kill, (os.getpid(), number)) for seconds in after_s]
    attendant = Attendant(halt, lambda: told.append("told"))
    with attendant.hearing():
        for timer in timers:
            timer.start()
        try:
            attendant.run(work)
        finally:
            for timer in timers:
                timer.join()
    return halt, told


def until(true: Callable[[], bool]) -> None:
    while not true():
        time.sleep(0.01)


def test_results_and_errors_come_through() -> None:
    attendant = Attendant(Halt(), lambda: None)
    assert attendant.run(lambda: 3) == 3
    for error in (InputError("wrong"), TryAgainError("full"), ZeroDivisionError("a bug")):
        with pytest.raises(type(error), match=str(error)):
            attendant.run(lambda error=error: (_ for _ in ()).throw(error))  # type: ignore[misc]


def test_a_ray_that_fails_after_a_signal_is_the_signals_end_and_wrong_input_is_not() -> None:
    for error, kind in ((RayEndedError("Ray did not start"), Interrupted), (InputError("wrong"), InputError)):
        halt = Halt()
        attendant = Attendant(halt, lambda: None)

        def work(halt: Halt = halt, error: Exception = error) -> None:
            until(lambda: halt.asked)
            raise error

        with attendant.hearing():
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
            with pytest.raises(kind):
                attendant.run(work)


def test_a_module_that_the_work_has_half_loaded_is_no_ray_that_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "searchplat.engine.cluster", types.ModuleType("searchplat.engine.cluster"))
    assert Attendant(Halt(), lambda: None).run(lambda: time.sleep(1.5) or "done") == "done"


def test_work_that_heeds_the_halt_ends_by_itself() -> None:
    halt = Halt()
    told: list[str] = []
    attendant = Attendant(halt, lambda: told.append("told"))
    with attendant.hearing():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
        attendant.run(lambda: until(lambda: halt.asked))
    assert halt.signal == signal.SIGTERM
    assert told == ["told"]


def test_a_third_signal_leaves_everything_behind() -> None:
    stuck = threading.Event()
    began = time.monotonic()
    with pytest.raises(Interrupted) as left:
        attended(stuck.wait, 0.2, 0.4, 0.6, number=signal.SIGINT)  # type: ignore[arg-type]
    assert left.value.exit_code == 130
    assert time.monotonic() - began < LEAVE_S
    stuck.set()


def test_what_fails_under_a_signal_is_interrupted_unless_it_says_why() -> None:
    halt = Halt()

    def fail(error: Exception) -> None:
        until(lambda: halt.asked)
        raise error

    attendant = Attendant(halt, lambda: None)
    halt.hear(signal.SIGTERM)
    with pytest.raises(Interrupted):
        attendant.run(lambda: fail(ConnectionError("Ray has gone")))
    with pytest.raises(TryAgainError, match="disk"):
        attendant.run(lambda: fail(TryAgainError("disk full")))


LEFT_BEHIND = """
import os, signal, threading, time
from searchplat.engine import attend, halt
halt.LEAVE_S = 0.5
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
attendant = attend.Attendant(halt.Halt(), lambda: None)
try:
    with attendant.hearing():
        attendant.run(lambda: time.sleep(600))
except attend.Interrupted as left:
    threading.Thread(target=time.sleep, args=(600,)).start()  # Python would wait for it
    print("written down")
    attend.leave(left.exit_code)
"""


def test_a_process_ends_although_its_work_does_not() -> None:
    done = subprocess.run([sys.executable, "-c", LEFT_BEHIND], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (143, "written down\n", "")
