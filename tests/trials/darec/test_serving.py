"""Variants and CF trainings whose `build` does more than make the model: rebuilt, they answer as trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from method_cases import CASES, Bench, Case

from searchplat.contract import FinalJob, TestPermit
from searchplat.firewall import ISSUER

READ_ONCE = {"item_layers": 1, "item_pooling": "mean", "join_special": True}
SMALL = CASES["darec-llama"].values


@pytest.mark.parametrize(
    "values",
    [
        {"cf_training": "frozen", "cf_epochs": 1, "cf_model": "mf"},
        {"variant": "llmrec"},
        {"variant": "darec-base", "item_bias": "popularity", "num_layers": 1, "layout": "serial", **READ_ONCE},
        {"variant": "variation-2", "condition_states": "whiten", "item_start": "text"},
        {"precision": "bfloat16"},
    ],
    ids=str,
)
def test_a_rebuilt_model_answers_as_the_trained_one_and_looks_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    bench = Bench(Case("darec", {**SMALL, **values}), tmp_path / "cache")
    training = bench.method.start_final(FinalJob(bench.job(tmp_path / "run"), "valid/mrr"))
    training.run_epoch()
    training.save()
    training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    bench.method.pack(tmp_path / "run", tmp_path / "package", bench.assets)
    for expensive in ("load_hard_items", "train_cf"):
        monkeypatch.setattr(f"trials.dual.build.{expensive}", forbidden if expensive == "load_hard_items" else at_once)
    served = bench.method.load(tmp_path / "package", bench.assets)
    assert served._model.config.precision == "float32"
    own = {name: value.detach() for name, value in training.model.named_parameters() if value.requires_grad}
    for name, value in served._model.named_parameters():
        if value.requires_grad:
            assert value.equal(own[name]), name
    (answer,) = served.top([["toy-1", "toy-2"]])
    assert len(answer) == 10
    (first,) = served.top([[]], 1)  # a lone [SEQ]
    assert first


def forbidden(*_: object) -> None:
    raise AssertionError("a model that only answers needs no hard items")


def at_once(*arguments: Any, **options: Any) -> Any:
    from trials.nn.cf import train_cf

    assert options["epochs"] == 0
    return train_cf(*arguments, **options)
