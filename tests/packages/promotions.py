"""A search that has ended, written into a ledger without running it: what promotion begins from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from searchplat.assets import AssetStore
from searchplat.engine.planning.configuration import full_config
from searchplat.ledger import Ledger, lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec import load, to_document
from searchplat.spec.model import CONTROLS, PromotionSpec, SearchSpec

PROMOTION = PromotionSpec(top=2, seeds=2, epochs=4, patience=2, test=("mrr", "recall@10"))


def sasrec_spec(**promotion: Any) -> SearchSpec:
    """SASRec at the scale `smoke`, on the toy data."""
    spec = load("sasrec", scale="smoke")
    return replace(spec, promotion=replace(PROMOTION, **promotion))


def ended_search(root: Path, name: str = "ended", spec: SearchSpec | None = None) -> SearchFolder:
    """Three trials of different learning rates, and the controls, with scores as if they had been trained."""
    spec = spec or sasrec_spec()
    folder = SearchFolder(root, name)
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        trials = [(None, spec.method, {"learning_rate": rate}, score) for rate, score in RATES.items()]
        trials += [("popularity", "popularity", {}, 0.06), ("default", spec.method, {}, 0.15)]
        for control, method, values, score in trials:
            fixed = {**spec.fixed, "hidden_size": 16} if method == spec.method else {}
            trial = ledger.suggest(
                stage=CONTROLS if control else spec.stages[0].name,
                control=control,
                method=method,
                values=values,
                config=full_config(method, {**fixed, **values}),
                data_fraction=1.0,
                seed=1,
            )
            ledger.start(trial.number)
            ledger.report(trial.number, 1, {"valid/mrr": score})
            ledger.end(trial.number, TrialState.FINISHED)
        ledger.note("closed", {"state": "done", "message": "done"})
        lineage.record(ledger, lineage.now(spec, AssetStore()))
    return folder


RATES = {0.01: 0.35, 0.005: 0.3, 0.0003: 0.1}
"""Learning rate -> the search's score."""
