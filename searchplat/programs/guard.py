"""Runs one command and sees to it that nothing of it outlives whoever started it. A script of its own, stdlib alone.

    worker --- stdin (a pipe) ---> guard ---> the command, in a session of its own

The worker holds the other end of the pipe. Whatever ends the worker, SIGKILL too, closes it, and the guard ends the
command: SIGTERM to its group, SIGKILL a little later to all that is still beneath. A death signal by itself
(PR_SET_PDEATHSIG) would not do: it goes to the command's first process alone and is tied to the thread that started it.

    python guard.py LOCK GRACE_S COMMAND...

The exit code is the command's; 128 and its number if a signal ended it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

SET_PDEATHSIG, SET_CHILD_SUBREAPER = 1, 36
"""Of prctl(2), Linux."""
LOOK_S = 1.0
"""Seconds after which it looks whether its parent is still the same, should another process hold the pipe open."""
LAST_S = 10.0


def main(lock: str, grace_s: str, *command: str) -> int:
    """Run the command to its end, or to that of the parent."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it is the worker that says when to end
    parent = os.getppid()
    wake, heard = os.pipe()
    os.set_blocking(heard, False)
    signal.set_wakeup_fd(heard, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    prctl(SET_CHILD_SUBREAPER, 1)  # what the command leaves behind becomes this process's child

    def gone(within_s: float) -> bool:
        ready, _, _ = select.select([0, wake], [], [], within_s)
        if wake in ready:
            os.read(wake, 4096)
        return bool(asked) or (0 in ready and not os.read(0, 1)) or os.getppid() != parent

    with open(lock, "w") as held:
        while True:  # an earlier attempt in the same folder is perhaps being ended still
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if gone(0.05):
                    return 128 + signal.SIGTERM
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, start_new_session=True, preexec_fn=lambda: prctl(SET_PDEATHSIG, 9)
            )
        except OSError as error:
            print(f"{command[0]}: cannot be started: {error.strerror or error}", file=sys.stderr)
            return 127
        while process.poll() is None:
            if gone(LOOK_S):
                end(process, float(grace_s))
        sweep(process.pid)
    code = process.returncode
    return code if code >= 0 else 128 - code


def end(process: subprocess.Popen[bytes], grace_s: float) -> None:
    """Ask the command's group to end, then do not ask."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace_s)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def sweep(group: int) -> None:
    """End all that is left beneath: of the command's group, and of what took another one."""
    until = time.monotonic() + LAST_S
    while time.monotonic() < until:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
        for pid in children(os.getpid()):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """All processes beneath one; none where the system does not say."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def prctl(option: int, value: int) -> None:
    """Linux alone has it; elsewhere the group is all that can be ended."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
