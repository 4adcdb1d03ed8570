"""Lines of a program that report, and the names of their figures."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest

from searchplat.programs import lines
from searchplat.programs.lines import Reader, metric_name, said


def test_examples() -> None:
    assert doctest.testmod(lines).failed == 0


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("valid/ndcg@10", "valid/ndcg@10"),
        ("validation.loss", "valid/loss"),
        ("eval_loss", "valid/loss"),
        ("dev mrr", "valid/mrr"),
        ("loss", "valid/loss"),
        ("training_loss", "train/loss"),
        ("latest", "valid/latest"),
        ("contest", "valid/contest"),
        ("testNDCG", "test/testNDCG"),
        ("bestTestLoss", "test/bestTestLoss"),
        ("val_test_ndcg", "test/test_ndcg"),
        ("NDCG (test)", "test/NDCG_test_"),
        ("test", "test/test"),
        ("testing_loss", "test/loss"),
        ("memory/peak_bytes", "memory/peak_bytes"),
        ("ndcg é", "valid/ndcg_"),
    ],
)
def test_names(name: str, ours: str) -> None:
    assert metric_name(name) == ours


def test_a_json_object_on_a_line_of_its_own() -> None:
    found = Reader().read('  {"epoch": 3, "ndcg": 0.12, "val": {"mrr": 1}, "note": "x", "ok": true, "none": null}\n')
    assert found is not None
    assert found.epoch == 3
    assert found.metrics == {"valid/ndcg": 0.12, "valid/mrr": 1.0}


@pytest.mark.parametrize(
    "line", ["", "loss 3", "[1]", "{broken}", '{"epoch": 1}', '{"a": "b"}', "{" * 9000 + "}" * 9000, '{"a": 1} x']
)
def test_other_lines_are_no_reports(line: str) -> None:
    assert Reader().read(line) is None


def test_what_is_not_finite_is_reported() -> None:
    found = Reader().read('{"ndcg": NaN, "loss": Infinity}')
    assert found is not None
    assert math.isnan(found.metrics["valid/ndcg"])
    assert math.isinf(found.metrics["valid/loss"])


def test_a_regular_expression_names_the_figures() -> None:
    reader = Reader(r"epoch (?P<epoch>\d+): ndcg=(?P<ndcg>\S+)(?: loss=(?P<train_loss>\S+))?")
    found = reader.read("[12:00] epoch 3: ndcg=0.12, loss=nan")
    assert found is not None
    assert found.epoch == 3
    assert found.metrics["valid/ndcg"] == 0.12
    assert math.isnan(found.metrics["train/loss"])
    assert set(reader.read("epoch 4: ndcg=0.5").metrics) == {"valid/ndcg"}
    assert reader.read("epoch 3: ndcg=high") is None
    assert reader.read('{"ndcg": 1}') is None


@pytest.mark.parametrize("pattern", ["(", "ndcg=(.*)", "(?P<epoch>.)"])
def test_a_pattern_that_reads_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"regular expression|name a group"):
        Reader(pattern)


def test_numbers_of_numpy_count() -> None:
    found = said({"a": np.float32(0.5), "b": np.array(2), "c": np.array([1, 2]), "epoch": np.int64(4)})
    assert found is not None
    assert found.metrics == {"valid/a": 0.5, "valid/b": 2.0}
    assert found.epoch == 4
