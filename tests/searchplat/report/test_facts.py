"""The clock of a search, and lanes."""

from __future__ import annotations

from searchplat.ledger import Event
from searchplat.report.facts import Span, lanes, times


def events(*rows: tuple[float, str, int | None]) -> list[Event]:
    return [Event(seq, 1000.0 + at, kind, trial) for seq, (at, kind, trial) in enumerate(rows, start=1)]


def test_nothing_happened_yet() -> None:
    found = times(iter([]))
    assert (found.spans, found.worked, found.began, found.last) == ([], 0.0, None, None)


def test_the_clock_stands_still_without_a_driver() -> None:
    found = times(
        iter(
            events(
                (0, "opened", None), (1, "started", 0), (4, "ended", 0), (5, "started", 1), (8, "closed", None),
                (108, "opened", None), (108, "requeued", 1), (109, "started", 1), (112, "ended", 1),
            )
        )
    )  # fmt: skip
    assert found.spans == [Span(0, 1, 4, False), Span(1, 5, 8, True), Span(1, 9, 12, False)]
    assert found.ended == {0: 4, 1: 12}
    assert (found.pauses, found.worked) == ([8.0], 12.0)


def test_a_killed_driver_and_a_clock_set_back() -> None:
    found = times(iter(events((0, "opened", None), (2, "started", 0), (1, "started", 1), (50, "opened", None))))
    assert found.spans == [Span(0, 2, 2, True), Span(1, 2, 2, True)]
    assert found.worked == 2.0


def test_the_first_opening_is_no_pause() -> None:
    found = times(iter(events((0, "suggested", 0), (1, "opened", None), (2, "started", 0), (5, "ended", 0))))
    assert (found.pauses, found.worked) == ([], 5.0)


def test_trials_at_once_stand_in_lanes_of_their_own() -> None:
    spans = [Span(0, 0, 5, False), Span(1, 1, 3, False), Span(2, 3, 6, False), Span(3, 5, 7, False)]
    assert lanes(spans) == [0, 1, 1, 0]
