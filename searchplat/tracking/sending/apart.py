"""A sink that may work in a process of its own, for searches with so many trials at once that it would be in the way.

MLflow's client takes some 40 ms of Python a trial. In a thread it takes turns with the loop and the searcher; in a
process of its own, of lower priority, it has what they leave.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

from searchplat.ledger import Ledger
from searchplat.signals import ENDING
from searchplat.tracking.sending.sink import MlflowSink

_NICENESS = 15  # that of Ray's workers
_ITS_END_S = 10.0
_log = logging.getLogger(__name__)


class SearchSink:
    """What `MlflowSink` does, here or in another process, which ends with the driver, however that ends.

    Where that process has died, nothing is lost: what it had not sent is sent by `stop`, from this one.

    Args:
        ledger: The driver's. It must stay open until `stop` has returned.
        make: Makes the sink of a ledger, in any process: it is pickled.
    """

    def __init__(self, ledger: Ledger, make: Callable[[Ledger], MlflowSink]) -> None:
        self._ledger, self._make = ledger, make
        self._here = make(ledger)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None
        self._listener: threading.Thread | None = None
        self._done = False

    def start(self, apart: bool = False) -> None:
        """Begin sending, with this process's environment as it is now. Calling it twice does nothing.

        Args:
            apart: In a process of its own.
        """
        if self._process is not None:
            return
        if not apart:
            self._here.start()
            return
        # Neither a fork, which Ray's threads do not survive, nor multiprocessing's spawn, which runs the user's script.
        self._pipe, theirs = Pipe()
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        with suppress(OSError):
            self._pipe.send((self._ledger.path, self._make))
        self._listener = threading.Thread(target=self._listen, name="mlflow-sink-says", daemon=True)
        self._listener.start()

    def stop(self, timeout_s: float) -> int:
        """Send what is left, say how the search ended, and end; return the number of events still unsent."""
        until = time.monotonic() + timeout_s
        if self._process is not None and self._pipe is not None and self._listener is not None:
            with suppress(OSError):
                self._pipe.send(timeout_s)
            try:
                self._process.wait(timeout_s + _ITS_END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._listener.join(_ITS_END_S)
            self._pipe.close()
        if not self._done:
            self._here.start()
            return self._here.stop(max(1.0, until - time.monotonic()))
        return self.backlog()

    def backlog(self) -> int:
        """Number of events that MLflow has not got."""
        return self._here.backlog()

    def _listen(self) -> None:
        """Log here what the other process logs."""
        assert self._pipe is not None
        with suppress(EOFError, OSError):
            while True:
                match self._pipe.recv():
                    case ("log", name, level, text):
                        logging.getLogger(name).log(level, "%s", text)
                    case ("done",):
                        self._done = True


class _Teller(logging.Handler):
    """Hands what is logged to the driver, which knows how to show it."""

    def __init__(self, pipe: Connection) -> None:
        super().__init__(logging.WARNING)
        self._pipe = pipe

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            self._pipe.send(("log", record.name, record.levelno, record.getMessage()))


def _serve(pipe: Connection) -> None:
    """The process: send until the driver says stop, or is gone."""
    # What ends a driver often reaches every process of its group; the driver says what it means.
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    logging.getLogger().addHandler(_Teller(pipe))
    path, make = pipe.recv()
    with Ledger.open(path, alone=False) as ledger:
        sink = make(ledger)
        sink.start()
        try:
            timeout_s = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)  # the driver is dead, and the next one may begin at once
        threading.Thread(target=_end_with_driver, args=(pipe,), daemon=True).start()
        sink.stop(timeout_s)
        with suppress(OSError):
            pipe.send(("done",))


def _end_with_driver(pipe: Connection) -> None:
    with suppress(EOFError, OSError):
        pipe.recv()
    os._exit(1)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
