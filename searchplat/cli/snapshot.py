"""What a ledger says at one moment, as views need it. Views take a `Snapshot` and know no ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from searchplat import protocol, rivals
from searchplat.engine.plan import CONTROLS, Plan
from searchplat.ledger import Ledger, TrialRecord
from searchplat.searchers.contract import TrialState
from searchplat.spec import from_document
from searchplat.spec.model import SearchSpec

BASELINE = "popularity"
"""The method that every recommender should beat; summaries single it out among the controls."""

_TRIAL_OVERHEAD_SECONDS = 0.3


@dataclass(frozen=True)
class StageProgress:
    """One stage, or the controls.

    Args:
        planned: Trials in all; fewer are run where a searcher finds no new point.
        ended: Trials in a final state.
        best: Its best scored trial.
    """

    name: str
    planned: int
    ended: int
    running: int
    waiting: int
    best: TrialRecord | None
    data_fraction: float

    @property
    def remaining(self) -> int:
        """Trials that are still to end."""
        return max(0, self.planned - self.ended)


@dataclass(frozen=True)
class Snapshot:
    """One search at one moment.

    Args:
        trials: All trials, by number.
        ranking: Scored trials of the search itself, the best first.
        controls: The best scored trial of each control, the best first.
        stages: The controls, if there are any, then the stages in their order.
    """

    name: str
    folder: Path
    spec: SearchSpec
    trials: Sequence[TrialRecord]
    ranking: Sequence[TrialRecord]
    controls: Sequence[TrialRecord]
    stages: Sequence[StageProgress]

    @property
    def comparable(self) -> list[TrialRecord]:
        """The ranking without trials on another share of the users than the last stage that has a score.

        Metrics on different shares do not compare, so the best of a first stage on few users is no rival.
        """
        last = next((s for s in reversed(self.stages) if s.name != CONTROLS and s.best), None)
        return [trial for trial in self.ranking if last and trial.data_fraction == last.data_fraction]

    @property
    def best(self) -> TrialRecord | None:
        """The best trial of the search itself, see `comparable`."""
        return next(iter(self.comparable), None)

    def better(self, new: float, old: float) -> bool:
        """Whether one value of the first objective is better than another."""
        return new > old if self.spec.objectives[0].maximize else new < old

    @property
    def not_beaten(self) -> str:
        """Which controls the best trial does not beat, such as `below the control markov (0.0491)`; else empty."""
        return rivals.standing(self.best, self.controls, self.spec.data.options, self.spec.objectives[0].maximize)

    @property
    def ranked(self) -> str:
        """Which items targets are ranked among, in words; empty where it is not known."""
        config = self.best.config if self.best is not None else {}
        return protocol.words(protocol.rank_met(self.spec.data.options, config))

    def compares(self, control: TrialRecord) -> bool:
        """Whether a control's metrics compare with the best trial's."""
        return self.best is not None and rivals.compare(self.best, control, self.spec.data.options)

    @property
    def states(self) -> Mapping[TrialState, int]:
        """Number of trials in each state that occurs, in the order of `TrialState`."""
        counts = Counter(trial.state for trial in self.trials)
        return {state: counts[state] for state in TrialState if counts[state]}

    @property
    def planned(self) -> int:
        """Trials of all stages and controls together."""
        return sum(stage.planned for stage in self.stages)

    @property
    def ended(self) -> int:
        """Trials in a final state."""
        return sum(stage.ended for stage in self.stages)

    @property
    def open(self) -> int:
        """Trials that run or wait."""
        return sum(not trial.state.final for trial in self.trials)

    @property
    def metric(self) -> str:
        """The first objective's name."""
        return self.spec.objectives[0].metric

    def recent(self, most: int) -> list[TrialRecord]:
        """The running trials and those that ended last, in the order of their ends, at most `most`."""
        running = [trial for trial in self.trials if trial.state is TrialState.RUNNING]
        ended = sorted((t for t in self.trials if t.ended_at is not None), key=lambda t: t.ended_at or 0)
        kept = max(0, most - len(running))
        return ([*ended[len(ended) - min(kept, len(ended)) :], *running])[:most]

    def seconds_left(self, slots: int) -> float | None:
        """Estimate of the time until the last trial ends; None before the first one of the search's own method has.

        A trial's time is taken to grow with its share of the users. Controls of other methods, such as popularity,
        may take a hundredth of it and say nothing.
        """
        own_method = [trial for trial in self.trials if trial.method == self.spec.method]
        ended = [trial for trial in own_method if trial.state.final and trial.seconds > 0]
        if not ended:
            return None
        left = 0.0
        for stage in self.stages:
            own = [trial for trial in ended if trial.stage == stage.name] or ended
            whole = sum(trial.seconds / trial.data_fraction for trial in own) / len(own)
            left += stage.remaining * (whole * stage.data_fraction + _TRIAL_OVERHEAD_SECONDS)
        left -= sum(trial.seconds for trial in self.trials if trial.state is TrialState.RUNNING)
        return max(0.0, left) / max(1, slots)


