"""What a search does next, by its spec and its ledger alone; new trials are recorded here.

Waiting trials first (they were suggested before an interruption), then the controls, then the stages: a stage
begins when the one that it builds on has ended. Of those that can go on at once the one with the highest priority
comes first, of equals the earlier one; slots that it has no more trials for go to the next.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from searchplat.contract import Values
from searchplat.engine.planning import by_model, closing
from searchplat.engine.planning.budgets import budgets, recorded
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.first_points import no_point, whole_points
from searchplat.engine.planning.nothing_scored import nothing_scored, warn_if_none_keeps
from searchplat.engine.planning.past import past_of
from searchplat.engine.planning.seeds import SHARED, control_seed, derive_seed, drawing_seed, trial_seed
from searchplat.ledger import Ledger, TrialRecord, repeats
from searchplat.ledger.ranking import Ranking, has_value
from searchplat.methods import load_method
from searchplat.searchers import make_searcher
from searchplat.searchers.contract import BatchSearcher, History, Searcher, Suggestion, TrialState
from searchplat.searchers.points import key, tried
from searchplat.spec.building.constraints import named_outside
from searchplat.spec.building.points import sample_with
from searchplat.spec.building.stages import in_effect
from searchplat.spec.model import BY_MODEL, CONTROLS, OWN_LOOP, Control, SearchSpec, StageSpec
from searchplat.spec.space import Categorical, Constraint, Space

if TYPE_CHECKING:
    from searchplat.searchers.estimates import Estimate

RANK = "from"
"""The axis that a stage with `from: {top: n}` gets: which of the earlier stage's best n it builds on, from 1."""


class Turn(Enum):
    """What to do when there is no trial to hand out."""

    WAIT = "wait"  # for open trials to end
    LAST = "last"  # likewise, and nothing comes after them
    DONE = "done"


@dataclass(frozen=True)
class SuggestionDue:
    """The stage wants one more suggestion: `Plan.suggest` computes it, which may take seconds."""

    stage: StageSpec


