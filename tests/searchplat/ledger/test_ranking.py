"""Which trials compare and which are best, by the rules one by one, and against a slow reading of all of them."""

from __future__ import annotations

import copy
import doctest
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searchplat.errors import InputError
from searchplat.ledger import pareto, ranking
from searchplat.ledger.outcomes import Outcome
from searchplat.ledger.ranking import Lead, Ranking, improves, place_of
from searchplat.ledger.records import TrialRecord
from searchplat.ledger.repeats import info_of, repeated
from searchplat.searchers.contract import TrialState
from searchplat.spec.document.bounds import Bound
from searchplat.spec.model import Objective

MRR, LOSS, TIME = Objective("valid/mrr", True), Objective("valid/loss", False), Objective("valid/time", False)
STAGES = ("coarse", "fine", "all")


def trial(number: int, *values: float, stage: str = "all", share: float = 1.0, **more: Any) -> TrialRecord:
    given = {"state": TrialState.FINISHED, "config": {"x": number}, "control": None, **more}
    return TrialRecord(
        number, stage, given.pop("control"), "m", {}, given.pop("config"), share, 0, {}, 0, number,
        objectives=values or None, ended_at=1000 + number, **given,
    )  # fmt: skip


def numbers(trials: Sequence[TrialRecord]) -> list[int]:
    return [one.number for one in trials]


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(ranking).failed == 0


@pytest.mark.parametrize(
    ("state", "ranked"), [(state, state in (TrialState.FINISHED, TrialState.STOPPED)) for state in TrialState]
)
def test_only_what_ended_with_a_value_has_a_place(state: TrialState, ranked: bool) -> None:
    assert numbers(Ranking([trial(0, 0.9, state=state)], [MRR]).best()) == [0] * ranked


@pytest.mark.parametrize(
    "values", [(), (math.nan,), (math.inf,), (-math.inf,), (0.5, math.nan), (0.5,), (math.nan, 0.5)]
)
def test_a_value_that_is_missing_or_not_finite_is_none(values: tuple[float, ...]) -> None:
    objectives = [MRR, LOSS] if len(values) != 1 or values == (0.5,) else [MRR]
    found = Ranking([trial(0, *values), trial(1, *[0.1] * len(objectives))], objectives)
    assert numbers(found.best()) == [1]
    assert numbers(found.front()) == [1]


def test_the_share_is_that_of_the_last_stage_of_the_file_that_has_a_value_whatever_ran_when() -> None:
    trials = [trial(0, 0.2, stage="all"), trial(1, 0.9, stage="coarse", share=0.1), trial(2, 0.3, stage="fine")]
    trials += [trial(3, 0.8, stage="coarse", share=0.1), trial(4, stage="all", share=1.0, state=TrialState.RUNNING)]
    found = Ranking(trials, [MRR], STAGES)
    assert (found.share, numbers(found.best())) == (1.0, [2, 0])  # fine has as many users, so its trials compare
    assert numbers(found.best(stage="coarse")) == [1, 3]
    early = Ranking([trials[1], trials[4]], [MRR], STAGES)
    assert (early.share, numbers(early.best())) == (0.1, [1])
    assert Ranking(trials[4:], [MRR], STAGES).share is None
    # Of one order of the file the other way round, the last stage is another.
    assert Ranking(trials, [MRR], STAGES[::-1]).share == 0.1


def test_a_stage_with_trials_of_two_shares_is_judged_on_that_of_its_newest() -> None:
    trials = [trial(0, 0.9, share=0.5), trial(1, 0.1), trial(2, 0.2)]
    assert numbers(Ranking(trials, [MRR], STAGES).best()) == numbers(Ranking(trials, [MRR]).best(stage="all")) == [2, 1]


@pytest.mark.parametrize("objective", [MRR, LOSS])
def test_of_equal_values_the_smaller_number_comes_first(objective: Objective) -> None:
    trials = [trial(n, 0.5, stage=stage) for n, stage in enumerate(("fine", "all", "coarse", "all"))]
    assert numbers(Ranking(trials, [objective], STAGES).best()) == [0, 1, 2, 3]
    assert numbers(Ranking(trials, [objective], STAGES).best(2, by=0)) == [0, 1]


