"""A trial as Python sees it: one of a search's, or one that a study has handed out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from searchplat.ledger import TrialRecord
from searchplat.views.live_picture import searched_values
from searchplat.views.snapshot import Snapshot


@dataclass(frozen=True)
class Trial:
    """One trial at one moment; plain values only, so that it can be sent to another process.

    Args:
        number: From 0, in the order of the suggestions.
        stage: Its stage; `controls` for controls.
        state: `waiting`, `running`, `finished`, `stopped`, `diverged`, `infeasible`, `timeout` or `failed`.
        params: Values of the searched parameters, those that a stage took over from an earlier one included.
        config: The whole configuration, with what is not searched.
        values: The objectives by name, at the trial's best epoch; of a configuration that was repeated their means
            where the best are asked for. Empty before the first.
        seconds: Of training and evaluation.
        seed: Everything random in the trial should follow from it.
        epochs: Reported so far.
        control: The control's name, None for a trial of the search.
        cause: Why it ended as it did, if badly.
        broken: The search's bounds on outcomes that it breaks, such as `time/train_seconds <= 60`, and by how much;
            infinite where the metric was not reported.
    """

    number: int
    stage: str
    state: str
    params: dict[str, Any]
    config: dict[str, Any]
    values: dict[str, float]
    seconds: float
    seed: int
    epochs: int
    control: str | None = None
    cause: str | None = None
    broken: dict[str, float] = field(default_factory=dict)

    @property
    def feasible(self) -> bool:
        """Whether it breaks no bound on outcomes, as far as it was measured."""
        return not self.broken

    @property
    def value(self) -> float | None:
        """The first objective; None before it is known."""
        return next(iter(self.values.values()), None)


def trial_of(record: TrialRecord, metrics: list[str], params: dict[str, Any]) -> Trial:
    """A ledger's trial.

    Args:
        metrics: Names of the objectives.
        params: Of the trial.
    """
    return Trial(
        number=record.number,
        stage=record.stage,
        state=record.state.value,
        params=params,
        config=dict(record.config),
        values=dict(zip(metrics, record.objectives or (), strict=False)),
        seconds=record.seconds,
        seed=record.seed,
        epochs=record.epoch,
        control=record.control,
        cause=record.cause,
        broken={
            one.bound.text: math.inf if math.isnan(one.value) else abs(one.value - one.bound.limit)
            for one in record.broken
        },
    )


def trial_in(snapshot: Snapshot, record: TrialRecord) -> Trial:
    """A trial of a search, with the parameters that are in effect in it."""
    return trial_of(record, snapshot.metrics, searched_values(snapshot, record))
