"""What a trial's process says to whoever steps it: the search's loop, a promotion's lane, or `searchplat run`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum

WRONG_INPUT = "wrong input: "
"""How a trial's cause begins if its own values do not fit its data or weights."""


class Said(StrEnum):
    """An epoch is done, or why the trial does not go on."""

    REPORT = "report"  # an epoch is done
    INFEASIBLE = "infeasible"  # out of memory also at the smallest micro-batch
    TIMEOUT = "timeout"  # silent for longer than allowed
    PROGRAM_FAILED = "failed"  # the program that it runs ended badly, which those of other trials need not
    BUG = "bug"  # the method's code raised
    WRONG_INPUT = "wrong input"  # what it was given; whoever hears it decides whether for this trial alone
    NOT_NOW = "not now"  # its disk, its storage or its host cannot do it at present: it has not ended
    PARTNER_LOST = "partner lost"  # another process of the same training


@dataclass(frozen=True)
class Message:
    """What is said after each step.

    Args:
        epoch: Epochs completed.
        epochs: Epochs in all.
        metrics: Of the last epoch; may be non-finite.
        cause: If it does not go on: what happened, with the traceback of a bug.
        fields: For a wrong input: on which fields of the config it depends, as `InputError` has them.
    """

    kind: Said
    epoch: int = 0
    epochs: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    cause: str | None = None
    fields: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Text that `from_json` reads; NaN and infinities survive."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Message:
        """The message that `to_json` wrote."""
        content = json.loads(text)
        return cls(**{**content, "kind": Said(content["kind"]), "fields": tuple(content["fields"])})
