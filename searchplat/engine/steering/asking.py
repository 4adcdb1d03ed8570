"""The asker's end of requests, in another process than the driver's, perhaps on another machine.

It needs the search's folder alone: whether a driver is at work says the lock, what became of a request says its answer.
The ledger is read once the driver has gone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from searchplat.engine.steering.requests import Action, Answer, Driver, Request, RequestFolder, new_request
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger.folder import SearchFolder

_LOOK_S = 0.1
_LONG_S = 10.0
"""Seconds after which somebody who waits is told why."""


class Asker:
    """Asks for one thing.

    Args:
        folder: The search's.
        tell: Told why it takes long.

    Raises:
        InputError: If there is no such search.
    """

    def __init__(self, folder: SearchFolder, tell: Callable[[str], None]) -> None:
        folder.check_exists()
        self._folder, self._tell = folder, tell
        self._requests = RequestFolder(folder.requests)

    def driver(self) -> Driver | None:
        """Who is at work on the search; None for nobody.

        Raises:
            TryAgainError: If somebody is who takes no requests.
        """
        if not self._folder.running():
            return None
        driver = self._requests.driver()
        if driver is None and self._folder.running():
            raise TryAgainError(
                f"search {self._folder.name!r} is held by a process that takes no requests now: it is still preparing "
                "or about to end, sends rows to MLflow, or is of an earlier version; try again, or press Ctrl-C there"
            )
        return driver

    def ask(self, driver: Driver, action: Action, wait: bool, **about: Any) -> Request:
        """Write the request down, for good.

        Args:
            about: As `new_request`.

        Raises:
            InputError: If this user may not.
        """
        request = new_request(driver.run, action, wait=wait, **about)
        self._requests.put(request)
        return request

    def answer(self, request: Request, until: float = math.inf) -> Answer | None:
        """Wait for the answer; None if the driver ended before it took the request, or before it answered.

        Args:
            until: By `time.monotonic`.

        Raises:
            TimeoutError: If there is none by then.
        """
        late = time.monotonic() + _LONG_S
        while True:
            running = self._folder.running()
            taken = not self._requests.open(request)
            if (answer := self._requests.answer(request)) is not None:
                return answer
            if not running or taken:
                return None
            _in_time(until)
            if time.monotonic() > late:
                late = float("inf")
                self._tell(
                    "no answer yet: a search that is still starting answers once its trials can begin; Ctrl-C ends the "
                    "waiting, and the request stands"
                )
            time.sleep(_LOOK_S)

    def withdraw(self, request: Request) -> bool:
        """Take a request back that nobody took; False if somebody has."""
        return self._requests.withdraw(request)

    def wait_for_end(self, until: float = math.inf) -> None:
        """Until no driver is at work.

        Raises:
            TimeoutError: If one still is then.
        """
        while self._folder.running():
            _in_time(until)
            time.sleep(_LOOK_S)

    def kept(self, request: Request) -> bool:
        """Whether a request is still to be taken, by the search's next run."""
        return self._requests.open(request)


def _in_time(until: float) -> None:
    if time.monotonic() > until:
        raise TimeoutError


def ended_words(folder: SearchFolder) -> tuple[str, str]:
    """How the last run of a search ended: its state, and a sentence. The driver must have gone."""
    with folder.read() as ledger:
        newest = ledger.newest("opened", "closed")
    if newest is None or newest.kind == "opened":
        return "killed", "its driver was killed"
    return str(newest.payload.get("state", "done")), str(newest.payload.get("message", ""))


def nobody(folder: SearchFolder, what: str, remedy: str) -> InputError:
    """The error where no driver is at work."""
    return InputError(f"search {folder.name!r} cannot be {what}: no driver is at work on it; {remedy}")
