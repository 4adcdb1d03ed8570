"""Events of a ledger in words, for the page's log."""

from __future__ import annotations

from searchplat.ledger import Event

_CAUSE = 200


def event_words(event: Event) -> str:
    """One event in a sentence; of one of a kind that is not known here, its name.

    >>> event_words(Event(7, 0.0, "ended", 3, {"state": "diverged", "cause": "loss\\nis nan"}))
    'trial 3 diverged: is nan'
    >>> event_words(Event(8, 0.0, "reported", 3, {"epoch": 2}))
    'trial 3 reported epoch 2'
    """
    said = event.payload
    trial = f"trial {event.trial}"
    if "said" in said:  # of what somebody asked for, and all that explains itself
        return str(said["said"])
    match event.kind:
        case "suggested":
            return f"{trial} suggested for stage {said.get('stage')}"
        case "started":
            return f"{trial} started"
        case "reported":
            return f"{trial} reported epoch {said.get('epoch')}"
        case "retried":
            return f"{trial} taken up again: {_last(said.get('cause'))}"
        case "requeued":
            return f"{trial} waits again, as its driver went away"
        case "ended":
            cause = _last(said.get("cause"))
            return f"{trial} {said.get('state')}" + (f": {cause}" if cause else "")
        case "opened":
            return "the search goes on" if said.get("resumed") else "the search begins"
        case "closed":
            message = _last(said.get("message"))
            return f"its run has ended: {said.get('state')}" + (f", {message}" if message else "")
        case "packed":
            return "what a trial takes of a machine: " + (_last(said.get("skipped")) or "measured")
    return event.kind if event.trial is None else f"{trial}: {event.kind}"


def _last(said: object) -> str:
    """The last line, which says most of a traceback."""
    lines = str(said or "").strip().splitlines()
    return lines[-1][:_CAUSE] if lines else ""
