"""PR as a searcher of the platform: it knows the space's conditions and constraints, the layout's layers and roles."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import Values
from searchplat.searchers.beliefs import first_by_belief
from searchplat.searchers.contract import History, PastTrial, Suggestion, TrialState
from searchplat.searchers.options import PROptions
from searchplat.searchers.points import constant, key, levels, seed_of, snap, tried, untried
from searchplat.searchers.pr.acquisition import LogAcquisition
from searchplat.searchers.pr.belief import Belief
from searchplat.searchers.pr.encoding import Axis, CountRange, Encoding, Kind
from searchplat.searchers.pr.models.prior_mean import PriorMean
from searchplat.searchers.pr.proposal import Known, propose_many, startup_of
from searchplat.searchers.pr.sources import prior_means
from searchplat.searchers.transfer import SourceTask, first_of, next_of, within
from searchplat.spec.scale import at_share, share_of
from searchplat.spec.space import Categorical, Domain, Float, Int, Layout, Space

_MOST_VERDICTS = 20_000  # points of which is remembered whether they keep the constraints
_MOST_CODES = 100_000  # values of which is remembered how they are encoded
_MOST_LEVELS = 12  # an ordered axis with more levels is searched as a real one and rounded


class PRSearcher:
    """Bayesian optimisation with probabilistic reparameterization; see `searchers/pr`.

    Past trials enter as: finished and stopped ones with their best value; diverged, infeasible, timed-out and failed
    ones as failures, whose probability lowers a point's worth; open ones as pending points. Where the search has bounds
    on outcomes, the probability of keeping each is another factor, and the best so far is the best that keeps them.
    Of more than 300 trials the model knows a subset: see `models.subset`.

    Args:
        space: The stage's axes.
        maximize: One per objective.
        seed: With a trial's number it seeds that trial's draws.
        given: Values of parameters outside the space that conditions may look at.
        options: See `PROptions`.
        past: Trials of other searches. The first suggestions are good points of theirs, and their models are prior
            means of this one's; see `models.prior_mean`.
    """

    def __init__(
        self,
        space: Space,
        maximize: tuple[bool, ...],
        seed: int,
        given: Mapping[str, Any],
        options: PROptions,
        past: Sequence[SourceTask] = (),
    ) -> None:
        self._space, self._seed, self._given, self._options = space, seed, given, options
        self._signs = torch.tensor([1.0 if up else -1.0 for up in maximize], dtype=torch.float64)
        self._codec = Codec(space, given)
        tasks = [task for task in (within(one, space) for one in past) if task.trials]
        self._first = first_of(tasks, space, maximize, seed, given)
        self._sources_J: list[list[PriorMean]] = []
        if tasks and self._codec.encoding.width:
            self._sources_J = prior_means(self._codec, space, tasks, self._signs, options)
            if any(self._sources_J):
                # The past's best points take the place of a design: the model knows something from the start.
                least = min(startup_of(self._codec.encoding, options), max(1, len(self._first)))
                self._options = options.model_copy(update={"startup": least})

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose a point; see `Searcher.suggest`."""
        return next(iter(self.suggest_many(history, number, 1)), None)

    def suggest_many(self, history: History, number: int, count: int) -> list[Suggestion]:
        """Propose up to `count` points at once; see `BatchSearcher.suggest_many`."""
        known = tried(self._space, history)
        if first := next_of(self._first, self._space, known, history, count):
            return first
        startup = startup_of(self._codec.encoding, self._options)
        if first := first_by_belief(self._space, history, number, count, startup, known, self._seed, self._given):
            return first
        if self._codec.encoding.width:
            taken = set(known)

            def fresh(code_A: Tensor) -> bool:
                return key(self._space, self._codec.decode(code_A)) not in taken

            proposals = propose_many(
                self._codec.encoding,
                self._known(history),
                self._seed,
                number,
                count,
                self._options,
                accept=fresh,
                sources_J=self._sources_J,
                factors=self._beliefs(history),
            )
            suggestions = []
            for proposal in proposals:
                point = self._codec.decode(proposal.code_A)
                if self._space.broken(point, self._given):
                    continue
                if key(self._space, point) not in taken:  # two codes may round to one point
                    taken.add(key(self._space, point))
                    suggestions.append(Suggestion(point, proposal.info))
            if suggestions:
                return suggestions
        rng = np.random.default_rng(seed_of(self._seed, "untried", number))
        point_ = untried(self._space, rng, self._given, known)
        return [] if point_ is None else [Suggestion(point_, {"route": "untried"})]

    def _beliefs(self, history: History) -> list[LogAcquisition]:
        """The factor of what the user believes, if anything."""
        if not self._codec.beliefs:
            return []
        valued = sum(trial.state.scored and trial.objectives is not None for trial in history.trials)
        return [Belief(self._codec.encoding, self._codec.beliefs, self._options.prior_beta / max(1, valued))]

    def _known(self, history: History) -> Known:
        scored = [t for t in history.trials if t.state.scored and t.objectives is not None]
        values = [t.objectives for t in scored]
        # One that was stopped by hand before its first report says nothing of its point.
        failed = [t for t in history.trials if t.state.final and not t.state.scored]
        encode = self._codec.encode
        return Known(
            encode([t.values for t in scored]),
            torch.tensor(values, dtype=torch.float64).reshape(len(scored), len(self._signs)) * self._signs,
            encode([t.values for t in history.trials if not t.state.final]),
            encode([t.values for t in failed]),
            # A trial that was stopped early took less because it was bad, not because its point is cheap.
            torch.tensor(
                [t.seconds if t.state is TrialState.FINISHED else math.nan for t in scored], dtype=torch.float64
            ),
            _ended(scored),
            _ended(failed),
            torch.tensor([t.excess for t in scored], dtype=torch.float64) if scored and scored[0].excess else None,
        )


