"""The trials of a stage in the order of what a model says that they are worth without their noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from searchplat.ledger import TrialRecord
from searchplat.searchers.contract import History
from searchplat.spec.model import Objective
from searchplat.spec.space import Space

if TYPE_CHECKING:
    from searchplat.searchers.estimates import Estimate


def estimates_of(
    objectives: Sequence[Objective], history: History, space: Space, given: Mapping[str, Any]
) -> dict[int, Estimate]:
    """Estimates by trials' numbers; see `searchers.estimates`. Takes a second.

    Args:
        objectives: The only one.
        history: The stage's trials, as its searcher hears of them.

    Returns:
        Nothing where no model can tell.
    """
    from searchplat.searchers.estimates import estimates  # loads torch

    return estimates(space, objectives[0].maximize, history, given) or {}


def in_order(
    trials: Sequence[TrialRecord], found: Mapping[int, Estimate], objectives: Sequence[Objective]
) -> list[TrialRecord]:
    """Trials that are ranked by their values, by the model's mean; as they were where it says nothing.

    What keeps the bounds on outcomes stays before what does not, and what has no estimate comes last.
    """
    sign = -1.0 if objectives[0].maximize else 1.0

    def place(trial: TrialRecord) -> tuple[bool, float]:
        return bool(trial.broken), sign * found[trial.number].mean if trial.number in found else math.inf

    return sorted(trials, key=place)
