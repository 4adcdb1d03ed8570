"""The driver's end of requests: reads them as they come, has each carried out once, answers.

A thread looks; it carries out `stop` by itself, at any time, as the first signal would. Everything else waits for the
loop, which alone may change what runs (`steering`). A request is settled by one event of the ledger, written together
with what it changes: whoever is killed before that finds the request again, and after that finds the event.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal

from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.steering import state
from searchplat.engine.steering.requests import FOR_ONE_RUN, Answer, Request, RequestFolder, this_driver, words
from searchplat.ledger import Ledger

_LOOK_S = 0.25
_LAST_LOOK_S = 2.0


class Post:
    """Takes requests for the time of the block; the search's lock must be held.

    Args:
        folder: Where they come.
        ledger: Open for writing.
        work: What is steered. A promotion can be stopped, and nothing else.
        shutdown: Told of a `stop`.
        tell: Told if no requests can be taken; the work goes on.
    """

    def __init__(
        self,
        folder: RequestFolder,
        ledger: Ledger,
        work: Literal["search", "promotion"],
        shutdown: Shutdown,
        tell: Callable[[str], None],
    ) -> None:
        self._tell = tell
        self._folder, self._ledger, self._shutdown = folder, ledger, shutdown
        self._driver = this_driver(work)
        self._known: dict[str, Answer] = {}
        self._seen: set[str] = set()
        self._queue: deque[Request] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_looking, name="requests", daemon=True)

    def __enter__(self) -> Post:
        self._known = state.answered(self._ledger)
        try:
            self._folder.enter(self._driver)
        except OSError as error:
            self._tell(f"{self._folder.path}: cannot be used ({error.strerror}), so nobody can stop or pause this")
        else:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.leave()
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_LOOK_S)

    def take(self) -> Iterator[Request]:
        """The requests that have come for the loop, each to be settled."""
        while self._queue:
            yield self._queue.popleft()

    def settle(
        self, request: Request, kind: str, said: str, change: Callable[[], None] = lambda: None, **more: Any
    ) -> None:
        """Write down what became of a request, with what it changes in the ledger, and answer it.

        Args:
            kind: Of the event, one of `state.KINDS`.
            more: For the event.
        """
        outcome: Literal["done", "unchanged", "refused"] = "done"
        if kind in (state.UNCHANGED, state.REFUSED):
            outcome = "unchanged" if kind == state.UNCHANGED else "refused"
        about = {"action": words(request), "by": request.by, "asked_at": request.at, **more}
        with self._ledger.transaction():
            change()
            self._ledger.note(kind, {"request": request.id, "said": said, **about})
        self._folder.settle(request.id, Answer(outcome=outcome, said=said) if request.wait else None)

    # ------------------------------------------------------------------ the thread

    def _keep_looking(self) -> None:
        while not self._ended.wait(_LOOK_S):
            with self._shutdown.guarding():
                self._look()

    def _look(self) -> None:
        for id_ in self._folder.waiting():
            if id_ in self._seen or self._ended.is_set():
                continue
            self._seen.add(id_)
            if (known := self._known.get(id_)) is not None:  # its driver was killed right after the event
                self._folder.settle(id_, known)
            elif (request := self._folder.read(id_)) is not None:
                self._sort(request)
            elif id_ in self._folder.waiting():  # else it was taken back
                self._refuse_damaged(id_)

    def _sort(self, request: Request) -> None:
        if request.action in FOR_ONE_RUN and request.run != self._driver.run:
            said = f"{words(request)} by {request.by} was for an earlier run, which has ended"
            self.settle(request, state.REFUSED, said)
        elif request.action == "stop":
            self._stop(request)
        elif self._driver.work == "promotion":
            said = f"{words(request)}: the search is being promoted, and a promotion can only be stopped as a whole"
            self.settle(request, state.REFUSED, said)
        else:
            self._queue.append(request)

    def _stop(self, request: Request) -> None:
        if self._shutdown.asked:  # a second signal would not wait for epochs
            self.settle(request, state.UNCHANGED, "it is ending already")
            return
        self.settle(request, state.STOPPING, f"stopping, as {request.by} asks")
        self._shutdown.by = request.by
        self._shutdown.hear(signal.SIGTERM)

    def _refuse_damaged(self, id_: str) -> None:
        said = f"request {id_} is damaged, or of another version of searchplat"
        self._ledger.note(state.REFUSED, {"request": id_, "said": said})
        self._folder.settle(id_, Answer(outcome="refused", said=said))
