"""A command under way: started under a guard, read line by line, ended with all that it started."""

from __future__ import annotations

import contextlib
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from searchplat.errors import TrialFailedError
from searchplat.programs import guard
from searchplat.programs.lines import Reader, Said

STDOUT = "stdout"
GRACE_S = 3.0
"""Seconds that a command gets to end by itself once it is asked to."""
_LOCK = ".running"
_LOOK_S = 0.1
_LINE = 1 << 16
_LAST = 20
"""Lines of its errors that tell why it failed."""


class Process:
    """A command, begun.

    Args:
        command: Its words.
        cwd: Where it runs.
        environment: All variables that it sees.
        folder: Of its own, to which the file of `metrics` is relative; one command at a time runs in it.
        metrics: `stdout`, or the file to which it writes its reports.
        reader: Reads its lines.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        folder: Path,
        metrics: str,
        reader: Reader,
    ) -> None:
        self._reader, self._said = reader, queue.SimpleQueue[Said | None]()
        self._errors: deque[str] = deque(maxlen=_LAST)
        self._words: deque[str] = deque(maxlen=_LAST)
        self._since = time.monotonic()
        file = None if metrics == STDOUT else folder / metrics
        if file is not None and file.exists():  # of an earlier start; one that begins anew would write over it
            self._left(file.replace(file.with_name(f"{file.name}.before")))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(folder / _LOCK), str(GRACE_S), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C is for whoever runs the trial
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._ended = threading.Event()
        heard = [
            threading.Thread(target=self._hear, args=(self._process.stdout, self._words, file is None), daemon=True),
            threading.Thread(target=self._hear, args=(self._process.stderr, self._errors, False), daemon=True),
        ]
        heard += [] if file is None else [threading.Thread(target=self._follow, args=(file,), daemon=True)]
        self._waits = threading.Thread(target=self._wait, args=(heard,), daemon=True)
        for thread in (*heard, self._waits):
            thread.start()

    def next(self) -> Said | None:
        """The next report, waited for; None once the command has ended with 0.

        Raises:
            TrialFailedError: If it ended with another exit code, with its last lines.
            MemoryError: If these say that memory had run out.
        """
        found = self._said.get()
        if found is not None:
            return found
        self._said.put(None)  # for whoever asks again
        code = self._process.wait()
        if code == 0:
            return None
        lines = "\n".join(self._errors or self._words)
        how = f"exit code {code}" if code <= 128 else f"exit code {code}, as by signal {code - 128}"
        if "out of memory" in lines.lower() or "outofmemoryerror" in lines.lower():
            raise MemoryError(f"the command ended with {how}:\n{lines}")
        raise TrialFailedError(f"the command ended with {how}:\n{lines}" if lines else f"the command ended with {how}")

    def close(self) -> None:
        """End the command and all that it started."""
        self._let_go()
        self._waits.join()

    def _let_go(self) -> None:
        """Close the guard's pipe, by which it knows."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    # ------------------------------------------------------------------ threads

    def _hear(self, stream: IO[bytes], last: deque[str], reports: bool) -> None:
        """Pass lines on to the log of this process; a bar of progress ends its lines by a carriage return."""
        with stream:
            while raw := stream.readline(_LINE):
                for part in raw.replace(b"\r", b"\n").split(b"\n"):
                    line = part.decode("utf-8", errors="replace").rstrip()
                    if not line:
                        continue
                    last.append(line[:1000])
                    with contextlib.suppress(OSError, ValueError):
                        print(line, file=sys.stderr, flush=True)
                    if reports:
                        self._read(line)

    def _follow(self, file: Path) -> None:
        """Read a file as it grows, whole lines alone."""
        rest = b""
        at = 0
        while True:
            over = self._ended.is_set()
            with contextlib.suppress(FileNotFoundError), file.open("rb") as opened:
                if opened.seek(0, 2) < at:
                    at, rest = 0, b""  # it was begun anew
                opened.seek(at)
                read = opened.read()
                at += len(read)
                *lines, rest = (rest + read).split(b"\n")
                for line in [*lines, *([rest] if over else [])]:
                    self._read(line.decode("utf-8", errors="replace"))
            if over:
                return
            self._ended.wait(_LOOK_S)

    def _left(self, file: Path) -> None:
        """Hear what an earlier start wrote and nobody read; without its epoch nobody knows what that is."""
        *whole, _ = file.read_bytes().split(b"\n")
        for line in whole:
            found = self._reader.read(line.decode("utf-8", errors="replace"))
            if found is not None and found.epoch is not None:
                self._said.put(found)

    def _read(self, line: str) -> None:
        if (found := self._reader.read(line)) is not None:
            now = time.monotonic()
            self._said.put(Said(found.metrics, found.epoch, now - self._since))
            self._since = now

    def _wait(self, heard: Sequence[threading.Thread]) -> None:
        self._process.wait()
        self._let_go()
        self._ended.set()
        for thread in heard:
            thread.join()
        self._said.put(None)
