"""What is said of a search: an event, its figures, and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from searchplat.engine.monitor import SearchOutcome
from searchplat.errors import TryAgainError
from searchplat.ledger.outcomes import broken_words
from searchplat.redaction import redact
from searchplat.spec.model import NOTICES
from searchplat.views import text
from searchplat.views.snapshot import Snapshot

END, FAILURE, BEST = NOTICES

_LONGEST = 600
"""Characters of a sentence."""


@dataclass(frozen=True)
class Notice:
    """One thing to be told.

    Args:
        payload: JSON values. `text` is what Slack, Mattermost and others show; `search`, `event`, `state`, `message`,
            `metric`, `value`, `values`, `trial`, `ended`, `planned` are for programs; null where there is none yet.
    """

    payload: dict[str, Any]

    @property
    def event(self) -> str:
        """`end`, `failure` or `best`."""
        return str(self.payload["event"])

    def filled(self, word: str) -> str:
        """A command's word with its placeholders filled in; what is filled in has none.

        >>> Notice({"search": "a", "message": "is {value}", "value": None}).filled("{search}: {message} {x}")
        'a: is {value} {x}'
        """
        parts = word.split("{")
        for place, part in enumerate(parts[1:], start=1):
            name, closed, rest = part.partition("}")
            known = bool(closed) and name in self.payload and name not in ("text", "values")
            value = self.payload.get(name)
            parts[place] = ("" if value is None else str(value)) + rest if known else "{" + part
        return "".join(parts)


def best_notice(snapshot: Snapshot) -> Notice:
    """A new best; of several objectives a new front."""
    best = snapshot.best
    assert best is not None
    what = "new on the Pareto front" if snapshot.ranking.several else "new best"
    return _notice(BEST, "running", snapshot.name, snapshot, f"{what}: {_best(snapshot)}")


def end_notice(outcome: SearchOutcome, snapshot: Snapshot | None) -> Notice:
    """How a run of a search ended.

    Args:
        snapshot: As it is now, if the search was under way.
    """
    failed = outcome.state == "failed" or outcome.exit_code == TryAgainError.exit_code
    said = {"done": "done", "interrupted": "interrupted", "failed": "FAILED"}[outcome.state]
    if failed:
        lines = outcome.message.strip().splitlines() or [""]
        why = " ".join(dict.fromkeys((lines[0], lines[-1])))  # between them stands a traceback, or somebody's log
        said = f"{'FAILED' if outcome.state == 'failed' else 'stopped'}: {why}"
    found = "" if snapshot is None or snapshot.best is None else f"; best {_best(snapshot)}"
    return _notice(FAILURE if failed else END, outcome.state, outcome.name, snapshot, f"{said[:_LONGEST]}{found}")


def promotion_notice(
    search: str, state: str, said: str, metric: str | None = None, value: float | None = None
) -> Notice:
    """How a promotion of a search ended.

    Args:
        state: `done`, `interrupted` or `failed`; the last is a failure.
        said: In a sentence.
        metric: The objective by which the winner was chosen.
        value: The winner's mean of it in validation.
    """
    event = FAILURE if state == "failed" else END
    message = redact(text.visible(f"{search}: promotion {said[:_LONGEST]}"))
    return Notice({**_payload(event, search, state, message), "metric": metric, "value": value})


def _best(snapshot: Snapshot) -> str:
    best = snapshot.best
    assert best is not None
    values = zip(snapshot.metrics, best.objectives or (), strict=False)
    breaks = f", which {words}" if (words := broken_words(best.broken)) else ""
    return ", ".join(f"{metric} {text.metric(value)}" for metric, value in values) + f" (trial {best.number}{breaks})"


def _notice(event: str, state: str, name: str, snapshot: Snapshot | None, said: str) -> Notice:
    best = None if snapshot is None else snapshot.best
    values = (
        {} if snapshot is None or best is None else dict(zip(snapshot.metrics, best.objectives or (), strict=False))
    )
    told = _payload(event, name, state, redact(text.visible(f"{name}: {said}")))
    if snapshot is not None:
        told |= {"metric": snapshot.metric, "ended": snapshot.ended, "planned": snapshot.planned}
    if best is not None:
        told |= {"value": next(iter(values.values()), None), "values": values, "trial": best.number}
    return Notice(told)


def _payload(event: str, search: str, state: str, message: str) -> dict[str, Any]:
    return {
        "event": event,
        "search": search,
        "state": state,
        "metric": None,
        "value": None,
        "values": {},
        "trial": None,
        "ended": None,
        "planned": None,
        "message": message,
        # Slack's own escapes: else a trial's words could call a whole channel.
        "text": message.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    }
