"""The space of the comparison: eq. 2 without options, and what each option adds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trials.data.popularity import popularity_bias
from trials.data.preparing.dataset import SearchData
from trials.laser.comparison import Comparison

EVERYTHING: dict[str, Any] = {
    "whiten_states": True,
    "project_states": True,
    "item_vectors": True,
    "item_bias": "popularity",
    "label_smoothing": 0.1,
}


def make(**options: Any) -> Comparison:
    return Comparison(6, 9, **{"whiten": False, "project": False, "vector_weights_N": None, "bias_N": None, **options})


def test_without_options_it_is_the_cosine_over_the_temperature() -> None:
    plain = make()
    assert not list(plain.parameters()) + list(plain.buffers())
    users, items = torch.randn(4, 6), torch.randn(9, 6)
    expected = torch.stack([torch.cosine_similarity(u, items) for u in users]) / 0.3
    torch.testing.assert_close(plain.logits(plain.users(users), plain.items(items), 0.3), expected)


def test_everything_that_trains_starts_as_if_it_were_not_there() -> None:
    users, items = torch.randn(4, 6), torch.randn(9, 6)
    full = make(project=True, vector_weights_N=torch.ones(9))
    torch.testing.assert_close(full.users(users), users)
    torch.testing.assert_close(full.items(items), items)


def test_a_vector_counts_as_much_as_its_item_has_interactions(make_model: Any, data: SearchData) -> None:
    counts = torch.from_numpy(data.popularity_N()).float()
    assert counts.min() == 0
    for k, expected in ((0.0, torch.ones_like(counts)), (5.0, counts / (counts + 5))):
        space = make_model(item_vectors=True, vector_shrinkage=k).comparison
        torch.nn.init.ones_(space.vectors_ND)
        items = torch.randn(data.num_items, space.vectors_ND.shape[1])
        torch.testing.assert_close(space.items(items) - items, expected[:, None].expand_as(items), rtol=1e-4, atol=1e-5)


def test_dropout_is_of_users_in_training() -> None:
    space, states = make(dropout=0.5), torch.ones(4, 6)
    assert set(space.users(states).unique().tolist()) <= {0.0, 2.0}
    assert torch.equal(space.items(states), states)
    assert torch.equal(space.eval().users(states), states)


def test_whitened_states_have_no_mean_and_equal_spreads() -> None:
    torch.manual_seed(0)
    mixed = torch.randn(6, 6)
    users, items = 3 + torch.randn(500, 6) @ mixed, torch.randn(400, 6) @ mixed - 5
    space = make(whiten=True)
    space.fit(users, items, 1e-6)
    x = torch.cat([space.users(users), space.items(items)])
    torch.testing.assert_close(x.T @ x / len(x), torch.eye(6), atol=0.02, rtol=0)
    assert space.users(users).mean(0).abs().max() < 1e-4
    assert space.items(items).mean(0).abs().max() < 1e-4


def test_users_and_items_are_projected_apart(make_model: Any) -> None:
    model = make_model(**EVERYTHING)
    with torch.no_grad():
        for p in model.comparison.parameters():
            p.add_(0.1 * torch.randn_like(p))
    h, c = torch.randn(3, model.lm.hidden_size), model.comparison
    x = (h - c.mean_2D[0]) @ c.whitening_DD
    torch.testing.assert_close(c.users(h), x + x @ c.of_users.weight.T + c.of_users.bias)
    every = torch.randn(model.num_items, model.lm.hidden_size)
    y = (every - c.mean_2D[1]) @ c.whitening_DD
    torch.testing.assert_close(c.items(every), y + y @ c.of_items.weight.T + c.vectors_ND)


def test_the_bias_starts_at_popularity_and_ranks_by_it_where_cosines_say_nothing(
    make_model: Any, data: SearchData
) -> None:
    bias_N = popularity_bias(data)
    counts = data.popularity_N()
    assert (torch.argsort(bias_N, stable=True) == torch.argsort(torch.from_numpy(counts), stable=True)).all()
    assert bias_N.exp().sum().item() == pytest.approx(1)
    model = make_model(item_bias="popularity").eval()
    model.start_evaluation()
    with torch.no_grad():
        scores = model.scores(data.valid_queries())
        plain = make_model().eval()
        plain.start_evaluation()
        torch.testing.assert_close(scores, plain.scores(data.valid_queries()) / 0.05 + bias_N, rtol=1e-4, atol=1e-4)


def test_phase_1_trains_items_and_phase_2_users_alone(make_loop: Any) -> None:
    loop = make_loop(epochs=4, phase1_share=0.5, **EVERYTHING)
    space = loop.model.comparison
    for epoch in range(4):
        old = {name: p.detach().clone() for name, p in space.named_parameters()}
        kept = None if epoch != 2 else loop.model.memory.best_items_ND.clone()
        loop.run_epoch()
        moved = {name for name, p in space.named_parameters() if not torch.equal(p, old[name])}
        assert {"of_users.weight", "of_users.bias", "bias_N"} <= moved
        if epoch < 2:
            assert moved == set(old)
        if epoch == 3:
            assert not moved & {"of_items.weight", "vectors_ND"}
        assert kept is None or torch.equal(kept, loop.model.memory.items_ND)


@pytest.mark.parametrize("stop", [1, 2, 3])
def test_going_on_from_a_checkpoint_is_the_same_training(make_loop: Any, stop: int) -> None:
    settings = {"epochs": 4, "phase1_share": 0.5, "item_layers": 1, "num_layers": 1, "item_pooling": "mean"}
    settings |= {"passes": "windows", "targets_per_user": None, **EVERYTHING}
    whole = make_loop("whole", **settings)
    expected = [whole.run_epoch()["train/loss"] for _ in range(4)]
    first = make_loop("parts", **settings)
    for _ in range(stop):
        first.run_epoch()
        first.save()
    second = make_loop("parts", **settings)
    assert second.restore() == stop
    assert [second.run_epoch()["train/loss"] for _ in range(4 - stop)] == expected[stop:]
    mine, theirs = second.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())


def test_items_of_the_later_layers_are_histories_of_one(make_model: Any) -> None:
    model = make_model(item_layers=1, num_layers=1, item_pooling="mean").eval()
    assert model.instructions.words_N.max() == 1
    with torch.no_grad():
        items_ND = model.encode_items()
        one = model.embed([np.array([4])])[0][0]
    torch.testing.assert_close(items_ND[4], one, rtol=1e-4, atol=1e-5)