def test_controls_are_ranked_among_themselves_and_compare_on_one_share_only() -> None:
    trials = [trial(0, 0.9, control="a", stage="controls"), trial(1, 0.95, control="a", stage="controls")]
    trials += [trial(2, 0.99, control="b", stage="controls", share=0.2), trial(3, 0.5)]
    found = Ranking(trials, [MRR], STAGES)
    assert (numbers(found.controls), numbers(found.rivals), numbers(found.best())) == ([2, 1], [1], [3])
    assert numbers(Ranking(trials[:3], [MRR], STAGES).best()) == []


def test_configurations_are_taken_once() -> None:
    trials = [trial(n, value, config={"x": x}) for n, (value, x) in enumerate(((0.5, 1), (0.9, 2), (0.8, 2), (0.7, 3)))]
    assert numbers(Ranking(trials, [MRR]).configurations(3)) == [1, 3, 0]
    assert numbers(Ranking(trials, [MRR]).best(3)) == [1, 2, 3]
    two = [trial(n, value, value, config={"x": x}) for n, (value, x) in enumerate(((0.5, 1), (0.9, 2), (0.8, 2)))]
    assert numbers(Ranking(two, [MRR, Objective("valid/ndcg", True)]).configurations(3)) == [1, 0]


def test_the_front_and_who_is_dominated_with_directions_mixed() -> None:
    trials = [trial(0, 0.9, 5.0), trial(1, 0.5, 1.0), trial(2, 0.5, 2.0), trial(3, 0.8, 4.0), trial(4, 0.9, 6.0)]
    trials.append(trial(5, 0.95, 0.5, control="c"))
    found = Ranking(trials, [MRR, LOSS])
    assert set(numbers(found.front())) == {0, 1, 3}
    assert found.on_front() == {0: True, 1: True, 2: False, 3: True, 4: False}
    assert numbers(found.best(3)) == numbers(found.front())
    assert set(numbers(found.best(5)[3:])) == {2, 4}
    assert (numbers(found.best(1, by=0)), numbers(found.best(1, by=1))) == ([0], [1])
    dominating = found.beaten_by(trials[2])
    assert dominating is not None
    assert dominating.number == 1
    assert found.beaten_by(trials[5]) is None
    assert found.beaten_by(trials[0]) is None


def test_one_objective_has_no_front_to_show() -> None:
    found = Ranking([trial(0, 0.1), trial(1, 0.3)], [MRR])
    assert (found.on_front(), numbers(found.front())) == ({}, [1])


def test_an_objective_is_named_with_or_without_its_prefix() -> None:
    objectives = [MRR, LOSS]
    assert [place_of(objectives, name) for name in (None, "valid/mrr", "loss")] == [None, 0, 1]
    message = r"--by: must be an objective of the search \(valid/mrr, valid/loss\), got 'ndcg'"
    with pytest.raises(InputError, match=message):
        place_of(objectives, "ndcg")


def test_an_epoch_improves_by_the_first_objective_and_of_equal_ones_by_the_next() -> None:
    assert improves([0.1], None, [MRR])
    assert improves([0.2, 9.0], [0.1, 1.0], [MRR, LOSS])
    assert not improves([0.2, 9.0], [0.2, 1.0], [MRR, LOSS])
    assert not improves([0.2], [0.2], [LOSS])


def broken(trial: TrialRecord, excess: float) -> TrialRecord:
    """The trial, breaking a bound on an outcome by a share of its limit; not if that is not above 0."""
    return replace(trial, outcomes=(Outcome(Bound("size", True, 1.0), 1.0 + excess),))


def test_what_keeps_the_bounds_on_outcomes_comes_first_then_what_breaks_them_least() -> None:
    trials = [broken(trial(n, value), excess) for n, (value, excess) in enumerate(
        ((0.9, 0.5), (0.1, 0.0), (0.8, 0.25), (0.2, -0.5), (0.95, 0.25), (0.99, math.nan))
    )]  # fmt: skip
    found = Ranking(trials, [MRR])
    assert numbers(found.best()) == [3, 1, 4, 2, 0, 5]
    assert numbers(found.best(3)) == numbers(found.best(3, by=0)) == [3, 1, 4]
    assert numbers(found.front()) == [3]
    assert numbers(found.configurations(4)) == [3, 1]  # nothing is built upon what breaks a bound
    assert numbers(Ranking([t for t in trials if t.broken], [MRR]).configurations(2)) == [4, 2]  # unless all do
    ahead = found.beaten_by(trials[4])
    assert ahead is not None
    assert ahead.number == 3


