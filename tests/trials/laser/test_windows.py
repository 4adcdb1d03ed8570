"""Many targets in one pass against the same histories one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import shake

from trials.data.preparing.dataset import SearchData
from trials.laser.batches import Batch, share

WINDOWS: dict[str, Any] = {"passes": "windows", "targets_per_user": None, "max_items": 5, "max_tokens": 80}
BEHIND: dict[str, Any] = {**WINDOWS, "item_layers": 1, "num_layers": 1}


@pytest.mark.parametrize("recommender", ["bert4rec", "sasrec"])
@pytest.mark.parametrize(
    ("backbone", "settings"),
    [
        ("random-llama", {}),
        ("random-opt", {}),
        ("random-gpt2", {"num_suffix": 2}),
        ("random-llama", {"item_pooling": "mean", "num_suffix": 3}),
        ("random-llama", {"variant": "no-prefix"}),
        ("random-llama", {"variant": "no-mformer", "template": "no-instruction"}),
        ("random-llama", {"variant": "eos"}),
        ("random-llama", {"variant": "one-expert", "former_recency": True}),
        ("random-llama", {"item_layers": 0}),
    ],
)
def test_a_windows_beginnings_are_histories(
    make_model: Any, backbone: str, recommender: str, settings: dict[str, Any]
) -> None:
    """With one layer to run, eq. 1 of every beginning; of the words too, where these are the first layer's."""
    model = make_model(backbone=backbone, id_recommender=recommender, **{**BEHIND, **settings}).eval()
    shake(model)
    windows = [np.array([3, 1, 2, 9]), np.array([7]), np.array([0, 5, 11])]
    reads_W = np.array([2, 1, 3])
    with torch.no_grad():
        together_BD, routing = model.embed_windows(windows, reads_W)
    beginnings = [
        items[:n] for items, r in zip(windows, reads_W, strict=True) for n in range(len(items) - r + 1, len(items) + 1)
    ]
    with torch.no_grad():
        one_BD, one = model.embed(beginnings)
    torch.testing.assert_close(together_BD, one_BD, rtol=1e-4, atol=1e-5)
    if routing is not None:
        torch.testing.assert_close(routing.weights_BK, one.weights_BK)
        torch.testing.assert_close(routing.dispatched_BK, one.dispatched_BK)


def test_with_two_layers_words_do_not_see_the_prefix(make_model: Any) -> None:
    """Without a prefix both ways are one; with it they differ, by what words see."""
    windows, reads_W = [np.array([3, 1, 2, 9])], np.array([4])
    beginnings = [windows[0][:n] for n in range(1, 5)]
    for variant, same in (("no-prefix", True), ("no-mformer", False)):
        model = make_model(variant=variant, **WINDOWS).eval()
        shake(model)
        assert model.lm.num_layers == 2
        with torch.no_grad():
            together_BD, one_BD = model.embed_windows(windows, reads_W)[0], model.embed(beginnings)[0]
        assert torch.allclose(together_BD, one_BD, rtol=1e-4, atol=1e-5) == same


@pytest.mark.parametrize("layers", [0, 1])
def test_nothing_behind_a_beginning_reaches_it(make_model: Any, layers: int) -> None:
    model = make_model(**{**WINDOWS, "item_layers": layers, "num_layers": 1 if layers else 2}).eval()
    shake(model)
    with torch.no_grad():
        one, _ = model.embed_windows([np.array([3, 1, 2, 9])], np.array([4]))
        other, _ = model.embed_windows([np.array([3, 1, 8, 9])], np.array([4]))
    same = (one - other).abs().amax(1) < 1e-6
    assert same.tolist() == [True, True, False, False]


def test_gradients_are_those_of_the_histories(make_model: Any) -> None:
    gradients = []
    for passes in ("windows", "single"):
        model = make_model(**{**BEHIND, "passes": passes, "former_dropout": 0.0})
        shake(model)
        model.start_evaluation()
        model.train()
        if passes == "windows":
            batch = Batch([np.array([3, 1, 2]), np.array([4, 5, 6, 7])], np.array([2, 4]), np.array([2, 9, 5, 6, 7, 8]))
        else:
            histories = [[3, 1], [3, 1, 2], [4], [4, 5], [4, 5, 6], [4, 5, 6, 7]]
            batch = Batch([np.array(items) for items in histories], np.ones(6, int), np.array([2, 9, 5, 6, 7, 8]))
        torch.stack(list(model.loss(batch).values())).sum().backward()
        gradients.append({name: p.grad for name, p in model.named_parameters()})
    one, other = gradients
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("stride", [None, 1, 3])
def test_every_next_item_is_a_target_once(make_model: Any, data: SearchData, stride: int | None) -> None:
    batcher = make_model(**BEHIND, window_stride=stride).batcher
    batches = list(batcher.epoch(np.random.default_rng(0)))
    assert len(batches) == len(batcher)
    seen = []
    for batch in batches:
        targets = iter(batch.targets_B.tolist())
        for items, reads in zip(batch.histories, batch.reads_W.tolist(), strict=True):
            seen += [(tuple(items[:n].tolist()), next(targets)) for n in range(len(items) - reads + 1, len(items) + 1)]
        assert next(targets, None) is None
    places = [(user, place) for user in range(data.num_users) for place in range(1, len(data.history(user)))]
    ends = sorted(
        (tuple(data.history(user)[:place].tolist()[-5:]), int(data.history(user)[place])) for user, place in places
    )
    assert len(seen) == len(ends)
    for (kept, target), count in zip(sorted(seen), range(len(seen)), strict=True):
        assert any(full[-len(kept) :] == kept and target == last for full, last in ends), count
    if stride == 1:
        assert sorted(seen) == ends


def test_some_windows_of_every_user(make_model: Any, data: SearchData) -> None:
    model = make_model(**{**BEHIND, "max_items": 2}, windows_per_user=2)
    batches = list(model.batcher.epoch(np.random.default_rng(0)))
    assert len(batches) == len(model.batcher)
    lengths = np.diff(data.train_offsets)
    expected = sum(min(2, -(-(n - 1) // 2)) for n in lengths.tolist() if n > 1)
    assert sum(len(batch.histories) for batch in batches) == expected
    again = list(model.batcher.epoch(np.random.default_rng(0)))
    assert [batch.targets_B.tolist() for batch in again] == [batch.targets_B.tolist() for batch in batches]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_shares_are_weighed_by_targets(workers: int) -> None:
    batch = Batch([np.arange(4), np.arange(2)], np.array([3, 1]), np.arange(4))
    parts = [share(batch, rank, workers) for rank in range(workers)]
    assert sum(weight for _, weight in parts) == pytest.approx(1)
    assert [t for part, weight in parts if weight for t in part.targets_B.tolist()] == [0, 1, 2, 3]
    assert all(part.reads_W.sum() == len(part.targets_B) for part, _ in parts)
