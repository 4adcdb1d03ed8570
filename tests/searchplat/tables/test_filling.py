from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.engine.places import Places
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion.candidates import Asked
from searchplat.promotion.record import FINAL, Promotion, PromotionRun, PromotionStore
from searchplat.spec import to_document
from searchplat.tables.filling import fill, promoted, refuse_others, searched
from searchplat.tables.plan import read_table
from searchplat.tables.rows import read_rows

TABLE = "scale: smoke\nminutes: 6\nsystems: [sasrec]\n"


def test_another_budget_is_not_mixed_with_what_was_found_before(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(TABLE)
    table = read_table(path)
    (entry,) = table.entries
    folder = SearchFolder(tmp_path, entry.search)
    folder.path.mkdir()
    with Ledger.create(folder.ledger_path, to_document(entry.spec), entry.spec.objectives) as ledger:
        assert not searched(folder)
        ledger.note("opened")
        ledger.note("closed", {"state": "done"})
    assert searched(folder)
    assert not promoted(folder, entry)
    assert read_rows(table, tmp_path).missing == ("sasrec",)

    path.write_text(TABLE.replace("6", "12"))
    other = read_table(path)
    said = r"the search 'first-sasrec' is there, but not as the table has it:\n  stages.search.hours: 0.1 -> 0.2"
    for use in (lambda: fill(other, Places(runs=tmp_path), print), lambda: read_rows(other, tmp_path)):
        with pytest.raises(InputError, match=said):
            use()


def test_systems_may_change_their_order_and_so_which_search_has_the_tables_controls(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    before, now = (f"scale: smoke\nminutes: 6\nsystems: [{names}]\n" for names in ("sasrec, markov", "markov, sasrec"))
    path.write_text(before)
    for entry in read_table(path).entries:
        folder = SearchFolder(tmp_path, entry.search)
        folder.path.mkdir()
        with Ledger.create(folder.ledger_path, to_document(entry.spec), entry.spec.objectives) as ledger:
            ledger.note("opened")
    path.write_text(now)
    with pytest.raises(InputError, match=r"controls.popularity"):  # a search that goes on must be what it was
        refuse_others(read_table(path), tmp_path)
    for name in ("sasrec", "markov"):
        with Ledger.open(SearchFolder(tmp_path, f"first-{name}").ledger_path) as ledger:
            ledger.note("closed", {"state": "done"})
    refuse_others(read_table(path), tmp_path)


def promoted_by(folder: SearchFolder, metrics: tuple[str, ...], seeds: int) -> None:
    """A promotion's record, as if it had been made so."""
    promotion = Promotion(
        search=folder.name, number=0, data="toy", data_options={}, data_fingerprint="f", num_users=9, metrics=metrics,
        search_scores={}, lineage={}, test_openings=1, runs=(),
    )  # fmt: skip
    with Ledger.open(folder.ledger_path) as ledger:
        store = PromotionStore(ledger, folder.path)
        number = store.create(promotion, {})
        runs = [
            PromotionRun("trial-0", 0, None, "sasrec", {}, seed, FINAL, folder.path / f"{seed}")
            for seed in range(seeds)
        ]
        store.put(number, *runs)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ("seeds: 3\n", "seeds: 2\n", "seeds: 3 -> 2"),
        ("metrics: [mrr]\n", "metrics: [mrr, ndcg@10]\n", "metrics: tested by mrr, not by ndcg@10"),
    ],
)
def test_a_row_that_was_promoted_otherwise_is_not_mixed_in(tmp_path: Path, before: str, now: str, said: str) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(TABLE + before)
    (entry,) = read_table(path).entries
    folder = SearchFolder(tmp_path, entry.search)
    folder.path.mkdir()
    with Ledger.create(folder.ledger_path, to_document(entry.spec), entry.spec.objectives) as ledger:
        ledger.note("opened")
        ledger.note("closed", {"state": "done"})
    path.write_text(TABLE + now)
    refuse_others(read_table(path), tmp_path)  # nothing was promoted yet: the table's word counts
    promoted_by(folder, entry.spec.promotion.test, entry.spec.promotion.seeds)
    with pytest.raises(InputError, match=said):
        refuse_others(read_table(path), tmp_path)


def test_a_refused_promotion_leaves_the_others_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "first.yaml"
    path.write_text("scale: smoke\nminutes: 6\nsystems: [sasrec, markov]\n")
    calls: list[tuple[str, Asked, bool]] = []

    def promote(search: str, *, asked: Asked, allow_changed: bool, **_: object) -> object:
        calls.append((search, asked, allow_changed))
        raise InputError("ran under other conditions: code")

    monkeypatch.setattr("searchplat.tables.filling.searched", lambda folder: True)
    monkeypatch.setattr("searchplat.tables.filling.run_promotion", promote)
    rows: list[int] = []
    table = read_table(path)
    ended = fill(table, Places(runs=tmp_path), print, allow_changed=True, on_row=lambda: rows.append(1))
    assert (ended.exit_code, ended.complete, rows) == (1, False, [])
    assert ended.failed == tuple(f"{name}: ran under other conditions: code" for name in ("sasrec", "markov"))
    assert [search for search, _, _ in calls] == ["first-sasrec", "first-markov"]
    assert all((a.seeds, a.test, changed) == (3, ("mrr", "recall@10", "ndcg@10"), True) for _, a, changed in calls)
