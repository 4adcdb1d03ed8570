"""Which trials a fork takes over."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from searches import rehearsal_spec

from searchplat.engine.planning.plan import Plan, SuggestionDue
from searchplat.engine.resuming.fork import begin, check_fork, copy_trials
from searchplat.engine.resuming.opening import open_ledger
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.repeats import repeated
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import RepeatsSpec, SearchSpec
from searchplat.spec.space import Layout, Space


def with_seeds(seeds: str, seed: int = 0) -> SearchSpec:
    spec = rehearsal_spec(layout_trials=4)
    return replace(spec, seed=seed, stages=(replace(spec.stages[0], seeds=seeds), *spec.stages[1:]))


def test_repeats_are_taken_over_with_what_they_repeat(tmp_path: Path) -> None:
    before = with_seeds("shared")
    before = replace(before, stages=(replace(before.stages[0], repeats=RepeatsSpec(0.5)), *before.stages[1:]))
    layout = before.space["layout"]
    assert isinstance(layout, Layout)
    with (
        Ledger.create(tmp_path / "old.sqlite", to_document(before), before.objectives) as old,
        Ledger.create(tmp_path / "new.sqlite", to_document(before), before.objectives) as new,
    ):
        new.suggest(stage="other", method="m", values={}, config={}, data_fraction=1.0, seed=0)  # numbers move
        for _ in range(4):
            trial = Plan(before, old).suggest(before.stages[0])
            assert trial is not None
            old.start(trial.number)
            old.report(trial.number, 1, {"valid/mrr": 0.5 - trial.number / 10})
            old.end(trial.number, TrialState.FINISHED)
        assert [trial.info.get("repeats") for trial in old.trials()] == [None, 0, None, 2]
        copy_trials(old, "old", new, before)
        assert [trial.info.get("repeats") for trial in new.trials()] == [None, None, 1, None, 3]
        # Without its first trial, which is no point of the new space, a repeat stays behind.
        values = old.trial(0).values["layout"]
        ones = max(1, values.count("1"))
        narrow = replace(layout, at_most={"parallel": ones - 1} if values.count("1") else {"serial": layout.bits - 1})
        after = replace(before, space=Space(tuple(narrow if d is layout else d for d in before.space.domains)))
        with Ledger.create(tmp_path / "third.sqlite", to_document(after), after.objectives) as third:
            copy_trials(old, "old", third, after)
            assert all(trial.values["layout"] != values for trial in third.trials())
            assert all((first := repeated(t)) is None or third.trial(first).config == t.config for t in third.trials())


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        (with_seeds("own"), with_seeds("own"), 4),
        (with_seeds("own"), with_seeds("own", seed=1), 4),
        (with_seeds("shared"), with_seeds("shared"), 4),
        (with_seeds("own"), with_seeds("shared"), 0),
        (with_seeds("shared"), with_seeds("own"), 0),
        (with_seeds("shared"), with_seeds("shared", seed=1), 0),
    ],
)
def test_only_trials_whose_seeds_are_as_they_would_be_now(
    tmp_path: Path, before: SearchSpec, after: SearchSpec, kept: int
) -> None:
    with (
        Ledger.create(tmp_path / "old.sqlite", to_document(before), before.objectives) as old,
        Ledger.create(tmp_path / "new.sqlite", to_document(after), after.objectives) as new,
    ):
        for value in range(4):
            turn = Plan(before, old).next()
            assert isinstance(turn, SuggestionDue)
            trial = Plan(before, old).suggest(turn.stage)
            assert trial is not None
            old.start(trial.number)
            old.report(trial.number, 1, {"valid/mrr": float(value)})
            old.end(trial.number, TrialState.FINISHED)
        copy_trials(old, "old", new, after)
        copied = new.trials()
        assert [trial.objectives for trial in copied] == [trial.objectives for trial in old.trials()][:kept]
        assert all(trial.info["forked_from"].startswith("old/") for trial in copied)


def test_a_fork_is_of_the_search_that_it_was_begun_from(tmp_path: Path) -> None:
    spec = rehearsal_spec()
    old, fork, other = (SearchFolder(tmp_path, name) for name in ("old", "fork", "other"))
    with pytest.raises(InputError, match="search 'old' does not exist"):
        check_fork(old, fork)
    assert not fork.path.exists()
    for folder, source in ((old, None), (other, None), (fork, old)):
        folder.path.mkdir()
        open_ledger(folder, spec, partial(begin, spec, {}, source)).close()
    check_fork(old, fork)  # the same command goes on, although it took over no trial
    for source, exists, said in (
        (other, fork, "--fork fork: that search exists and is a fork of 'old', so it is not one of 'other'"),
        (old, other, "--fork other: that search exists and is no fork, so it is not one of 'old'"),
        (old, old, "--fork old: that search exists and is no fork, so it is not one of 'old'"),
    ):
        with pytest.raises(InputError, match=said):
            check_fork(source, exists)
