"""Events in words."""

from __future__ import annotations

import doctest

from searchplat.ledger import Event
from searchplat.ui import words


def test_its_examples() -> None:
    assert doctest.testmod(words).failed == 0


def test_every_kind_has_words_and_one_of_another_version_too() -> None:
    said = {"stage": "s", "epoch": 1, "cause": "a\nb", "state": "done", "message": "m"}
    kinds = ["suggested", "started", "reported", "retried", "requeued", "ended", "opened", "closed", "packed"]
    found = [words.event_words(Event(1, 0.0, kind, 3, said)) for kind in kinds]
    assert len(set(found)) == len(kinds)
    assert found[3] == "trial 3 taken up again: b"
    assert words.event_words(Event(1, 0.0, "paused", None, {"said": "paused by ann"})) == "paused by ann"
    assert words.event_words(Event(1, 0.0, "later", None, {})) == "later"
    assert words.event_words(Event(1, 0.0, "later", 3, {})) == "trial 3: later"
