"""Optuna's samplers as searchers: the ledger's trials become a study in memory, and the study is asked.

A study is only a cache here. Nothing of it is stored: a sampler that keeps a state (CMA-ES, NSGA-II) gets it
back by replaying the ledger, asking again for every trial at the point of the history where it was suggested.
Next: `optuna_space` (the translation) and `points` (never the same point twice).
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from searchplat.contract import Values
from searchplat.searchers.beliefs import first_by_belief
from searchplat.searchers.contract import History, PastTrial, Suggestion
from searchplat.searchers.nearest import nearest
from searchplat.searchers.optuna_space import OptunaSpace
from searchplat.searchers.points import Key, key, seed_of, untried
from searchplat.spec.space import Space

Excesses = Callable[[FrozenTrial], tuple[float, ...]]
"""By how much a trial exceeds each bound on outcomes, above 0 where it breaks it: Optuna's `constraints_func`."""

MakeSampler = Callable[[int, dict[str, BaseDistribution], Excesses | None], BaseSampler]
"""Builds a sampler from a seed, the distributions that every point has, and what it is to ask about bounds on outcomes;
None for that where there are none."""

_FAR = 1e3
"""Shares of a limit beyond which it does not matter by how much a bound is broken; an unreported metric is there.
Samplers fit models to the numbers, which infinity would end."""
_RANKED_LAST = 1e100
"""The value of a trial that breaks bounds, to a sampler that looks at ranks alone, is worse than any by this much."""

_ASKS = 8  # a sampler that keeps proposing tried points has nothing left to say: go random


