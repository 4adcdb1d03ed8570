"""The driver's side of a storage: which one a search or a promotion uses, and removing what has ended."""

from __future__ import annotations

import json
import os
import queue
import threading
import uuid
from collections.abc import Collection

from searchplat.engine.checkpoints.storage import VARIABLE, Storage, check
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState

SEARCH = "storage"
"""The ledger's note of where its trials' checkpoints are."""

_HERE = "here"
"""The note of a promotion whose checkpoints are in its folder."""


def of_search(folder: SearchFolder, given: str | None) -> Storage | None:
    """The storage of a search's checkpoints, found to work; None where they stay in the search's folder.

    A search that was begun keeps the one it has, whatever the environment says now.

    Args:
        given: `--storage`.

    Raises:
        InputError: If it does not work, is no storage, or is not the one that the search was begun with.
    """
    found: Storage | None = None
    if folder.exists():
        with folder.read() as ledger:
            found, begun = noted(ledger, SEARCH), any(map(_may_have_checkpoints, ledger.trials()))
        if found is not None or begun:
            _refuse_other(given, found, f"search {folder.name!r}", "--name")
            if found is not None:
                check(found)
            return found
    return _new(given, folder.name)


def of_promotion(ledger: Ledger, search: str, number: int, given: str | None) -> Storage | None:
    """The storage of a promotion's checkpoints, which is noted; None where they stay in the search's folder.

    Without `given`, it is that of the search, else that of the environment.

    Raises:
        InputError: As `of_search`.
    """
    key = f"{SEARCH}:promotion-{number}"
    if ledger.meta(key) is not None:
        found = noted(ledger, key)
        _refuse_other(given, found, f"promotion {number} of {search!r}", "--again")
        if found is not None:
            check(found)
        return found
    found = None
    if given is None and (found := noted(ledger, SEARCH)) is not None:
        check(found)
    found = found or _new(given, search)
    note(ledger, key, found)
    return found


def noted(ledger: Ledger, key: str) -> Storage | None:
    """The storage that the ledger has a note of, if any."""
    text = ledger.meta(key)
    return None if text is None or text == _HERE else Storage(**json.loads(text))


def note(ledger: Ledger, key: str, storage: Storage | None) -> None:
    """Write down which storage is used; its address holds no secrets."""
    text = _HERE if storage is None else json.dumps({"base": storage.base, "options": storage.options})
    ledger.set_meta(key, text)


class Remover:
    """Removes what is below storages, in a thread of its own: the driver does not wait for a network.

    What cannot be removed is left, and said.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[Storage | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self.failures: list[str] = []

    def remove(self, storage: Storage) -> None:
        """Remove what is below, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="storage-remover", daemon=True)
            self._thread.start()
        self._queue.put(storage)

    def remove_others(self, storage: Storage, wanted: Collection[str]) -> None:
        """Remove what an earlier driver could not: everything below but what is below one of the names `wanted`."""
        for name in {name.partition("/")[0] for name in storage.list()} - set(wanted):
            self.remove(storage.child(name))

    def finish(self, timeout_s: float = 30.0) -> str | None:
        """Wait for what was asked for; what to say of what is left, None if nothing is."""
        if self._thread is None:
            return None
        self._queue.put(None)
        self._thread.join(timeout_s)
        left = len(self.failures) + (self._queue.qsize() if self._thread.is_alive() else 0)
        if not left:
            return None
        why = f": {self.failures[0]}" if self.failures else ", for it answers slowly"
        return f"checkpoints of {left} ended trainings are still in the storage{why}"

    def _work(self) -> None:
        while (storage := self._queue.get()) is not None:
            try:
                storage.remove_all()
            except TryAgainError as error:
                self.failures.append(str(error))


def _may_have_checkpoints(trial: TrialRecord) -> bool:
    # One that has only been suggested, or was taken back before it reported, has none.
    return trial.state is not TrialState.WAITING or trial.epoch > 0


def _new(given: str | None, name: str) -> Storage | None:
    text = given if given is not None else os.environ.get(VARIABLE)
    if not text:
        return None
    # Searches of one name, on several machines or one after another, shall not meet.
    storage = Storage.parse(text).child(f"{name}-{uuid.uuid4().hex[:8]}")
    check(storage)
    return storage


def _refuse_other(given: str | None, found: Storage | None, what: str, way: str) -> None:
    if given is None:
        return
    wanted = Storage.parse(given)
    if found is None:
        raise InputError(
            f"--storage {wanted}: {what} was begun without a storage, its checkpoints are in its folder; leave it out, "
            f"or begin another with {way}"
        )
    had = Storage(found.base.rpartition("/")[0], found.options)
    if wanted != had:
        raise InputError(f"--storage {wanted}: {what} was begun with {had}; leave it out, or begin another with {way}")
