from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.promotion.record import (
    FAILED,
    FINAL,
    FINISHED,
    RACE,
    Promotion,
    PromotionRun,
    PromotionStore,
    load_promotion,
    numbers,
    openings,
)
from searchplat.spec.model import Objective

PLANNED = Promotion(
    search="s", number=0, data="toy", data_options={"n": 1}, data_fingerprint="f", num_users=0,
    metrics=("mrr", "ndcg@10"), search_scores={"trial-3": 0.5}, lineage={"space": "a"}, test_openings=0, runs=(),
)  # fmt: skip


def run(folder: Path, candidate: str = "trial-3", seed: int = 1, phase: str = FINAL, **changes: object) -> PromotionRun:
    base = PromotionRun(
        candidate=candidate, trial=3, control=None, method="m", config={"x": 1}, seed=seed, phase=phase,
        folder=folder / "finals" / candidate,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    with Ledger.create(folder / "ledger.sqlite", {}, [Objective("valid/mrr", maximize=True)]) as ledger:
        yield ledger


def test_what_is_put_is_read_again_from_a_moved_folder(folder: Path, ledger: Ledger) -> None:
    store = PromotionStore(ledger, folder)
    number = store.create(PLANNED, {"seeds": 2})
    done = run(folder, state=FINISHED, valid={"mrr": 0.25}, test={"mrr": math.nan}, ranks=folder / "ranks.npy")
    store.put(number, run(folder, phase=RACE), done, run(folder, seed=2))
    store.put(number, replace(done, valid={"mrr": 0.5}))
    store.update(number, num_users=7)
    ledger.close()
    moved = folder.rename(folder.with_name("t"))
    found = load_promotion(moved)
    assert (found.search, found.number, found.num_users, found.metrics) == ("t", 1, 7, ("mrr", "ndcg@10"))
    assert [(r.phase, r.seed) for r in found.runs] == [(RACE, 1), (FINAL, 1), (FINAL, 2)]
    assert found.runs[1].ranks == moved / "ranks.npy"
    assert found.runs[1].folder == moved / "finals" / "trial-3"
    assert found.runs[1].valid == {"mrr": 0.5}
    assert math.isnan(found.runs[1].test["mrr"])


@pytest.mark.parametrize("place", ["../other", "/etc", "promotions/../../x", "."])
def test_a_record_from_elsewhere_leads_nowhere_else(folder: Path, ledger: Ledger, place: str) -> None:
    store = PromotionStore(ledger, folder)
    number = store.create(PLANNED, {})
    store.put(number, run(folder))
    with ledger.transaction() as connection:
        connection.execute("UPDATE final_runs SET run = json_set(run, '$.folder', ?)", (place,))
    with pytest.raises(InputError, match="not in the search's folder"):
        load_promotion(folder)


def test_openings_count_over_all_promotions_of_a_search(folder: Path, ledger: Ledger) -> None:
    store = PromotionStore(ledger, folder)
    first = store.create(PLANNED, {})
    assert store.count_opening(first, run(folder)) == 1
    second = store.create(PLANNED, {"again": True})
    assert store.count_opening(second, run(folder)) == 2
    assert store.numbers() == [1, 2]
    assert store.more(2) == {"again": True}
    assert load_promotion(folder, 1).test_openings == 2


def test_a_ledger_from_before_promotions_still_opens(folder: Path, ledger: Ledger) -> None:
    assert numbers(ledger) == []
    assert openings(ledger) == 0
    with pytest.raises(InputError, match="was not promoted yet; begin with: searchplat promote s"):
        load_promotion(folder)


def test_an_unknown_promotion_names_the_known_ones(folder: Path, ledger: Ledger) -> None:
    PromotionStore(ledger, folder).create(PLANNED, {})
    with pytest.raises(InputError, match="has no promotion 5; there are: 1"):
        load_promotion(folder, 5)


def test_the_winner_is_chosen_by_the_mean_on_validation_and_never_a_control(folder: Path) -> None:
    lucky = run(folder, "trial-1", test={"mrr": 0.9}, state=FINISHED)
    steady = run(folder, "trial-2", test={"mrr": 0.1}, state=FINISHED)
    control = run(folder, "default", control="default", state=FINISHED, valid={"mrr": 1.0})
    runs = (
        replace(lucky, seed=1, valid={"mrr": 0.9}), replace(lucky, seed=2, valid={"mrr": 0.1}),
        replace(steady, seed=1, valid={"mrr": 0.6}), replace(steady, seed=2, valid={"mrr": 0.7}),
        control, run(folder, "trial-4", state=FAILED, valid={"mrr": 2.0}),
    )  # fmt: skip
    chosen = replace(PLANNED, runs=runs).winner()
    assert chosen is not None
    assert (chosen.candidate, chosen.seed) == ("trial-2", 2)
    least = replace(PLANNED, runs=runs, maximize=False).winner()
    assert least is not None
    assert (least.candidate, least.seed) == ("trial-1", 2)
    assert replace(PLANNED, runs=(control,)).winner() is None


def test_the_winner_of_several_objectives_is_the_first_of_their_front(folder: Path, ledger: Ledger) -> None:
    store = PromotionStore(ledger, folder)
    number = store.create(replace(PLANNED, further=(("loss", False),)), {})
    found = {"trial-1": (0.9, 9.0), "trial-2": (0.8, 2.0), "trial-3": (0.1, 1.0), "trial-4": (0.7, 2.5)}
    for candidate, (mrr, loss) in found.items():
        for seed, better in ((1, 0.0), (2, 0.01)):
            store.put(number, run(folder, candidate, seed, state=FINISHED, valid={"mrr": mrr + better, "loss": loss}))
    store.put(number, run(folder, "trial-5", state=FINISHED, valid={"mrr": 1.0, "loss": math.nan}))
    store.put(number, run(folder, "best", state=FINISHED, control="best", valid={"mrr": 1.0, "loss": 0.0}))
    promotion = store.load(number)
    assert promotion.objectives == (Objective("mrr", True), Objective("loss", False))
    winner = promotion.winner()
    assert winner is not None
    assert (winner.candidate, winner.seed) == ("trial-2", 2)
    alone = replace(promotion, further=()).winner()
    assert alone is not None
    assert alone.candidate == "trial-5"
