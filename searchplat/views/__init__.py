"""How a search stands, and everything that draws it for a terminal; the commands and the report read it."""

from enum import StrEnum

TOP = 5
"""Trials that a list of the best has unless it is told otherwise; `tracking.best_trials` has as many."""


class Sort(StrEnum):
    """What trials are sorted by."""

    number = "number"
    value = "value"
    seconds = "seconds"
    state = "state"
