from __future__ import annotations

from trials.darec import DARec
from trials.mixrec import MixRec
from trials.mixrec.published import SIZES
from trials.training.metrics import parse

METRICS = ("ndcg@10", "recall@10", "mrr")


def test_the_papers_own_method_is_the_best_on_every_data_set() -> None:
    names = {one.data for one in MixRec.published}
    assert names == {f"amazon-{name}-2018" for name in SIZES} | {"scientific"}
    for data in names:
        rows = [one for one in MixRec.published if one.data == data and one.source.endswith("Table 2")]
        assert len({one.method for one in rows}) == len(rows) == 9
        assert len({(one.users, one.items) for one in rows}) == 1
        (own,) = (one for one in rows if one.method == "MixRec")
        assert dict(own.metrics) == {metric: max(one.metrics[metric] for one in rows) for metric in METRICS}
    assert all(parse(name) and 0 < value < 1 for one in MixRec.published for name, value in one.metrics.items())


def test_both_papers_print_the_same_figures() -> None:
    ours = {one.method: one for one in MixRec.published if one.data == "scientific"}
    for one in DARec.published:
        same = ours[{"DARec": "MixRec"}.get(one.method, one.method)]
        assert (same.users, same.items, dict(same.metrics)) == (one.users, one.items, dict(one.metrics))
