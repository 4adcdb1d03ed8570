from __future__ import annotations

from trials.darec import DARec
from trials.training.metrics import parse


def test_published_figures_are_of_the_papers_data_and_its_own_method_is_the_best() -> None:
    best = {metric: max(one.metrics[metric] for one in DARec.published) for metric in ("ndcg@10", "recall@10", "mrr")}
    (own,) = (one for one in DARec.published if one.method == "DARec")
    assert best == dict(own.metrics)
    assert len({one.method for one in DARec.published}) == 9
    for one in DARec.published:
        assert (one.data, one.users, one.items) == ("scientific", 10_973, 5_193)
        assert all(parse(name) and 0 < value < 1 for name, value in one.metrics.items())
