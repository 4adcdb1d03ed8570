from __future__ import annotations

import pytest

from searchplat.methods import load_method
from searchplat.tables.rows import own_row


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
