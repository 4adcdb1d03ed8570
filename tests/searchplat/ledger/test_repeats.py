"""Trainings of one configuration: which is next, and what they say together."""

from __future__ import annotations

import math

import pytest

from searchplat.ledger.ranking import Ranking
from searchplat.ledger.records import TrialRecord
from searchplat.ledger.repeats import due, heard, info_of, merged, next_repeat, repeated, trainings_of
from searchplat.searchers.contract import History, PastTrial, TrialState
from searchplat.spec.model import Objective

GOAL = (Objective("valid/mrr", maximize=True),)


def trial(number: int, *values: float, of: TrialRecord | None = None, training: int = 1, shared: bool = False,
          share: float = 1.0) -> TrialRecord:  # fmt: skip
    """A finished trial, or a repeat of `of`; a shared seed is the training's number."""
    info = {} if of is None else info_of(of, training, shared=shared)
    seed = (0 if of is None else training) if shared else number
    config = {"x": number} if of is None else of.config
    return TrialRecord(
        number, "s", None, "m", {}, config, share, seed, info, 0, 0, TrialState.FINISHED, objectives=values
    )  # fmt: skip


def test_repeats_are_evenly_spread() -> None:
    for share in (0.05, 0.2, 1 / 3, 0.5):
        marks = [due(share, count) for count in range(300)]
        assert sum(marks) == math.floor(300 * share + 1e-9)
        assert not marks[0]
        gaps = [b - a for a, b in zip(*[[n for n, mark in enumerate(marks) if mark][i:] for i in (0, 1)], strict=False)]
        assert max(gaps) - min(gaps) <= 1


def test_a_configuration_counts_once_with_the_mean_of_its_trainings() -> None:
    first, other = trial(0, 0.5), trial(1, 0.4)
    again = trial(2, 0.2, of=first)
    found = trainings_of([first, other, again])
    assert found[0].numbers == (0, 2)
    assert found[0].mean == pytest.approx((0.35,))
    assert found[0].deviation == pytest.approx((0.3 / math.sqrt(2),))
    assert found[1].numbers == (1,)
    assert math.isnan(found[1].deviation[0])
    assert [(t.number, t.objectives) for t in merged([first, other, again])] == [(0, found[0].mean), (1, (0.4,))]
    ranking = Ranking([first, other, again], GOAL)
    assert [t.number for t in ranking.best()] == [1, 0]
    assert [t.number for t in ranking.configurations(5)] == [1, 0]
    assert len(ranking.trainings[0].numbers) == 2


def test_without_repeats_nothing_changes() -> None:
    trials = [trial(0, 0.5), trial(1, 0.4)]
    assert merged(trials) == trials


def test_what_a_shared_seed_adds_to_all_is_taken_off() -> None:
    firsts = [trial(n, value) for n, value in enumerate((0.5, 0.6, 0.7, 0.65))]
    # The second shared seed takes 0.3 from all; besides, the third configuration was lucky at first, by 0.2.
    again = [trial(4 + n, value, of=firsts[n], shared=True) for n, value in enumerate((0.2, 0.3, 0.2))]
    found = trainings_of([*firsts, *again])
    added = (-0.3 - 0.3 - 0.5) / 4
    assert found[0].mean == pytest.approx(((0.5 + 0.2 - added) / 2,))
    assert [t.number for t in Ranking([*firsts, *again], GOAL).best()] == [3, 1, 2, 0]
    # With seeds of their own each repeat is as good a measurement as the first.
    own = [trial(4 + n, value, of=firsts[n]) for n, value in enumerate((0.2, 0.3, 0.2))]
    assert trainings_of([*firsts, *own])[0].mean == pytest.approx((0.35,))


def test_a_searcher_hears_repeats_less_what_their_shared_seed_adds() -> None:
    firsts = [trial(n, value) for n, value in enumerate((0.5, 0.6, 0.7))]
    again = [trial(3 + n, value, of=firsts[n], shared=True) for n, value in enumerate((0.2, 0.3))]
    past = [PastTrial(t.number, t.values, t.state, t.objectives) for t in [*firsts, *again]]
    history = History((*past, PastTrial(5, {}, TrialState.RUNNING)), 9)
    told = heard(history, [*firsts, *again])
    assert (told.seq, told.trials[:3], told.trials[5]) == (9, history.trials[:3], history.trials[5])
    assert [t.objectives for t in told.trials[3:5]] == [pytest.approx((0.4,)), pytest.approx((0.5,))]
    own = [trial(3 + n, value, of=firsts[n]) for n, value in enumerate((0.2, 0.3))]
    assert heard(history, [*firsts, *own]) is history


def test_seeds_add_other_things_on_other_users() -> None:
    wide, narrow = trial(0, 0.5), trial(1, 0.4, share=0.2)
    again = [trial(2, 0.4, of=wide, shared=True), trial(3, 0.0, of=narrow, shared=True, share=0.2)]
    found = trainings_of([wide, narrow, *again])
    assert found[0].mean == pytest.approx(((0.5 + 0.4 + 0.05) / 2,))
    assert found[1].mean == pytest.approx(((0.4 + 0.0 + 0.2) / 2,))


def test_every_objective_has_its_mean() -> None:
    first = trial(0, 0.5, 9.0)
    assert trainings_of([first, trial(1, 0.3, 7.0, of=first)])[0].mean == pytest.approx((0.4, 8.0))


def test_a_repeat_whose_first_trial_is_not_there_stands_for_itself() -> None:
    orphan = trial(3, 0.3, of=trial(0, 0.5))
    assert merged([trial(1, 0.2), orphan]) == [trial(1, 0.2), orphan]


def test_the_least_trained_of_the_best_is_next() -> None:
    best = [trial(5, 0.9), trial(2, 0.8), trial(7, 0.7)]
    trials = list(best)
    order = []
    for number in range(10, 17):
        chosen = next_repeat(best, trials)
        assert chosen is not None
        first, training = chosen
        order.append((first.number, training))
        trials.append(trial(number, 0.1, of=first, training=training))
    assert order == [(5, 1), (2, 1), (7, 1), (5, 2), (2, 2), (7, 2), (5, 3)]
    assert repeated(trials[-1]) == 5
    assert next_repeat([], trials) is None
