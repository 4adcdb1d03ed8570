"""Signals that end the process: who hears them, and what is as it was afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from searchplat.signals import exit_code, heard

IGNORED = "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"


def test_within_the_block_all_three_are_heard_and_afterwards_handlers_are_as_they_were() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    told: list[int] = []
    with heard(told.append) as listen:
        for number in numbers:
            os.kill(os.getpid(), number)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as a library might
        listen()
        os.kill(os.getpid(), signal.SIGTERM)
    assert told == [*numbers, signal.SIGTERM]
    assert [signal.getsignal(number) for number in numbers] == before


def test_another_thread_than_the_main_one_hears_nothing_and_is_not_refused() -> None:
    before = signal.getsignal(signal.SIGTERM)
    found: list[object] = []

    def work() -> None:
        with heard(found.append) as listen:
            listen()
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]


@pytest.mark.parametrize(
    ("before", "number", "code"),
    [("", "SIGTERM", 143), ("", "SIGHUP", 143), (IGNORED, "SIGHUP", 0)],
    ids=["SIGTERM", "SIGHUP", "SIGHUP under nohup"],
)
def test_a_command_is_left_by_an_exception_unless_the_signal_is_ignored(before: str, number: str, code: int) -> None:
    program = f"""{before}
import os, signal, sys
from searchplat.signals import Interrupted, raising
raising()
try:
    os.kill(os.getpid(), signal.{number})
except Interrupted as left:
    sys.exit(left.exit_code)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == code


def test_exit_codes_are_those_of_shells() -> None:
    assert exit_code(signal.SIGINT) == 130
    assert exit_code(signal.SIGHUP) == exit_code(signal.SIGTERM) == 143
