"""What the ledger says of requests: whether a search is paused, and what was carried out."""

from __future__ import annotations

from searchplat.engine.steering.requests import Answer, Request, RequestFolder
from searchplat.ledger import Event, Ledger

PAUSED, RESUMED, SET, STOPPING, STOPPED_TRIAL = "paused", "resumed", "set", "stopping", "stopped"
UNCHANGED, REFUSED = "unchanged", "refused"
KINDS = (PAUSED, RESUMED, SET, STOPPING, STOPPED_TRIAL, UNCHANGED, REFUSED)
"""Of the events of requests; each has the request's id, words and asker, and the sentence that was answered."""

BY_HAND = "stopped by hand"
"""The cause of a trial that was stopped so."""


def paused(ledger: Ledger) -> Event | None:
    """The event by which a search is paused; None if it is not. A new run of it goes on."""
    newest = ledger.newest("opened", "closed", PAUSED, RESUMED)
    return newest if newest is not None and newest.kind == PAUSED else None


def pending(folder: RequestFolder) -> list[Request | str]:
    """Requests that no driver has taken yet, in their order; of one that cannot be read the id."""
    return [folder.read(id_) or id_ for id_ in folder.waiting()]


def newest_said(ledger: Ledger) -> str:
    """The newest answer of this run; empty if there is none."""
    newest = ledger.newest("opened", *KINDS)
    return "" if newest is None or newest.kind == "opened" else str(newest.payload["said"])


def answered(ledger: Ledger) -> dict[str, Answer]:
    """The answers to all requests that the ledger has, by id."""
    marks = ", ".join("?" * len(KINDS))
    rows = ledger.select(f"SELECT seq FROM events WHERE kind IN ({marks})", *KINDS)
    found = {}
    for (seq,) in rows:
        (event,) = ledger.events(seq - 1, 1)
        outcome = event.kind if event.kind in (UNCHANGED, REFUSED) else "done"
        found[str(event.payload["request"])] = Answer.model_validate(
            {"outcome": outcome, "said": event.payload["said"]}
        )
    return found
