"""What a ledger says at one moment, as views need it. Views take a `Snapshot` and know no ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from searchplat import hints, protocol
from searchplat.engine.places import recorded
from searchplat.engine.planning import closing
from searchplat.engine.planning.closing import Estimate
from searchplat.engine.planning.plan import Plan
from searchplat.engine.resuming.opening import is_study
from searchplat.engine.steering import state
from searchplat.ledger import Event, Ledger, TrialRecord
from searchplat.ledger.ranking import Ranking, improves
from searchplat.ledger.widenings import widenings
from searchplat.searchers.contract import TrialState
from searchplat.spec import from_document
from searchplat.spec.model import CONTROLS, SearchSpec

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
        estimate: The newest of what its next trials are expected to gain; None without `stop`.
        enough: Whether it ended by that.
    """

    name: str
    planned: int
    ended: int
    running: int
    waiting: int
    best: TrialRecord | None
    data_fraction: float
    estimate: Estimate | None = None
    enough: bool = False

    @property
    def ended_early(self) -> str | None:
        """Why it ended before all its trials were run, in a sentence, where its `stop` decided so."""
        return self.estimate.words if self.enough and self.estimate is not None else None

    @property
    def remaining(self) -> int:
        """Trials that are still to end."""
        return max(0, self.planned - self.ended)


@dataclass(frozen=True)
class Snapshot:
    """One search at one moment.

    Args:
        trials: All trials, by number.
        ranking: Of them: which compare, and which are the best.
        stages: The controls, if there are any, then the stages in their order.
        paused: The event by which its driver begins nothing new; None if it does.
        steered: What came of the newest request of this run, a sentence; empty if there was none.
        study: Whether somebody's own loop runs the trials: no command goes on with it.
        widened: The events by which its space was widened.
        places: Options of the command line that its newest driver was given: the cluster, MLflow.
        failure: What its newest run failed for; None if it did not, or another run has begun since.
    """

    name: str
    folder: Path
    spec: SearchSpec
    trials: Sequence[TrialRecord]
    ranking: Ranking
    stages: Sequence[StageProgress]
    paused: Event | None = None
    steered: str = ""
    study: bool = False
    widened: Sequence[Event] = ()
    places: Sequence[str] = ()
    failure: str | None = None

    def hint(self, verb: str, *options: str) -> str:
        """The command `verb` on this search, for a shell."""
        return hints.on_search(verb, self.name, self.folder.parent, *options)

    def goes_on(self, *more: str, here: bool = True) -> str:
        """The command that goes on with it, for a shell; see `hints`."""
        return hints.goes_on(self.spec, self.name, self.folder.parent, self.places, *more, here=here)

    @cached_property
    def best(self) -> TrialRecord | None:
        """The best trial of the search; of several objectives' front the first."""
        return next(iter(self.ranking.best(1)), None)

    @property
    def controls(self) -> Sequence[TrialRecord]:
        """The best trial of each control, the best first."""
        return self.ranking.controls

    @cached_property
    def front(self) -> Sequence[TrialRecord]:
        """The Pareto front, for several objectives; empty for one."""
        return self.ranking.front() if self.ranking.several else ()

    def better(self, new: float, old: float) -> bool:
        """Whether one value of the first objective is better than another."""
        return improves([new], [old], self.spec.objectives[:1])

    @property
    def done(self) -> bool:
        """Whether all trials that are planned have ended."""
        return self.ended >= self.planned and not self.open

    @property
    def ranked(self) -> str:
        """Which items targets are ranked among, in words; empty where it is not known."""
        return protocol.words(self.ranking.rank_met)

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

    @property
    def metrics(self) -> list[str]:
        """All objectives' names."""
        return [objective.metric for objective in self.spec.objectives]

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
    plan = Plan.of(spec, ledger)
    trials = ledger.trials()
    ranking = Ranking(trials, spec.objectives, [stage.name for stage in spec.stages], spec.data.options)
    stages = []
    if spec.controls or any(trial.stage == CONTROLS for trial in trials):
        budget = sum(control.trials for control in spec.controls)
        fraction = max((control.data_fraction for control in spec.controls), default=1.0)
        stages.append(_progress(CONTROLS, budget, trials, next(iter(ranking.controls), None), fraction))
    for stage in spec.stages:
        best = next(iter(ranking.best(1, stage=stage.name)), None)
        progress = _progress(stage.name, plan.planned(stage), trials, best, stage.data_fraction)
        estimate, enough = closing.newest_estimate(ledger, stage.name), closing.by_gain(ledger, stage.name)
        stages.append(replace(progress, estimate=estimate, enough=enough))
    return Snapshot(
        name, folder, spec, trials, ranking, stages, state.paused(ledger), state.newest_said(ledger), is_study(ledger),
        widenings(ledger), recorded(ledger), _failure(ledger),
    )  # fmt: skip


def _failure(ledger: Ledger) -> str | None:
    run = ledger.newest("opened", "closed")
    if run is None or run.kind != "closed" or run.payload.get("state") != "failed":
        return None
    return str(run.payload.get("message", ""))


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


def _progress(
    name: str, planned: int, trials: Sequence[TrialRecord], best: TrialRecord | None, data_fraction: float
) -> StageProgress:
    own = [trial for trial in trials if trial.stage == name]
    ended = sum(trial.state.final for trial in own)
    running = sum(trial.state is TrialState.RUNNING for trial in own)
    return StageProgress(name, max(planned, len(own)), ended, running, len(own) - ended - running, best, data_fraction)