def test_a_front_is_of_trials_that_keep_the_bounds_or_of_those_that_break_them_least() -> None:
    rows = ((0.9, 1.0, 0.5), (0.5, 5.0, 0.0), (0.6, 6.0, 0.0), (0.4, 9.0, 0.0), (0.95, 0.5, 0.25), (0.9, 0.1, 0.25))
    trials = [broken(trial(n, mrr, loss), excess) for n, (mrr, loss, excess) in enumerate(rows)]
    found = Ranking(trials, [MRR, LOSS])
    assert set(numbers(found.front())) == {1, 2}
    assert found.on_front() == {n: n in (1, 2) for n in range(6)}
    assert set(numbers(found.best(2))) == {1, 2}
    assert (numbers(found.best())[2], set(numbers(found.best())[3:5]), numbers(found.best())[5]) == (3, {4, 5}, 0)
    none = Ranking([t for t in trials if t.broken], [MRR, LOSS])
    assert set(numbers(none.front())) == {4, 5}


def test_a_control_that_breaks_a_bound_is_ahead_of_nothing_that_keeps_it() -> None:
    control = trial(1, 0.9, control="c", stage="controls")
    assert "below the control c" in Ranking([broken(trial(0, 0.5), 0.0), control], [MRR], STAGES).not_beaten
    assert Ranking([broken(trial(0, 0.5), 0.0), broken(control, 0.5)], [MRR], STAGES).not_beaten == ""
    assert "below" in Ranking([broken(trial(0, 0.5), 0.7), broken(control, 0.5)], [MRR], STAGES).not_beaten
    unknown = broken(control, math.nan)
    assert "below" in Ranking([broken(trial(0, 0.5), 0.0), unknown], [MRR], STAGES).not_beaten


def random_search(seed: int) -> tuple[list[TrialRecord], list[Objective]]:
    """Trials of three stages interleaved, on two shares, with few different values, controls and every ending."""
    rng = np.random.default_rng(seed)
    objectives = [[MRR], [LOSS], [MRR, LOSS], [MRR, LOSS, TIME]][seed % 4]
    shares = dict(zip(STAGES, rng.choice([0.1, 0.5, 1.0], 3), strict=True))
    trials = []
    bounded = seed % 3 > 0
    for number in range(int(rng.integers(1, 25))):
        stage = str(rng.choice(STAGES))
        state = TrialState(rng.choice([*TrialState, *[TrialState.FINISHED] * 8]))
        values = rng.integers(0, 5, len(objectives)).astype(float)
        if rng.random() < 0.1:
            values[-1] = math.nan
        control = str(rng.choice(["a", "b"])) if rng.random() < 0.2 else None
        excess = float(rng.choice([-0.5, 0.0, 0.25, 0.5])) if bounded else 0.0
        trials.append(
            broken(trial(number, *values, stage="controls" if control else stage, control=control, state=state,
                  share=1.0 if control else float(shares[stage]), config={"x": int(rng.integers(0, 6))}), excess)
        )  # fmt: skip
    return trials, objectives