class OptunaSearcher:
    """Any Optuna sampler behind our contract.

    How past trials enter the study: FINISHED and STOPPED as complete, with the best value so far (a trial stopped
    early would rank as worst of all as Optuna's "pruned", which CMA-ES and GPs ignore altogether; its best value
    is a fair bound); diverged, infeasible, timed-out and failed ones as failed, which Optuna's samplers ignore;
    open ones as running, which TPE (constant liar) and GP keep away from. Where the search has bounds on outcomes, the
    samplers are told by how much each trial exceeds them; one that knows of no such thing is told that a trial which
    breaks any is worse than all that break none, by how much it breaks them.

    Args:
        space: The stage's axes.
        maximize: One per objective.
        seed: With a trial's number it seeds that trial's sampler, so a suggestion needs no earlier generator state.
        given: Values of parameters outside the space that conditions may look at.
        make_sampler: Builds the sampler, anew for each suggestion.
        stateful: The sampler stores state in the trials that it is asked for; replay them.
        bounds: Whether the sampler knows of bounds on outcomes. If not, it must look at the ranks of values alone.
        bits_as_ints: See `OptunaSpace`.
        startup: Trials that are drawn from the axes' priors, if they have such; for samplers without a state.
    """

    def __init__(
        self,
        space: Space,
        maximize: tuple[bool, ...],
        seed: int,
        given: Mapping[str, Any],
        make_sampler: MakeSampler,
        stateful: bool = False,
        bits_as_ints: bool = False,
        bounds: bool = True,
        startup: int = 0,
    ) -> None:
        self._startup = startup
        self._space, self._maximize, self._seed, self._given = space, maximize, seed, given
        self._bounds = bounds
        self._translation = OptunaSpace(space, given, bits_as_ints)
        self._make_sampler, self._stateful = make_sampler, stateful
        self._mirror = self._empty()

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose a point; see `Searcher.suggest`. A suggestion must be recorded before the next one is asked for."""
        with quiet():
            if not self._mirror.extends_to(history):
                self._mirror = self._empty()
            self._mirror.catch_up(history)
            if first := first_by_belief(
                self._space, history, number, 1, self._startup, self._mirror.known, self._seed, self._given
            ):
                return first[0]
            point, wish, info = self._mirror.propose(number)
        if point is None:
            rng, known = np.random.default_rng(seed_of(self._seed, "untried", number)), self._mirror.known
            if wish is not None:
                point, info = nearest(self._space, wish, rng, self._given, known), {**info, "route": "nearest"}
            else:
                point = untried(self._space, rng, self._given, known)
        return None if point is None else Suggestion(point, info)

    def _empty(self) -> _Mirror:
        return _Mirror(self._translation, self._maximize, self._seed, self._make_sampler, self._stateful, self._bounds)


class _Mirror:
    """A study in memory that follows a growing history."""

    def __init__(
        self,
        translation: OptunaSpace,
        maximize: tuple[bool, ...],
        seed: int,
        make_sampler: MakeSampler,
        stateful: bool,
        bounds: bool,
    ) -> None:
        self._translation, self._seed, self._maximize = translation, seed, maximize
        self._make_sampler, self._stateful, self._bounds = make_sampler, stateful, bounds
        self._excess: dict[int, tuple[float, ...]] = {}  # by the study's number, of trials with values
        with quiet():
            directions = [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in maximize]
            self._study = optuna.create_study(directions=directions)
        self._count = 0  # trials in the study, ours and those that were only asked
        self._numbers: list[int] = []
        self._open: dict[int, int] = {}  # our number -> the study's number, of trials that are still running
        self._seen: dict[int, PastTrial] = {}
        self._seq = -1
        self._asked: tuple[int, int] | None = None  # the last question: trial number, ledger sequence number
        self._attrs: dict[str, Any] = {}  # what the sampler noted down at that question
        self.known: set[Key] = set()

    def __getstate__(self) -> dict[str, Any]:
        # A sampler may hold a lock, as NSGA-II's does, and is not needed again: each question has its own.
        study = copy.copy(self._study)
        study.sampler = RandomSampler()
        return {**vars(self), "_study": study}

    def extends_to(self, history: History) -> bool:
        """Whether `history` only adds to what this study has: new trials at the end, ends of open trials."""
        if history.seq < self._seq or len(history.trials) < len(self._numbers):
            return False
        if self._stateful and self._asked is not None:
            # The last question changed the sampler's state: it must have become the next trial.
            new = history.trials[len(self._numbers) : len(self._numbers) + 1]
            if not new or (new[0].number, new[0].based_on) != self._asked:
                return False
        return all(
            number == trial.number
            and (trial is self._seen[number] or trial == self._seen[number] or number in self._open)
            and (number not in self._open or trial.values == self._seen[number].values)
            for number, trial in zip(self._numbers, history.trials, strict=False)
        )

    def catch_up(self, history: History) -> None:
        """Add what is new. For a stateful sampler each trial is asked for again where it was in the history."""
        for trial in history.trials[len(self._numbers) :]:
            if self._stateful and self._asked != (trial.number, trial.based_on):
                self._close(history, up_to=trial.based_on)
                self.propose(trial.number)
            self._add(trial, self._attrs if self._stateful else {})
            self._asked, self._attrs = None, {}
        self._close(history, up_to=None)
        self._seq = history.seq

    def propose(self, number: int) -> tuple[Values | None, Values | None, dict[str, Any]]:
        """An untried point for trial `number`, None if the sampler has none, and what to say about it.

        Samplers know nothing of constraints and are asked again. Between the two stands the first point that they would
        have had but for these.
        """
        self._asked = (number, self._seq)
        wish: Values | None = None
        for attempt in range(_ASKS):
            self._study.sampler = self._sampler(number, attempt)
            trial = self._study.ask()
            point = self._translation.ask(trial)
            # A failed trial is one that no sampler looks at; Optuna cannot delete trials.
            self._attrs = self._study.tell(trial, state=OptunaState.FAIL).system_attrs
            self._count += 1
            if self._translation.space.broken(point, self._translation.given):
                wish = wish or point
            elif key(self._translation.space, point) not in self.known:
                route = type(self._study.sampler).__name__.lstrip("_").lower()
                return point, None, {"route": route, **({"redraws": attempt} if attempt else {})}
        return None, wish, {"route": "random", "redraws": _ASKS}

    def _sampler(self, number: int, attempt: int) -> BaseSampler:
        # NumPy's older generators, which Optuna uses, take 32 bits.
        seed = seed_of(self._seed, "optuna", number, attempt) % 2**32
        return self._make_sampler(seed, self._translation.always(), self._excesses if self._excess else None)

    def _excesses(self, trial: FrozenTrial) -> tuple[float, ...]:
        return self._excess[trial.number]

    def _add(self, trial: PastTrial, attrs: dict[str, Any]) -> None:
        params, distributions = self._translation.params(trial.values)
        frozen = optuna.trial.create_trial(
            state=OptunaState.RUNNING, params=params, distributions=distributions, system_attrs=attrs
        )
        self._study.add_trial(frozen)
        self._open[trial.number] = self._count
        self._count += 1
        self._numbers.append(trial.number)
        self._seen[trial.number] = trial
        self.known.add(key(self._translation.space, trial.values))

    def _close(self, history: History, up_to: int | None) -> None:
        by_number = {t.number: t for t in history.trials} if self._open else {}
        for number in list(self._open):
            trial = by_number[number]
            if trial.state.final and (up_to is None or (trial.ended_at or 0) <= up_to):
                scored = trial.state.scored and trial.objectives is not None
                state = OptunaState.COMPLETE if scored else OptunaState.FAIL
                place = self._open.pop(number)
                if scored and trial.excess and self._bounds:
                    self._excess[place] = tuple(max(-_FAR, min(_FAR, value)) for value in trial.excess)
                    self._study.sampler = self._sampler(number, 0)  # notes it down as the trial ends
                self._study.tell(place, self._values(trial) if scored else None, state=state)
                self._seen[number] = trial

    def _values(self, trial: PastTrial) -> tuple[float, ...]:
        """The objectives; of a trial that breaks bounds, for a sampler that knows of none, such as rank it behind."""
        assert trial.objectives is not None
        if self._bounds or not trial.violation:
            return trial.objectives
        worse = _RANKED_LAST * (1 + min(_FAR, trial.violation))
        return tuple(-worse if up else worse for up in self._maximize)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Optuna's log below errors, and its notes that a feature is experimental, or goes in Optuna 7."""
    logger = logging.getLogger("optuna")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # What replaces it, `Trial.set_constraint`, is of trials that the study itself asks for.
            warnings.filterwarnings("ignore", "`constraints_func` has been deprecated", FutureWarning)
            yield
    finally:
        logger.setLevel(before)