def take(name: str, folder: Path, ledger: Ledger, spec: SearchSpec | None = None) -> Snapshot:
    """Take a snapshot of a ledger that may be written at the same time.

    Args:
        spec: The search's; by default the one that the ledger remembers.
    """
    spec = spec or from_document(ledger.document())
    total = ledger.meta("trials")
    plan = Plan(spec, ledger, None if total is None else int(total))
    trials = ledger.trials()
    ranking = _ranked(spec, [trial for trial in trials if trial.control is None])
    controls: dict[str, TrialRecord] = {}
    for trial in _ranked(spec, [trial for trial in trials if trial.control is not None]):
        controls.setdefault(str(trial.control), trial)
    stages = []
    if spec.controls or any(trial.stage == CONTROLS for trial in trials):
        budget = sum(control.trials for control in spec.controls)
        fraction = max((control.data_fraction for control in spec.controls), default=1.0)
        stages.append(_progress(CONTROLS, budget, trials, next(iter(controls.values()), None), fraction))
    for stage in spec.stages:
        best = next((trial for trial in ranking if trial.stage == stage.name), None)
        planned = plan.budgets[stage.name]
        if ledger.meta(f"exhausted:{stage.name}"):
            planned = sum(trial.stage == stage.name for trial in trials)
        stages.append(_progress(stage.name, planned, trials, best, stage.data_fraction))
    return Snapshot(name, folder, spec, trials, ranking, list(controls.values()), stages)


def wall_seconds(ledger: Ledger) -> float:
    """Time that drivers of this search have been at work, the present one included; sleeping between is left out."""
    total, began, last, after = 0.0, None, 0.0, 0
    while events := ledger.events(after, 5000):
        after = events[-1].seq
        for event in events:
            if event.kind == "opened":
                total += last - began if began is not None else 0.0  # the driver before was killed
                began = event.at
            elif event.kind == "closed" and began is not None:
                total, began = total + event.at - began, None
            last = event.at
    return max(0.0, total + (last - began if began is not None else 0.0))


def _ranked(spec: SearchSpec, trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Scored trials, the best first; as `Ledger.ranking`, of trials read at one moment."""
    sign = -1.0 if spec.objectives[0].maximize else 1.0
    scored = [(sign * t.objectives[0], t.number, t) for t in trials if t.state.scored and t.objectives is not None]
    return [trial for _, _, trial in sorted(scored, key=lambda row: row[:2])]


def _progress(
    name: str, planned: int, trials: Sequence[TrialRecord], best: TrialRecord | None, data_fraction: float
) -> StageProgress:
    own = [trial for trial in trials if trial.stage == name]
    ended = sum(trial.state.final for trial in own)
    running = sum(trial.state is TrialState.RUNNING for trial in own)
    return StageProgress(name, max(planned, len(own)), ended, running, len(own) - ended - running, best, data_fraction)