class Plan:
    """Decides what comes next, and records new trials in the ledger.

    Args:
        spec: The search.
        ledger: Its ledger.
        total: Trials of all stages together, see `budgets`; the file's own sum if None.
    """

    def __init__(self, spec: SearchSpec, ledger: Ledger, total: int | None = None) -> None:
        self.spec = spec
        self.ledger = ledger
        self.budgets: Mapping[str, int] = budgets(spec, total)
        """Trials of each stage; may be replaced while the search runs."""
        self._searchers: dict[str, Searcher] = {}
        self._chosen: dict[str, list[TrialRecord]] = {}
        self._points: dict[str, list[tuple[int, Values]]] = {}
        by_priority = sorted(spec.stages, key=lambda stage: -stage.priority)
        self._order = {stage.name: place for place, stage in enumerate(by_priority)}  # controls come before all
        self._by_priority = by_priority
        self.gpu_shares: Mapping[str, float] = {}
        """GPUs that a trial of each stage takes, once they are known: `gpu_hours` is hours times these."""

    @classmethod
    def of(cls, spec: SearchSpec, ledger: Ledger) -> Plan:
        """With the numbers of trials that the ledger has."""
        plan = cls(spec, ledger)
        plan.budgets = recorded(spec, ledger)
        return plan

    @property
    def planned_trials(self) -> int:
        """Trials of all stages and controls together."""
        return sum(map(self.planned, self.spec.stages)) + sum(control.trials for control in self.spec.controls)

    def planned(self, stage: StageSpec) -> int:
        """Trials of a stage in all: its budget, or those that it has had if these are more, or it gets no more."""
        had = self.ledger.count(stage.name)
        return had if self.closed(stage) is not None else max(had, self.budgets[stage.name])

    @property
    def done(self) -> bool:
        """Whether all trials have ended and none is to come. Changes nothing."""
        return self.ready() == 0

    def next(self) -> TrialRecord | SuggestionDue | Turn:
        """The next waiting trial (a control is recorded by this call), the stage to ask for one, or what else to do."""
        return self.waiting() or self._beyond()

    def waiting(self) -> TrialRecord | None:
        """The next of the trials that were suggested and have not been handed out, if there is one."""
        waiting = (trial for trial in self.ledger.open_trials() if trial.state is TrialState.WAITING)
        return min(waiting, key=lambda trial: (self._order.get(trial.stage, -1), trial.number), default=None)

    def ready(self) -> int:
        """Trials that could be at work now, were there room: open ones, and what controls and stages still get.

        Those of a stage that builds on one that is under way do not count. Changes nothing, so any thread may ask.
        """
        to_come = {stage.name: self.planned(stage) - self.ledger.count(stage.name) for stage in self.spec.stages}
        open_ = self.ledger.open_trials()
        busy = {name for name, count in to_come.items() if count > 0} | {trial.stage for trial in open_}
        stages = (s for s in self.spec.stages if s.start_from is None or s.start_from.stage not in busy)
        controls = sum(max(0, one.trials - self.ledger.count(CONTROLS, one.name)) for one in self.spec.controls)
        return len(open_) + controls + sum(max(0, to_come[stage.name]) for stage in stages)

    def ahead(self, most: int) -> SuggestionDue | None:
        """The stage to ask for a suggestion although no slot is free, unless `most` trials are waiting already.

        Where a control is next it is recorded, and waits; then None.
        """
        if not self._short_of(most):
            return None
        turn = self._beyond()
        return turn if isinstance(turn, SuggestionDue) else None

    def wants(self, stage: StageSpec, most: int) -> bool:
        """Whether a stage that was just asked is to be asked for more, for `most` trials to wait."""
        return self._short_of(most) and not self._complete(stage)

    def _short_of(self, most: int) -> bool:
        return sum(trial.state is TrialState.WAITING for trial in self.ledger.open_trials()) < most

    def _beyond(self) -> TrialRecord | SuggestionDue | Turn:
        """What comes after the waiting trials: a control (recorded by this call), or a stage to ask."""
        if control := self._next_control():
            return control
        at_work = self.ledger.open_trials()
        going_on = {stage.name for stage in self.spec.stages if not self._complete(stage)}
        busy = going_on | {trial.stage for trial in at_work}
        for stage in self._by_priority:
            if stage.name in going_on and (stage.start_from is None or stage.start_from.stage not in busy):
                return SuggestionDue(stage)
        if not at_work:
            return Turn.DONE
        return Turn.WAIT if going_on else Turn.LAST

    def suggest(self, stage: StageSpec, count: int = 1) -> TrialRecord | None:
        """Compute more suggestions of a stage and record them.

        Args:
            count: At most so many, if the stage's searcher makes several in the time of one; else one.

        Returns:
            The first new trial; None if its searcher has no new point or too little is left to gain, which is recorded.

        Raises:
            SearchFailedError: If the stage builds on one without a single scored trial.
            InputError: If the method refuses the values of a suggestion, or no point keeps the constraints.
        """
        history = self.ledger.history(stage.name)
        number = self.ledger.next_number
        if (point := self._next_point(stage, history)) is not None:
            return self._record(stage, point, history.seq, number)
        if self._enough(stage, heard := self._heard(stage, history)):
            return None
        if (again := self._repeat(stage, len(history.trials), history.seq, number)) is not None:
            return again
        count = min(count, self.budgets[stage.name] - len(history.trials))
        if stage.repeats is not None:
            count = 1  # a batch could run past the next repeat
        began = time.perf_counter()
        searcher = self._searcher(stage)
        if count > 1 and isinstance(searcher, BatchSearcher):
            suggestions = searcher.suggest_many(heard, number, count)
        else:
            one = searcher.suggest(heard, number)
            suggestions = [] if one is None else [one]
        if not suggestions:
            if not history.trials and self.spec.space.constraints:
                raise no_point(self.stage_space(stage), stage)
            closing.close_for_points(self.ledger, stage.name)
            return None
        seconds = round((time.perf_counter() - began) / len(suggestions), 4)
        trials = []
        for offset, suggestion in enumerate(suggestions):
            suggestion.info.setdefault("seconds", seconds)
            trials.append(self._record(stage, suggestion, history.seq, number + offset))
        return trials[0]

    def base_config(self, stage: StageSpec) -> Values:
        """Values that a stage does not search: the file's `fixed`, the stage's own, without inherited ones."""
        return {**self.spec.fixed, **stage.fixed}

    def stage_space(self, stage: StageSpec) -> Space:
        """The stage's axes, with the axis of ranks if it builds on more than one earlier trial."""
        space = self.spec.space.only(stage.over)
        if stage.start_from is not None and stage.start_from.top > 1:
            ranks = range(1, len(self.sources(stage)) + 1)
            chosen = tuple(self._inherited(stage, rank) for rank in ranks) if space.constraints else ()
            constraints = tuple(Constraint(one.text, RANK, chosen) for one in space.constraints)
            return Space((*space.domains, Categorical(RANK, tuple(ranks), ordered=True)), constraints)
        return space

    def sources(self, stage: StageSpec) -> list[TrialRecord]:
        """The trials that a stage with `from` builds on, best first; its source has ended, so they stay the same.

        Raises:
            SearchFailedError, InputError: If none of them ended with a value; see `nothing_scored`.
        """
        assert stage.start_from is not None
        if stage.name not in self._chosen:
            earlier, top = stage.start_from.stage, stage.start_from.top
            names = [one.name for one in self.spec.stages]
            ask_model = stage.start_from.by == BY_MODEL
            ranking = Ranking(self.ledger.trials(), self.spec.objectives, names)
            chosen = ranking.configurations(None if ask_model else top, stage=earlier)
            if ask_model:
                chosen = by_model.in_order(chosen, self.estimates(earlier), self.spec.objectives)
            self._chosen[stage.name] = chosen[:top]
            warn_if_none_keeps(self._chosen[stage.name], stage.name, earlier)
        if not self._chosen[stage.name]:
            raise nothing_scored(
                [trial for trial in self.ledger.trials() if trial.stage == stage.start_from.stage],
                f"stage {stage.name!r} builds on the best trial of stage {stage.start_from.stage!r}, "
                "but none of its trials ended with a value",
            )
        return self._chosen[stage.name]

    def estimates(self, name: str) -> dict[int, Estimate]:
        """What the trials of a stage are worth without their noise, by number; see `by_model`."""
        stage = next(one for one in self.spec.stages if one.name == name)
        history = self._heard(stage, self.ledger.history(name))
        return by_model.estimates_of(self.spec.objectives, history, self.stage_space(stage), self._given(stage))

    # ------------------------------------------------------------------ inside

    def _next_control(self) -> TrialRecord | None:
        for control in self.spec.controls:
            done = self.ledger.count(CONTROLS, control.name)
            if done < control.trials:
                return self._record_control(control, done)
        return None

    def _record_control(self, control: Control, index: int) -> TrialRecord:
        method = control.method or self.spec.method
        values = dict(control.values)
        if control.random:
            space = self.spec.space
            given = {name: value for name, value in self.spec.fixed.items() if name not in space}
            given |= named_outside(space, load_method(method).Config, given, ())
            rng = np.random.default_rng(drawing_seed(self.spec, control, index))
            values = sample_with(space, rng, given, values)
        fixed = {} if control.method else {**self.spec.fixed, **self.spec.stages[-1].fixed}
        return self.ledger.suggest(
            stage=CONTROLS,
            control=control.name,
            method=method,
            values=values,
            config=full_config(method, {**fixed, **values}),
            data_fraction=control.data_fraction,
            seed=control_seed(self.spec, control, index),
            info={"route": "control"},
            based_on=self.ledger.seq,
        )

    def _record(self, stage: StageSpec, suggestion: Suggestion, based_on: int, number: int) -> TrialRecord:
        values = {**self.base_config(stage), **self._inherited(stage, suggestion.values.get(RANK, 1))}
        values |= {key: value for key, value in suggestion.values.items() if key != RANK}
        return self.ledger.suggest(
            stage=stage.name,
            method=self.spec.method,
            values=suggestion.values,
            config=full_config(self.spec.method, values),
            data_fraction=stage.data_fraction,
            seed=trial_seed(self.spec, stage, number),
            info=suggestion.info,
            based_on=based_on,
        )

    def _repeat(self, stage: StageSpec, count: int, based_on: int, number: int) -> TrialRecord | None:
        """Record trial `number`, the stage's `count`-th, as a repeat if it is to be one and there is what to repeat."""
        if stage.repeats is None or not repeats.due(stage.repeats.share, count):
            return None
        trials = self.ledger.trials()
        ranking = Ranking(trials, self.spec.objectives, [one.name for one in self.spec.stages])
        best = ranking.configurations(stage.repeats.top, stage=stage.name)
        chosen = repeats.next_repeat(best, [trial for trial in trials if trial.stage == stage.name])
        if chosen is None:
            return None
        first, training = chosen
        return self.ledger.suggest(
            stage=stage.name,
            method=first.method,
            values=first.values,
            config=first.config,
            data_fraction=first.data_fraction,
            seed=trial_seed(self.spec, stage, number, training),
            info=repeats.info_of(first, training, shared=stage.seeds == SHARED),
            based_on=based_on,
        )

    def _next_point(self, stage: StageSpec, history: History) -> Suggestion | None:
        """The first of the stage's `points` that was not tried."""
        if not stage.points:
            return None
        space = self.stage_space(stage)
        if stage.name not in self._points:
            defaults = {**self.spec.fixed, RANK: 1}
            self._points[stage.name] = whole_points(self.spec, stage, space, self._given(stage), defaults)
        known = tried(space, history)
        left = ((index, one) for index, one in self._points[stage.name] if key(space, one) not in known)
        index, values = next(left, (0, None))
        return None if values is None else Suggestion(values, {"route": "points", "point": index})

    def _heard(self, stage: StageSpec, history: History) -> History:
        """The history as a searcher is told it."""
        if stage.repeats is None:
            return history
        valued = [t for t in self.ledger.trials() if t.control is None and has_value(t, self.spec.objectives)]
        return repeats.heard(history, valued)

    def _enough(self, stage: StageSpec, heard: History) -> bool:
        """Whether the stage ends here, as its `stop` says."""
        if stage.stop is None:
            return False
        return closing.enough(
            self.ledger, stage, heard, self.stage_space(stage), self._given(stage),
            maximize=self.spec.objectives[0].maximize, seed=self._seed(stage), of=self.budgets[stage.name],
        )  # fmt: skip

    def _seed(self, stage: StageSpec) -> int:
        return derive_seed(self.spec.seed, "stage", stage.name)

    def _searcher(self, stage: StageSpec) -> Searcher:
        if stage.name not in self._searchers:
            self._searchers[stage.name] = make_searcher(
                stage.searcher,
                self.stage_space(stage),
                tuple(objective.maximize for objective in self.spec.objectives),
                self._seed(stage),
                self._given(stage),
                past_of(self.ledger, stage.name),
            )
        return self._searchers[stage.name]

    def _given(self, stage: StageSpec) -> Values:
        """Values of parameters that the stage does not search, as its conditions and constraints see them."""
        inherited = self._inherited(stage, 1)
        given = {**self.base_config(stage), **inherited}
        # An axis of this stage has the value that is suggested, or none; never its default.
        given = {name: value for name, value in given.items() if name not in stage.over}
        if self.spec.space.constraints and self.spec.method != OWN_LOOP:  # nor has one that the earlier trial had not
            absent = in_effect(stage, self.spec.stages) - inherited.keys()
            given = {name: value for name, value in given.items() if name not in absent}
            space = self.spec.space.only(stage.over)
            given |= named_outside(space, load_method(self.spec.method).Config, given, absent)
        return given

    def _inherited(self, stage: StageSpec, rank: int) -> Values:
        """What the stage takes over from an earlier one: that trial's value of every searched parameter it set."""
        if stage.start_from is None:
            return {}
        best = self.sources(stage)[rank - 1]
        earlier = next(s for s in self.spec.stages if s.name == stage.start_from.stage)
        return {
            **self._inherited(earlier, best.values.get(RANK, 1)),
            **{key: value for key, value in best.values.items() if key != RANK},
        }

    def _complete(self, stage: StageSpec) -> bool:
        """Whether a stage gets no more trials; that its hours ended it is recorded."""
        if self.ledger.count(stage.name) >= self.budgets[stage.name] or self.closed(stage) is not None:
            return True
        return closing.spent(self.ledger, stage, self.gpu_shares.get(stage.name, 0.0))

    def closed(self, stage: StageSpec) -> str | None:
        """Why no more trials may join, whatever their number; see `closing`. Or it is built upon."""
        return closing.reason(self.ledger, stage.name) or self._built_upon(stage)

    def settled(self, stage: StageSpec) -> str | None:
        """Why no more may be asked for either: a stage that ended by its gain may be told to go on."""
        built_upon = self._built_upon(stage)
        return built_upon if closing.by_gain(self.ledger, stage.name) else self.closed(stage)

    def _built_upon(self, stage: StageSpec) -> str | None:
        upon = (s.name for s in self.spec.stages if s.start_from is not None and s.start_from.stage == stage.name)
        return next((f"stage {name} builds on it" for name in upon if self.ledger.count(name)), None)
