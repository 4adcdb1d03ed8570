"""How the space of a search was widened while its trials stayed: events, which `engine.resuming.widening` writes."""

from __future__ import annotations

from searchplat.ledger.ledger import Ledger
from searchplat.ledger.records import Event

WIDENED = "widened"
"""Kind of the event; it has `changes` (lines), `by`, the fingerprints `old` and `new`, `trials` (how many there were),
`added` (parameters that were new to some, with their values) and the sentence `said`."""


def widenings(ledger: Ledger) -> list[Event]:
    """Those of a search, in their order."""
    rows = ledger.select("SELECT seq FROM events WHERE kind = ?", WIDENED)
    return [ledger.events(seq - 1, 1)[0] for (seq,) in rows]
