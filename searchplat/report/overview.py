"""What a report says in words and tables: what was searched, how it stands, the leaderboard, what failed and why."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from searchplat.ledger import TrialRecord
from searchplat.ledger.outcomes import broken_words
from searchplat.ledger.ranking import by_value
from searchplat.report.facts import Facts
from searchplat.report.promoted import Candidate, candidates
from searchplat.searchers.contract import TrialState
from searchplat.views import text
from searchplat.views.live_picture import measured, searched_values, shared_values
from searchplat.views.standing import short_failure

_LEADERS = 20
_CAUSE = 160


@dataclass(frozen=True)
class Leader:
    """A line of the leaderboard.

    Args:
        place: Among the search's own trials; empty for a control, which stands where its value puts it.
        comparable: False for a control on another share of the users, or that ranks other items; it stands at the end.
        pareto: For several objectives, whether it is on the front or dominated.
    """

    place: str
    trial: TrialRecord
    values: str
    promoted: Candidate | None
    comparable: bool = True
    pareto: str = ""


@dataclass(frozen=True)
class Failure:
    """Trials that ended for the same reason.

    Args:
        cause: Its last line.
        example: The whole cause of the first of them.
    """

    state: str
    cause: str
    trials: Sequence[int]
    example: str


def header(facts: Facts) -> list[tuple[str, str]]:
    """What was searched, where it stands and what it cost: names and values."""
    snapshot, times = facts.snapshot, facts.times
    spec = snapshot.spec
    options = text.values_line(spec.data.options, 200)
    goals = ", ".join(f"{'maximize' if o.maximize else 'minimize'} {o.metric}" for o in spec.objectives)
    states = ", ".join(f"{number} {state}" for state, number in snapshot.states.items())
    size = spec.space.size()
    points = "" if math.isinf(size) else f" ({text.count(size)} points)"
    spent = sum(trial.seconds for trial in snapshot.trials)
    lines = [
        ("method", spec.method),
        ("data", f"{spec.data.shown} ({options})" if options else spec.data.shown),
        *([("ranked", snapshot.ranked)] if snapshot.ranked else []),
        ("scale", spec.scale or "none"),
        ("objective", goals),
        *([("bounds", _bounds(facts))] if spec.outcomes else []),
        ("space", f"{', '.join(spec.space.names)}{points}"),
        *(("widened", f"{_minute(one.at)} UTC: {one.payload['said']}") for one in snapshot.widened),
        ("trials", f"{snapshot.ended} of {snapshot.planned} ended: {states or 'none yet'}"),
        *(("ended early", said) for stage in snapshot.stages if (said := stage.ended_early)),
        ("state", standing(facts)),
        ("time", f"{text.duration(times.worked)} at work, {text.duration(spent)} of training over all trials"),
    ]
    if times.began is not None and times.last is not None:
        first, last = map(_minute, (times.began, times.last))
        lines.append(("from, to", f"{first} to {last} UTC"))
    shared = [stage.name for stage in spec.stages if stage.seeds == "shared"]
    lines.append(("seed", str(spec.seed) + (f"; one for all trials of {', '.join(shared)}" if shared else "")))
    if facts.share:
        lines.append(("a trial takes", facts.share))
    if spec.overrides:
        lines.append(("changed by --set", ", ".join(spec.overrides)))
    return lines


def _minute(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _bounds(facts: Facts) -> str:
    """The bounds on outcomes, and how many of the trials keep them."""
    own = [trial for trial in facts.snapshot.trials if trial.control is None and trial.state.scored]
    kept = sum(not trial.broken for trial in own)
    texts = ", ".join(bound.text for bound in facts.snapshot.spec.outcomes)
    return f"{texts}; kept by {kept} of {text.plural(len(own), 'trial')} with a value"


def standing(facts: Facts) -> str:
    """Whether the search runs, has failed, has ended, or waits to be taken up."""
    snapshot = facts.snapshot
    if facts.running:
        return "a driver is at work: this page shows one moment"
    if snapshot.failure is not None:
        return f"failed: {short_failure(snapshot.failure)}"
    if snapshot.done:
        return "done"
    return "paused: the same command goes on with it"


def stages(facts: Facts) -> list[tuple[str, str, str, str, str, str]]:
    """Name, searcher, axes, share of the users, trials ended of planned, best value of each stage."""
    known = {stage.name: stage for stage in facts.snapshot.spec.stages}
    found = []
    for one in facts.snapshot.stages:
        stage = known.get(one.name)
        best = "-" if one.best is None else ", ".join(map(text.metric, one.best.objectives or ()))
        found.append((one.name, stage.searcher.name if stage else "-", ", ".join(stage.over) if stage else "-",
                      f"{one.data_fraction:.0%}", f"{one.ended} of {one.planned}", best))  # fmt: skip
    return found


def leaderboard(facts: Facts, most: int = _LEADERS) -> list[Leader]:
    """The best trials, with the best of each control where its value puts it; of several objectives below."""
    snapshot = facts.snapshot
    promoted = candidates(facts.promotion) if facts.promotion is not None else []
    of_trial = {c.trial: c for c in promoted if c.control is None}
    of_control = {str(c.control): c for c in promoted if c.control is not None}
    ranking = snapshot.ranking
    best = ranking.best(most)
    same = _shared(facts, best)
    marks = ranking.on_front()
    lines = [
        Leader(str(place), trial, _values(facts, trial, same), of_trial.get(trial.number), True, _pareto(marks, trial))
        for place, trial in enumerate(best, start=1)
    ]
    controls = [
        Leader(
            "",
            trial,
            _values(facts, trial),
            of_control.get(str(trial.control)),
            not best or ranking.compares(trial),
            ("dominated" if ranking.beaten_by(trial) else "NOT dominated") if marks and trial in ranking.rivals else "",
        )
        for trial in snapshot.controls
    ]
    if ranking.several:  # there is no one value whose place a control could take
        return [*lines, *sorted(controls, key=lambda one: not one.comparable)]
    places = {t.number: n for n, t in enumerate(by_value([o.trial for o in [*lines, *controls]], ranking.objectives))}
    return sorted([*lines, *controls], key=lambda one: (not one.comparable, places[one.trial.number]))


def failures(facts: Facts) -> list[Failure]:
    """Trials that ended without a value, by state and cause, the most frequent first."""
    groups: dict[tuple[str, str], list[TrialRecord]] = {}
    for trial in facts.snapshot.trials:
        if trial.state.final and not trial.state.scored:
            said = (trial.cause or "").strip().splitlines()
            last = said[-1] if said else "no cause was recorded"
            groups.setdefault((trial.state.value, last[:_CAUSE]), []).append(trial)
    found = [
        Failure(state, cause, [t.number for t in trials], trials[0].cause or "")
        for (state, cause), trials in groups.items()
    ]
    return sorted(found, key=lambda one: -len(one.trials))


def retried(facts: Facts) -> int:
    """Trials that were taken up again after their worker died."""
    return sum(trial.retries > 0 for trial in facts.snapshot.trials)


def best_line(facts: Facts) -> str:
    """The result in one sentence."""
    snapshot = facts.snapshot
    best = snapshot.best
    if best is None or best.objectives is None:
        running = sum(trial.state is TrialState.RUNNING for trial in snapshot.trials)
        return f"No trial has ended with a value yet; {running} running." if running else "No trial has a value yet."
    value = best.objectives[0]
    if best.broken:
        return f"No trial keeps the bounds on outcomes; trial {best.number}, the nearest, {broken_words(best.broken)}."
    if snapshot.front:
        return _front_line(facts)
    line = f"Best {snapshot.metric} {text.metric(value)} by trial {best.number}"
    rival = next(iter(snapshot.ranking.rivals), None)
    if rival is None or rival.objectives is None:
        return f"{line}; there is no control to compare with."
    ahead = f"ahead of the best control, {rival.control} ({text.change(value, rival.objectives[0])})"
    count = len(snapshot.ranking.trainings[best.number].numbers)
    trained = "one training each" if count == 1 else f"the mean of {count} trainings, against one"
    return f"{line}, {snapshot.ranking.not_beaten or ahead}; {trained}."


def _front_line(facts: Facts) -> str:
    """The front of several objectives in one sentence."""
    ranking, front = facts.snapshot.ranking, facts.snapshot.front
    first = front[0]
    named = zip(facts.snapshot.metrics, first.objectives or (), strict=False)
    values = ", ".join(f"{metric} {text.metric(value)}" for metric, value in named)
    line = f"Pareto front of {text.plural(len(front), 'trial')}; the first is trial {first.number} with {values}"
    if not ranking.rivals:
        return f"{line}; there is no control to compare with."
    free = [str(control.control) for control in ranking.rivals if ranking.beaten_by(control) is None]
    stands = f"not dominated by it: {', '.join(free)}" if free else "it dominates every control"
    return f"{line}; {stands}; one training each."


def _pareto(marks: Mapping[int, bool], trial: TrialRecord) -> str:
    return ("front" if marks[trial.number] else "dominated") if marks else ""


def shared_line(facts: Facts, most: int = _LEADERS) -> str:
    """The values that all trials of the leaderboard have in common, which its lines leave out."""
    return text.values_line(_shared(facts, facts.snapshot.ranking.best(most)), 400)


def _shared(facts: Facts, trials: Sequence[TrialRecord]) -> dict[str, object]:
    return shared_values([searched_values(facts.snapshot, trial) for trial in trials])


def _values(facts: Facts, trial: TrialRecord, without: Collection[str] = ()) -> str:
    breaks = f"({words}) " if (words := broken_words(trial.broken)) else ""
    if trial.control is not None:
        return breaks + text.values_line(trial.values, 300)
    values = searched_values(facts.snapshot, trial)
    shown = text.values_line({name: value for name, value in values.items() if name not in without}, 400)
    several = len(facts.snapshot.ranking.trainings[trial.number].numbers) > 1
    return breaks + (f"{shown} ({measured(facts.snapshot, trial)})" if several else shown)
