"""Why a stage gets no more trials before their number is reached: its points or hours are used up, or it has enough.

Under `stop: {gain: 0.001, trials: 10}` a stage ends once its next ten trials can be expected to gain less than that, by
`searchers.gain`. Each estimate is an event of the ledger, written together with what follows from it, so that a driver
that was killed finds the same. Whoever raises the number of trials of a stage that ended so wants them: it goes on to
that number, without a further look at its gain.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from searchplat.engine.planning.budgets import record_total, recorded
from searchplat.ledger import Ledger
from searchplat.searchers.contract import History
from searchplat.spec.model import SearchSpec, StageSpec
from searchplat.spec.space import Space

_HOURS, _POINTS, _GAIN = "its hours", "1", "its gain"

GAIN, ENDED = "gain", "stage_ended"
"""Kinds of events: an estimate, and the end of a stage by it."""

_ROW = 2
"""Estimates in a row that must be below the bound: a single one may come from a poor fit."""
_SPARSE = 20
"""A stage is looked at after each of its first trials, later when a twentieth has come."""


@dataclass(frozen=True)
class Estimate:
    """What the next trials of a stage were expected to gain.

    Args:
        ended: Trials with a value that it is from.
        started: Trials that the stage had.
        of: Trials that it was to have.
        gain: In the objective's units, >= 0.
        bound: Below which the stage ends.
        trials: Over how many trials.
    """

    stage: str
    ended: int
    started: int
    of: int
    gain: float
    bound: float
    trials: int

    @property
    def words(self) -> str:
        """Why the stage ends, if it does by this one."""
        return (
            f"stage {self.stage} ended after {self.started} of {self.of} trials: expected gain over the next "
            f"{self.trials} trials {self.gain:.2g} < {self.bound:g}"
        )


def reason(ledger: Ledger, stage: str) -> str | None:
    """Why a stage gets no more trials; None if nothing of this speaks against it."""
    why = ledger.meta(f"exhausted:{stage}")
    if not why:
        return None
    if why == _HOURS:
        return "its hours are used up"
    if why == _GAIN:
        estimate = newest_estimate(ledger, stage)
        assert estimate is not None, "it is written together with the end"
        return estimate.words
    return "its searcher has no new point"


def close_for_points(ledger: Ledger, stage: str) -> None:
    """Its searcher has no new point."""
    ledger.set_meta(f"exhausted:{stage}", _POINTS)


def spent(ledger: Ledger, stage: StageSpec, gpu_share: float) -> bool:
    """Whether a stage's trials took the hours that they may take, by what they reported; if so it is recorded.

    Args:
        gpu_share: Of a GPU that each of them takes.
    """
    if stage.hours is None and stage.gpu_hours is None:
        return False
    hours = sum(trial.seconds for trial in ledger.history(stage.name).trials) / 3600
    used = ((stage.hours, hours), (stage.gpu_hours, hours * gpu_share))
    if not any(bound is not None and taken >= bound for bound, taken in used):
        return False
    ledger.set_meta(f"exhausted:{stage.name}", _HOURS)
    return True


def enough(
    ledger: Ledger, stage: StageSpec, history: History, space: Space, given: Mapping[str, Any], *, maximize: bool,
    seed: int, of: int,
) -> bool:  # fmt: skip
    """Whether a stage ends by its `stop` before its next trial; takes a second where an estimate is due.

    Args:
        history: The stage's trials, as its searcher hears of them.
        space: The stage's axes, with that of ranks.
        given: Values of parameters outside the space.
        maximize: Whether more of the only objective is better.
        seed: The stage's.
        of: Trials that it is to have.
    """
    stop = stage.stop
    if stop is None or ledger.meta(f"go_on:{stage.name}"):
        return False
    ended = sum(trial.state.scored and trial.objectives is not None for trial in history.trials)
    seen = json.loads(ledger.meta(f"gain:{stage.name}") or '{"ended": 0, "row": 0}')
    if ended < stop.after or ended - seen["ended"] < max(1, ended // _SPARSE):
        return False
    from searchplat.searchers.gain import expected_gain  # loads torch

    gain = expected_gain(space, maximize, history, stop.trials, seed, given, stage.searcher)
    if gain is None:
        return False
    estimate = Estimate(stage.name, ended, len(history.trials), of, gain, stop.gain, stop.trials)
    row = seen["row"] + 1 if gain < stop.gain else 0
    with ledger.transaction():
        ledger.note(GAIN, asdict(estimate))
        ledger.set_meta(f"gain:{stage.name}", json.dumps({**asdict(estimate), "row": row}))
        if row >= _ROW:
            ledger.note(ENDED, {**asdict(estimate), "said": estimate.words})
            ledger.set_meta(f"exhausted:{stage.name}", _GAIN)
    return row >= _ROW


def go_on(ledger: Ledger, stages: Mapping[str, int], before: Mapping[str, int]) -> None:
    """Let those stages that ended by their gain go on whose numbers of trials are raised.

    Args:
        stages: Trials of each stage from now on.
        before: Trials that it was to have so far.
    """
    for name, number in stages.items():
        if number > before[name] and by_gain(ledger, name):
            ledger.set_meta(f"exhausted:{name}", "")
            ledger.set_meta(f"go_on:{name}", str(number))


def extend(spec: SearchSpec, ledger: Ledger, total: int) -> None:
    """All stages together get so many trials from now on."""
    before = recorded(spec, ledger)
    with ledger.transaction():
        record_total(ledger, total)
        go_on(ledger, recorded(spec, ledger), before)


def reopen(ledger: Ledger, stage: str) -> None:
    """Forget why a stage got no more trials: its space has changed."""
    for key in ("exhausted", "gain", "go_on"):
        if ledger.meta(f"{key}:{stage}"):
            ledger.set_meta(f"{key}:{stage}", "")


def by_gain(ledger: Ledger, stage: str) -> bool:
    """Whether a stage has ended by its gain, so that more trials of it may be asked for."""
    return ledger.meta(f"exhausted:{stage}") == _GAIN


def estimates(ledger: Ledger) -> list[Estimate]:
    """All of a search's, in their order."""
    rows = ledger.select("SELECT seq FROM events WHERE kind = ?", GAIN)
    return [Estimate(**ledger.events(seq - 1, 1)[0].payload) for (seq,) in rows]


def newest_estimate(ledger: Ledger, stage: str) -> Estimate | None:
    """The newest of a stage; None before there is one."""
    said = ledger.meta(f"gain:{stage}")
    return None if not said else Estimate(**{k: v for k, v in json.loads(said).items() if k != "row"})
