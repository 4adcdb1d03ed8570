from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from method_cases import CASES, Bench, as_queries, scores, with_histories

from trials.data.preparing.dataset import SearchData
from trials.markov import MarkovConfig
from trials.markov.model import count


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> SearchData:
    root = tmp_path_factory.mktemp("markov")
    return Bench(CASES["markov"], root).start(root / "trial").data


def slow(data: SearchData, last: int, smoothing: float) -> list[float]:
    """The formula, from the sequences."""
    pairs = [(a, b) for u in range(data.num_users) for a, b in zip(data.history(u), data.history(u)[1:], strict=False)]
    popular = [list(data.train_items).count(n) / len(data.train_items) for n in range(data.num_items)]
    total = sum(a == last for a, _ in pairs)
    return [
        (sum(pair == (last, n) for pair in pairs) + smoothing * popular[n]) / (total + smoothing)
        for n in range(data.num_items)
    ]


def test_scores_are_the_smoothed_chances_of_the_next_item(data: SearchData) -> None:
    model = count(MarkovConfig(smoothing=3.0), data)
    found_BN = scores(model, as_queries([[5, 2], [2], [7]], [0, 1, 2]))
    torch.testing.assert_close(found_BN[0], found_BN[1])
    for row, last in zip(found_BN, (2, 2, 7), strict=True):
        assert row.tolist() == pytest.approx(slow(data, last, 3.0))
        assert float(row.sum()) == pytest.approx(1)


def test_no_transition_leads_from_one_user_to_the_next(data: SearchData) -> None:
    model = count(MarkovConfig(), with_histories(data, [[0, 1], [2], [3, 4, 3, 4]]))
    assert model.totals_N[:6].tolist() == [1, 0, 0, 2, 1, 0]


def test_an_empty_history_gets_popularity(data: SearchData) -> None:
    model = count(MarkovConfig(), data)
    found_BN = scores(model, as_queries([np.zeros(0, int), [3]], [0, 1]))
    torch.testing.assert_close(found_BN[0], 100 * torch.as_tensor(data.popularity_N() / len(data.train_items)).float())


def test_rarer_successors_than_are_kept_have_popularity(data: SearchData) -> None:
    histories = [[0, 1], [0, 1], [0, 2], [3, 3]]
    model = count(MarkovConfig(successors=1), with_histories(data, histories))
    found_N = scores(model, as_queries([[0]], [0]))[0]
    assert found_N[1] > found_N[3] > found_N[2]


def test_what_is_searched_changes_scores(tmp_path: Path) -> None:
    bench = Bench(CASES["markov"], tmp_path)
    found = [bench.start(tmp_path / str(a), smoothing=a).run_epoch()["valid/mrr"] for a in (1.0, 1e5)]
    assert found[0] > found[1]