@pytest.mark.parametrize("seed", range(24))
def test_random_searches_are_ranked_as_the_rules_say(seed: int) -> None:
    trials, objectives = random_search(seed)
    found = Ranking(trials, objectives, STAGES)
    with_value = [
        t for t in trials if t.state in ("finished", "stopped") and all(map(math.isfinite, t.objectives or ()))
    ]
    own = [t for t in with_value if t.control is None]
    last = max((STAGES.index(t.stage) for t in own), default=None)
    share = None if last is None else next(t.data_fraction for t in own if t.stage == STAGES[last])
    compared = [t for t in own if t.data_fraction == share]
    assert found.share == share
    assert sorted(numbers(found.best())) == numbers(compared)

    def better(one: TrialRecord, other: TrialRecord) -> bool:
        if one.violation != other.violation:
            return one.violation < other.violation
        pairs = zip(one.objectives or (), other.objectives or (), objectives, strict=True)
        turned = [(a, b) if o.maximize else (-a, -b) for a, b, o in pairs]
        return pareto.dominates(*map(tuple, zip(*turned, strict=True)))  # type: ignore[arg-type]

    best = found.best()
    for place, one in enumerate(best):
        assert not any(better(later, one) for later in best[place:])
        if len(objectives) == 1:
            assert all(
                later.number > one.number
                for later in best[place + 1 :]
                if (later.violation, later.objectives) == (one.violation, one.objectives)
            )
    front = [t.number for t in compared if not any(better(other, t) for other in compared)]
    if len(objectives) > 1:
        assert sorted(numbers(found.front())) == front
        assert found.on_front() == {t.number: t.number in front for t in compared}
    assert {t.control for t in found.controls} == {t.control for t in with_value} - {None}
    configs = [str(t.config) for t in found.configurations(99)]
    kept = [t for t in compared if not t.broken]
    assert sorted(configs) == sorted({str(t.config) for t in kept or compared})
    for n, objective in enumerate(objectives):
        column = [(t.violation, (t.objectives or ())[n] * (-1 if objective.maximize else 1)) for t in found.best(by=n)]
        assert column == sorted(column)


@pytest.mark.parametrize("seed", range(24))
def test_who_leads_is_at_every_end_who_leads_of_all_that_ended(seed: int) -> None:
    trials, objectives = random_search(seed)
    order = np.random.default_rng(seed).permutation(len(trials))
    lead, by = Lead(objectives, STAGES), Lead(objectives, STAGES, by=0)
    for place in range(len(order)):
        before = copy.copy(lead)
        one = trials[order[place]]
        leads = lead.add(one)
        by.add(one)
        ended = Ranking([trials[n] for n in sorted(order[: place + 1])], objectives, STAGES)
        assert lead.share == by.share == ended.share
        assert numbers(lead.front) == sorted(numbers(ended.front()))
        assert numbers(by.front) == numbers(ended.best(1, by=0))
        assert leads == (one.number in numbers(lead.front))
        assert before.add(one) == leads  # a copy goes on by itself


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_who_leads_after_repeats_is_who_leads_of_all_that_ended(seed: int, shared: bool) -> None:
    rng = np.random.default_rng([seed, 5])
    objectives = [MRR, LOSS][: 1 + seed % 2]
    trials: list[TrialRecord] = []
    lead, by = Lead(objectives, STAGES), Lead(objectives, STAGES, by=0)
    for number in range(40):
        one = trial(number, *rng.normal(size=len(objectives)), share=float(rng.choice([0.5, 1.0])))
        one = broken(one, float(rng.normal()) if seed % 3 else 0.0)
        if trials and rng.random() < 0.4:
            first = trials[rng.integers(len(trials))]
            if repeated(first) is None:
                info = info_of(first, int(rng.integers(1, 4)), shared=shared)
                one = replace(one, info=info, data_fraction=first.data_fraction, seed=info["training"])
        trials.append(one)
        leads = lead.add(one)
        by.add(one)
        ended = Ranking(trials, objectives, STAGES)
        assert numbers(lead.front) == sorted(numbers(ended.front()))
        assert [t.objectives for t in lead.front] == [
            t.objectives for t in sorted(ended.front(), key=lambda t: t.number)
        ]
        assert numbers(by.front) == numbers(ended.best(1, by=0))
        assert leads == ((one.number if repeated(one) is None else repeated(one)) in numbers(lead.front))


def test_only_controls_on_the_same_users_and_items_stand_beside_the_best() -> None:
    own = trial(0, 0.0239)
    markov = trial(1, 0.0491, stage="controls", control="markov")

    def found(*trials: TrialRecord) -> Ranking:
        return Ranking(trials, [MRR], STAGES, {"rank_met": True})

    assert found(own, markov).not_beaten == "below the control markov (0.0491)"
    fewer = trial(1, 0.0491, stage="controls", control="markov", share=0.5)
    assert (found(own, fewer).rivals, found(own, fewer).not_beaten) == ([], "")
    before = trial(1, 0.0491, stage="controls", control="markov", config={"exclude_history": True})
    assert (found(own, before).rivals, found(own, before).not_beaten) == ([], "")
    assert found(markov).not_beaten == ""
    assert (found(own).rank_met, found(before).rank_met, Ranking([], [MRR]).rank_met) == (True, True, None)
