"""Asking a running search for something and hearing what came of it: `searchplat stop`, `pause`, `resume` and `set`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from searchplat import hints
from searchplat.engine.steering.asking import Asker, ended_words, nobody
from searchplat.engine.steering.requests import FOR_ONE_RUN, Action, Answer
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger.folder import SearchFolder
from searchplat.views.snapshot import take

_DONE_WORDS = {"stop": "stopped", "stop-trial": "stopped", "pause": "paused", "resume": "resumed", "set": "changed"}


def ask(
    folder: SearchFolder,
    action: Action,
    tell: Callable[[str], None],
    *,
    patience_s: float,
    to_the_end: bool = True,
    **about: Any,
) -> dict[str, Any]:
    """Ask, wait for the answer, and for the end of the search where that is what was asked for.

    Args:
        tell: Told why it takes long.
        patience_s: Seconds to wait at most; the request stands after them. 0 leaves it and returns.
        to_the_end: Whether `stop` is waited for until no driver is at work, not only until it is answered.
        about: As `engine.steering.requests.new_request`.

    Returns:
        `search`, `action`, `request` (its id), `outcome`, `said`, and `ended`, how the search did.

    Raises:
        InputError: If it is refused, or no driver is at work; the command that goes on with the search is named.
        TryAgainError: If somebody holds the search who takes no requests, or the driver ended before it took this one.
    """
    until = time.monotonic() + patience_s
    asker = Asker(folder, tell)
    driver = asker.driver()
    if driver is None:
        raise _nobody(folder, action)
    if driver.work == "promotion" and action != "stop":
        raise InputError(
            f"search {folder.name!r} is being promoted, and a promotion can only be stopped as a whole: "
            f"{hints.on_search('stop', folder.name, folder.path.parent)}"
        )
    request = asker.ask(driver, action, patience_s > 0, **about)
    document: dict[str, Any] = {"search": folder.name, "action": action, "request": request.id, "ended": None}
    if patience_s <= 0:
        return document | {"outcome": "asked", "said": "asked; nobody has waited for the answer"}
    try:
        answer = asker.answer(request, until)
        if action == "stop" and (to_the_end or answer is None):
            asker.wait_for_end(until)
    except TimeoutError:
        return document | {"outcome": "asked", "said": "asked; there is no answer yet, and the request stands"}
    if action == "stop" and (to_the_end or answer is None):
        asker.withdraw(request)
        state, said = ("ended", "its promotion has ended") if driver.work == "promotion" else ended_words(folder)
        how = Answer(outcome="done", said=said) if answer is None else answer
        return document | {"outcome": how.outcome, "said": said, "ended": {"state": state, "message": said}}
    if answer is None:
        if action in FOR_ONE_RUN and asker.withdraw(request):
            raise _nobody(folder, action)
        if asker.kept(request):
            raise TryAgainError(
                f"search {folder.name!r} ended before it took the request, which is kept: the next `searchplat search` "
                f"of it carries it out; its file {folder.requests / request.id}.json may be removed"
            )
        raise TryAgainError(
            f"search {folder.name!r} ended before it answered; this shows how: "
            f"{hints.on_search('status', folder.name, folder.path.parent)}"
        )
    if answer.outcome == "refused":
        raise InputError(f"search {folder.name!r}: {answer.said}")
    return document | {"outcome": answer.outcome, "said": answer.said}


def _nobody(folder: SearchFolder, action: Action) -> InputError:
    """The error where no driver is at work: the command that goes on with the search, where one can."""
    with folder.read() as ledger:
        snapshot = take(folder.name, folder.path, ledger)
    words = snapshot.goes_on()
    if action == "set":
        remedy = f"say it to the command that goes on with it: {words} --trials N"
    elif snapshot.done:
        remedy = f"it is done, and more trials extend it: {words} --trials N"
    else:
        remedy = f"this goes on with it: {words}"
    return nobody(folder, _DONE_WORDS[action], remedy)
