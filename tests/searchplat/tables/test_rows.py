from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.methods import load_method
from searchplat.promotion.record import FINAL, FINISHED, Promotion, PromotionRun, PromotionStore
from searchplat.spec import to_document
from searchplat.tables.plan import read_table
from searchplat.tables.rows import own_row, read_rows


@pytest.mark.parametrize(
    ("method", "row", "mrr"),
    [
        ("darec", "DARec", 0.1105),
        ("sasrec", "SASRec", 0.0919),
        ("llmrec", "LLMRec", 0.0495),
        ("laser", "Laser-G", None),
    ],
)
def test_a_paper_s_row_is_the_method_s_own(method: str, row: str, mrr: float | None) -> None:
    printed = [one for one in load_method(method).published if one.data == "scientific"]
    found = own_row(printed, method, 8317)
    assert found is not None
    assert found.method.startswith(row)
    assert mrr is None or found.metrics["mrr"] == mrr


def test_a_method_of_no_paper_has_none() -> None:
    assert own_row(load_method("darec").published, "popularity", 8317) is None


def test_a_control_that_two_searches_have_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text("scale: smoke\nminutes: 6\nmetrics: [mrr]\nsystems: [sasrec, markov]\n")
    table = read_table(path)
    rng = np.random.default_rng(0)
    for entry in table.entries:
        folder = SearchFolder(tmp_path, entry.search)
        folder.path.mkdir()
        runs = []
        for place, (candidate, method) in enumerate({"trial-0": entry.name, "popularity": "popularity"}.items()):
            for seed in range(3):
                ranks = folder.path / f"{candidate}-{seed}.npy"
                np.save(ranks, 1 + rng.poisson(3.0 + 9.0 * place, 60).astype(np.int32))
                mrr = {"mrr": float((1 / np.load(ranks)).mean())}
                runs.append(
                    PromotionRun(
                        candidate, place, candidate if place else None, method, {}, seed, FINAL,
                        folder.path / f"{candidate}-{seed}", state=FINISHED, valid=mrr, test=mrr, epochs=1,
                        seconds=1.0, ranks=ranks, data_fingerprint="f",
                    )
                )  # fmt: skip
        promotion = Promotion(
            search=entry.search, number=0, data="toy", data_options={}, data_fingerprint="f", num_users=60,
            metrics=("mrr",), search_scores={"trial-0": 0.3}, lineage={}, test_openings=6, runs=(),
        )  # fmt: skip
        with Ledger.create(folder.ledger_path, to_document(entry.spec), entry.spec.objectives) as ledger:
            ledger.note("opened")
            ledger.note("closed", {"state": "done"})
            store = PromotionStore(ledger, folder.path)
            store.put(store.create(promotion, {}), *runs)
    found = read_rows(table, tmp_path)
    assert sorted(row.name for row in found.rows) == ["markov", "popularity", "sasrec"]
    assert not found.missing
