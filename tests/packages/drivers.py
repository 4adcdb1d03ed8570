"""The real end of a driver that takes requests, without Ray and without trials."""

from __future__ import annotations

import threading
import time

from searchplat.engine.planning.plan import Plan
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.steering.post import Post
from searchplat.engine.steering.requests import RequestFolder
from searchplat.engine.steering.steering import Steering
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import SearchSpec

Search = tuple[SearchFolder, Ledger]


class Driver:
    """Holds the search and takes requests, until it is stopped or told to go."""

    def __init__(self, search: Search, spec: SearchSpec) -> None:
        self._folder, self.ledger = search
        self.shutdown = Shutdown()
        self.plan = Plan.of(spec, self.ledger)
        self.takes, self.gone = True, threading.Event()
        self.leaves = False
        """Whether it ends at the first request, and takes none."""
        self._thread = threading.Thread(target=self._work)
        self._there = threading.Event()

    def _work(self) -> None:
        post = Post(RequestFolder(self._folder.requests), self.ledger, "search", self.shutdown, print)
        steering = Steering(self.plan, post)
        with self._folder.held(), post:
            self._there.set()
            while not self.shutdown.asked and not self.gone.is_set():
                if self.leaves and RequestFolder(self._folder.requests).waiting():
                    return
                if self.takes and not self.leaves:
                    steering.apply(lambda number: None)
                time.sleep(0.01)
            if self.shutdown.asked:
                self.ledger.note("closed", {"state": "interrupted", "message": f"stopped by {self.shutdown.by}"})

    def __enter__(self) -> Driver:
        self._thread.start()
        assert self._there.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self.gone.set()
        self._thread.join()
