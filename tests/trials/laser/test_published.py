from __future__ import annotations

from searchplat.methods import load_method
from trials.laser import Laser


def test_figures_are_those_of_table_2() -> None:
    method = load_method("laser")
    assert isinstance(method, Laser)
    by_method = {one.method: one for one in method.published}
    assert by_method["Laser-L"].metrics == {"recall@10": 0.1387, "ndcg@10": 0.0984, "mrr": 0.0923}
    assert by_method["SASRec"].metrics["ndcg@10"] == 0.0803
    assert {(one.data, one.users, one.items) for one in method.published} == {("scientific", 11_041, 5_327)}
    assert all(0 < value < 1 for one in method.published for value in one.metrics.values())
