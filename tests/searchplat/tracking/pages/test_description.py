"""The parent run's description."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking.pages.description import describe

Train = Callable[..., int]


def test_it_says_what_how_far_and_what_next(ledger: Ledger, train: Train, suggest: Train) -> None:
    train(0.25)
    train(0.5)
    train(0.75, stage="weights", data_fraction=1.0, values={"lambda_align": 0.123456})
    train(0.9, TrialState.DIVERGED)
    train(0.4, stage="controls", control="all serial")
    suggest()
    text = describe(ledger, "toy-quick", "", "RUNNING")
    assert "**toy-quick** searches `toy` on `toy-data` for the largest `valid/mrr`" in text
    assert "Trials: 1 waiting, 3 finished, 1 diverged. Controls: 1 finished." in text
    # Stages train on different shares of the users, so their values are never ranked together.
    assert "Best of stage `layout` (20 % of the users): trial 1, `valid/mrr` **0.5**" in text
    assert "Best of stage `weights` (100 % of the users): trial 2, `valid/mrr` **0.75**" in text
    assert "- `lambda_align` = `0.1235`" in text
    assert "| all serial | 0.4 | 0.4 | 20 % |" in text
    # The two objectives of this search agree, so its front is one trial; that on fewer users is not of it.
    assert "Pareto front, 1 of the trials on 100 % of the users, which compare:\n- trial 2," in text


@pytest.mark.parametrize(
    ("status", "command"),
    [
        ("RUNNING", "searchplat status toy-quick"),
        ("FINISHED", "searchplat promote toy-quick"),
        ("KILLED", "searchplat search toy.yaml --name toy-quick"),
        ("FAILED", "searchplat search toy.yaml --name toy-quick"),
    ],
)
def test_the_next_command_fits_the_status(ledger: Ledger, status: str, command: str) -> None:
    assert f"    {command}" in describe(ledger, "toy-quick", "searchplat search toy.yaml --name toy-quick", status)


def test_an_empty_search_is_described_too(ledger: Ledger) -> None:
    assert "Trials: none. Controls: none." in describe(ledger, "toy", "", "RUNNING")
