"""Where a search cannot go on, because none of some trials ended with a value, or goes on from such as break bounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from searchplat.engine.worker.messages import WRONG_INPUT
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_words

_log = logging.getLogger(__name__)
_CAUSES = 3
"""Of trials that failed, as many as are shown."""


def nothing_scored(trials: Sequence[TrialRecord], said: str) -> SearchFailedError | InputError:
    """The error where none of these trials ended with a value: one of the input, if each had values that did not fit.

    Args:
        said: What is said before the causes.
    """
    causes = sorted({trial.cause for trial in trials if trial.cause})
    wrong = [cause.removeprefix(WRONG_INPUT) for cause in causes if cause.startswith(WRONG_INPUT)]
    shown = "; ".join((wrong or causes)[:_CAUSES])
    more = f"; and {len(causes) - _CAUSES} more, see `searchplat trials`" if len(causes) > _CAUSES else ""
    if wrong and len(wrong) == len(causes):
        return InputError(f"{said}: {shown}{more}")
    return SearchFailedError(f"{said}: {shown}{more}")


def warn_if_none_keeps(chosen: Sequence[TrialRecord], stage: str, earlier: str) -> None:
    """Say so where what a stage builds on breaks bounds on outcomes, as nothing of the earlier stage keeps them."""
    if chosen and all(trial.broken for trial in chosen):
        _log.warning(
            "no trial of stage %s keeps the bounds on outcomes; stage %s builds on those nearest to them: trial %d %s",
            earlier, stage, chosen[0].number, broken_words(chosen[0].broken),
        )  # fmt: skip