def _ended(trials: Sequence[PastTrial]) -> Tensor:
    return torch.tensor([t.number if t.ended_at is None else t.ended_at for t in trials], dtype=torch.int64)


class Codec:
    """Points of a space to rows of codes and back. Axes that cannot vary have no code."""

    def __init__(self, space: Space, given: Mapping[str, Any]) -> None:
        self._space, self._given = space, given
        axes: list[Axis] = []
        counts: list[CountRange] = []
        self._first: dict[str, int] = {}  # index of a domain's first axis
        for domain in space.domains:
            always = [c for c in domain.when if c.parameter not in space]
            active = all(
                any(type(given.get(c.parameter)) is type(v) and given.get(c.parameter) == v for v in c.values)
                for c in always
            )
            if not active or domain.size() == 1:
                continue
            self._first[domain.name] = len(axes)
            when = self._when(domain)
            if isinstance(domain, Layout):
                low, high = domain.count_range()
                if domain.at_most:
                    bits = tuple(range(len(axes), len(axes) + domain.bits))
                    counts.append(CountRange(bits, low, high))
                width = len(domain.roles)
                axes += [
                    Axis(f"{domain.name}.{name}", Kind.BIT, 2, i // width, when)
                    for i, name in enumerate(domain.names())
                ]
            else:
                kind, number = _kind(domain)
                axes.append(Axis(domain.name, kind, number, when=when))
        # What constraints look at, and what decides whether it is there.
        self._looked_at = {name for constraint in space.constraints for name in (*constraint.names, constraint.choice)}
        for domain in reversed(space.domains):
            if domain.name in self._looked_at:
                self._looked_at |= {condition.parameter for condition in domain.when}
        self._verdicts: dict[bytes, bool] = {}
        self._codes: dict[tuple[str, type, Any], Tensor | float] = {}
        self.encoding = Encoding(axes, counts, self._keeps if space.constraints else None)

    def encode(self, points: Sequence[Mapping[str, Any]], *, lacking: float = 0.0) -> Tensor:
        """Codes `[M, A]`; inactive axes are 0.

        Args:
            lacking: The code of an axis that a point has no value of.
        """
        codes = torch.full((len(points), self.encoding.width), lacking, dtype=torch.float64)
        for row, values in enumerate(points):
            for name, first in self._first.items():
                if name not in values:
                    continue
                code = self._remembered(name, first, values[name])
                if isinstance(code, Tensor):
                    codes[row, first : first + len(code)] = code
                else:
                    codes[row, first] = code
        return codes

    def encode_partly(self, points: Sequence[Mapping[str, Any]]) -> Tensor:
        """Codes `[M, A]` of points of another space: NaN for what they lack, so that its features say nothing.

        Where a point has a value that depends on a parameter that it lacks, this one is such that the value is there.
        """
        codes_MA = self.encode(points, lacking=math.nan)
        for a, axis in reversed(list(enumerate(self.encoding.axes))):  # parents come before their children
            for parent, allowed in axis.when:
                there_M = ~codes_MA[:, a].isnan() & codes_MA[:, parent].isnan()
                codes_MA[there_M, parent] = float(allowed[0])
        return codes_MA

    def _remembered(self, name: str, first: int, value: Any) -> Tensor | float:
        """The code of a value, a layout's bits; the trials of a search are encoded again for every suggestion."""
        identity = (name, type(value), value)
        if identity not in self._codes:
            if len(self._codes) > _MOST_CODES:
                self._codes.clear()
            domain = self._space[name]
            if isinstance(domain, Layout):
                self._codes[identity] = torch.from_numpy(domain.decode(value)).double()
            else:
                self._codes[identity] = self._code(domain, self.encoding.axes[first], value)
        return self._codes[identity]

    @property
    def beliefs(self) -> dict[int, Domain]:
        """The domains of which something is believed, by the index of each of their axes."""
        found: dict[int, Domain] = {}
        for name, first in self._first.items():
            if (domain := self._space[name]).prior is not None:
                found |= dict.fromkeys(range(first, first + (domain.bits if isinstance(domain, Layout) else 1)), domain)
        return found

    def columns_of(self, names: Collection[str]) -> Tensor:
        """Which feature columns `[D]` are of these axes: 1, else 0."""
        own_A = torch.zeros(self.encoding.width, dtype=torch.float64)
        for name, first in self._first.items():
            domain = self._space[name]
            if name in names:
                own_A[first : first + (domain.bits if isinstance(domain, Layout) else 1)] = 1.0
        return own_A[self.encoding.axis_of_column]

    def _keeps(self, codes_MA: Tensor) -> Tensor:
        """Which points keep the space's constraints `[M]`."""
        if len(self._verdicts) > _MOST_VERDICTS:
            self._verdicts.clear()
        kept = []
        for code_A in codes_MA:
            identity = code_A.numpy().tobytes()
            if identity not in self._verdicts:
                point = self._decoded(code_A, [d for d in self._space.domains if d.name in self._looked_at])
                self._verdicts[identity] = not self._space.broken(point, self._given)
            kept.append(self._verdicts[identity])
        return torch.tensor(kept, dtype=torch.bool)

    def decode(self, code_A: Tensor) -> Values:
        """The point of a row of codes."""
        return self._decoded(code_A, self._space.domains)

    def _decoded(self, code_A: Tensor, domains: Sequence[Domain]) -> Values:
        point: Values = {}
        for domain in domains:
            if not self._space.active(domain, {**self._given, **point}):
                continue
            first = self._first.get(domain.name)
            if first is None:
                point[domain.name] = constant(domain)
            elif isinstance(domain, Layout):
                bits = code_A[first : first + domain.bits]
                point[domain.name] = snap(domain, domain.encode(bits.numpy().astype(np.int8)))
            else:
                point[domain.name] = self._value(domain, self.encoding.axes[first], float(code_A[first]))
        return point

    def _when(self, domain: Domain) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """Conditions on axes with levels. Others (a number among many) are left to `decode`, which drops the value."""
        conditions = []
        for condition in domain.when:
            index = self._first.get(condition.parameter)
            if index is None:
                continue
            parent = self._space[condition.parameter]
            if isinstance(parent, Layout):
                continue
            values = levels(parent)
            if values is None or _kind(parent)[0] is Kind.REAL:
                continue
            allowed = tuple(
                i for i, v in enumerate(values) if any(type(v) is type(c) and v == c for c in condition.values)
            )
            conditions.append((index, allowed))
        return tuple(conditions)

    def _code(self, domain: Domain, axis: Axis, value: Any) -> float:
        if axis.kind is not Kind.REAL:
            values = levels(domain)
            assert values is not None
            if isinstance(domain, Int | Float):
                return float(values.index(snap(domain, value)))
            return float(next(i for i, v in enumerate(values) if type(v) is type(value) and v == value))
        assert isinstance(domain, Int | Float)
        return share_of(float(value), domain.low, domain.high, domain.log)

    def _value(self, domain: Domain, axis: Axis, code: float) -> Any:
        if axis.kind is not Kind.REAL:
            values = levels(domain)
            assert values is not None
            return values[int(code)]
        assert isinstance(domain, Int | Float)
        return snap(domain, at_share(code, domain.low, domain.high, domain.log))


def _kind(domain: Domain) -> tuple[Kind, int]:
    """Kind and number of levels of an axis that is not a layout."""
    size = domain.size()
    if size == 2:
        return Kind.BIT, 2
    if isinstance(domain, Categorical):
        return (Kind.ORDINAL if domain.ordered else Kind.CATEGORICAL), int(size)
    if size <= _MOST_LEVELS and not domain.log:  # type: ignore[union-attr]
        return Kind.ORDINAL, int(size)
    return Kind.REAL, 0


def pr(
    space: Space,
    maximize: tuple[bool, ...],
    seed: int,
    given: Mapping[str, Any],
    options: PROptions,
    past: Sequence[SourceTask] = (),
) -> PRSearcher:
    """Build the searcher `pr`."""
    return PRSearcher(space, maximize, seed, given, options, past)
