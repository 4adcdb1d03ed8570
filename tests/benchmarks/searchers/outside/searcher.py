"""An outside searcher as a searcher of this project, so that the benchmark asks all in one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outside.catalogue import OUTSIDE, open_session
from outside.protocol import Axis, Opening, Point, Session
from searchplat.searchers.contract import History, Suggestion
from searchplat.searchers.points import snap
from searchplat.spec.space import Float, Layout, Space


class OutsideSearcher:
    """Follows a growing history: what is new is told, then one point is asked for.

    A searcher that keeps a state gets it back by being asked again for every past point that was its own, so that a
    search which was continued is the one that was never stopped. That takes as long as the search took so far.

    Args:
        name: Its name in the catalogue.
        space: Layouts and numbers without a step or logarithm only.
        seed: Of the search.
        first: How many points all searchers of a seed have in common; those of one with first points of its own are
            as many.
        budget: Evaluations in all.

    Raises:
        AbsentError: If its package is not there.
    """

    def __init__(self, name: str, space: Space, seed: int, first: int, budget: int) -> None:
        self._space, self._entry, self._first = space, OUTSIDE[name], first
        self._session: Session = open_session(Opening(name, axes_of(space), seed, first, budget))
        self._told = 0
        self._asked = -1

    def suggest(self, history: History, number: int) -> Suggestion | None:
        """Propose a point; see `Searcher.suggest`. `cpu_seconds` are those of the last value and of the question.

        Raises:
            RuntimeError: If it proposes another point than the history has where it was asked before.
        """
        seconds = 0.0
        for trial in history.trials[self._told :]:
            assert trial.objectives is not None
            point = to_point(self._space, trial.values)
            own = self._entry.own_first or trial.number >= self._first
            if own and self._asked < trial.number:
                again, _ = self._session.ask(trial.number)
                if to_values(self._space, again) != dict(trial.values):
                    raise RuntimeError(f"trial {trial.number} would be {again} now: begun by another version?")
            seconds = self._session.tell(trial.number, point, trial.objectives[0])
            self._told += 1
        point, taken = self._session.ask(number)
        self._asked = number
        return Suggestion(to_values(self._space, point), {"cpu_seconds": seconds + taken})

    def close(self) -> None:
        """End the search and its process."""
        self._session.close()


def axes_of(space: Space) -> tuple[Axis, ...]:
    """A bit for each of a layout's, a range for each number."""
    axes: list[Axis] = []
    for domain in space.domains:
        match domain:
            case Layout(at_most=limits) if not limits:
                axes += [Axis(f"{domain.name}.{name}") for name in domain.names()]
            case Float(log=False, step=None):
                axes.append(Axis(domain.name, bit=False, low=domain.low, high=domain.high))
            case _:
                raise ValueError(f"{domain.name}: outside searchers take layouts without limits and plain numbers")
    return tuple(axes)


def to_point(space: Space, values: Mapping[str, Any]) -> Point:
    """A point's values axis by axis."""
    point: Point = []
    for domain in space.domains:
        value = values[domain.name]
        point += domain.decode(value).tolist() if isinstance(domain, Layout) else [value]
    return point


def to_values(space: Space, point: Point) -> dict[str, Any]:
    """The inverse of `to_point`; numbers that a package has put out of bounds by rounding are put back."""
    values: dict[str, Any] = {}
    start = 0
    for domain in space.domains:
        width = domain.bits if isinstance(domain, Layout) else 1
        part = point[start : start + width]
        start += width
        if isinstance(domain, Layout):
            assert set(part) <= {0, 1}, f"{domain.name}: bits only, got {part}"
            values[domain.name] = domain.encode(domain.decode("".join(str(int(bit)) for bit in part)))
        else:
            values[domain.name] = snap(domain, part[0])
    assert start == len(point), f"{start} axes, got {len(point)} numbers"
    return values
