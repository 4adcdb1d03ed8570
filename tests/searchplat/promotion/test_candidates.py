from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger
from searchplat.promotion.candidates import choose
from searchplat.searchers.contract import TrialState
from searchplat.spec.model import Objective


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger.sqlite", {}, [Objective("valid/mrr", maximize=True)]) as ledger:
        yield ledger


def trial(ledger: Ledger, score: float | None, x: float = 0.0, control: str | None = None, share: float = 1.0) -> None:
    record = ledger.suggest(
        stage="s", method="m", values={}, config={"x": x}, data_fraction=share, seed=0, control=control
    )
    if score is not None:
        ledger.report(record.number, 1, {"valid/mrr": score})
    ledger.end(record.number, TrialState.FAILED if score is None else TrialState.FINISHED)


def test_the_best_configurations_once_each_then_every_control_at_its_best(ledger: Ledger) -> None:
    trial(ledger, 0.3, x=1, control="default")
    for score in (0.1, 0.2):
        trial(ledger, score, x=score, control="random")
    for score, x in ((0.5, 1), (0.9, 2), (0.8, 2), (0.7, 3), (None, 4), (0.6, 5)):
        trial(ledger, score, x=x)
    found = choose(ledger, "s", 3)
    assert [(c.name, c.search_score) for c in found] == [
        ("trial-4", 0.9), ("trial-6", 0.7), ("trial-8", 0.6), ("default", 0.3), ("random", 0.2),
    ]  # fmt: skip
    assert [c.control for c in found] == [None, None, None, "default", "random"]
    assert found[-1].trial == 2


def test_trials_on_other_shares_of_the_users_do_not_compare(ledger: Ledger) -> None:
    trial(ledger, 0.9, x=1, share=0.2)
    trial(ledger, 0.5, x=2)
    assert [c.name for c in choose(ledger, "s", 3)] == ["trial-1"]


@pytest.mark.parametrize("control", ["../../elsewhere", "/tmp/x", "a/b", "..", "a\n"])
def test_a_ledger_from_elsewhere_names_no_folder(ledger: Ledger, control: str) -> None:
    trial(ledger, 0.5, x=1)
    trial(ledger, 0.4, x=2, control=control)
    with pytest.raises(InputError, match="a name must match"):
        choose(ledger, "s", 3)


def test_a_search_without_a_value_cannot_be_promoted(ledger: Ledger) -> None:
    trial(ledger, None)
    with pytest.raises(
        SearchFailedError, match="has no trial that ended with a value; see why with: searchplat trials"
    ):
        choose(ledger, "s", 3)


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Ledger]:
    objectives = [Objective("valid/mrr", maximize=True), Objective("valid/loss", maximize=False)]
    with Ledger.create(tmp_path / "two.sqlite", {}, objectives) as ledger:
        for x, (mrr, loss) in enumerate(((0.9, 9.0), (0.8, 2.0), (0.1, 1.0), (0.7, 3.0), (0.8, 2.0), (0.95, math.nan))):
            record = ledger.suggest(
                stage="s", method="m", values={}, config={"x": x}, data_fraction=1.0, seed=0,
                control="default" if x == 3 else None,
            )  # fmt: skip
            ledger.report(record.number, 1, {"valid/mrr": mrr, "valid/loss": loss})
            ledger.end(record.number, TrialState.FINISHED)
        yield ledger


@pytest.mark.parametrize(
    ("top", "by", "chosen"),
    [
        (1, None, [1]),  # the compromise
        (2, None, [1, 0]),  # both ends of the front add as much; the better first objective decides
        (3, None, [1, 0, 2]),
        (9, None, [1, 0, 2, 4]),  # what equals an earlier trial adds nothing; what has no loss has no place
        (3, 0, [0, 1, 4]),
        (3, 1, [2, 1, 4]),
    ],
)
def test_of_several_objectives_the_front_is_promoted(two: Ledger, top: int, by: int | None, chosen: list[int]) -> None:
    found = choose(two, "s", top, by)
    assert [c.trial for c in found] == [*chosen, 3]
    assert found[-1].search_score == (3.0 if by else 0.7)


def test_only_what_keeps_the_bounds_on_outcomes_is_promoted(tmp_path: Path) -> None:
    objectives = [Objective("valid/mrr", maximize=True)]
    with Ledger.create(tmp_path / "bounded.sqlite", {"outcomes": ["valid/mrr <= 0.5"]}, objectives) as ledger:
        trial(ledger, 0.75, x=1)
        with pytest.raises(SearchFailedError, match=r"trial 0, breaks valid/mrr <= 0\.5 by 0\.25\. Search"):
            choose(ledger, "s", 3)
        trial(ledger, 0.4, x=2)
        trial(ledger, 0.9, x=3, control="c")
        assert [c.name for c in choose(ledger, "s", 3)] == ["trial-1", "c"]
