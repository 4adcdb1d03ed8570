"""CF models against their equations, negatives that are none, and training that ranks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trials.nn.cf import MF, NCF, CFModel, Interactions, Pairs, make_cf_model, train_cf

ITEMS = np.array([0, 1, 2, 2, 3, 5, 0, 4])
OFFSETS = np.array([0, 3, 3, 6, 8])


def interactions() -> Interactions:
    return Interactions(ITEMS, OFFSETS, 8)


def test_mf_scores() -> None:
    model = MF(4, 8, 3)
    torch.nn.init.normal_(model.item_bias)
    users, items = torch.tensor([2, 0]), torch.tensor([[1, 3], [5, 5]])
    scores = model.scores(users, items)
    for b in range(2):
        for k in range(2):
            expected = model.users.weight[users[b]] @ model.items.weight[items[b, k]] + model.item_bias[items[b, k]]
            torch.testing.assert_close(scores[b, k], expected)


def test_ncf_scores() -> None:
    torch.manual_seed(0)
    model = NCF(4, 8, 4)
    for table in (model.users_gmf, model.users_mlp, model.items_gmf, model.items_mlp):
        torch.nn.init.normal_(table.weight)
    u, i = 2, 5
    gmf = model.users_gmf.weight[u] * model.items_gmf.weight[i]
    hidden = torch.cat([model.users_mlp.weight[u], model.items_mlp.weight[i]])
    for k in (0, 2):
        layer = model.mlp[k]
        assert isinstance(layer, torch.nn.Linear)
        hidden = torch.relu(layer.weight @ hidden + layer.bias)
    expected = model.head.weight[0] @ torch.cat([gmf, hidden]) + model.head.bias[0]
    torch.testing.assert_close(model.scores(torch.tensor([u]), torch.tensor([[i]]))[0, 0], expected)


@pytest.mark.parametrize("name", ["ncf", "mf"])
def test_vectors(name: str) -> None:
    model = make_cf_model(name, 4, 8, 6)  # type: ignore[arg-type]
    assert model.width == (12 if name == "ncf" else 6)
    users = torch.tensor([3, 0])
    torch.testing.assert_close(model.user_vectors(users), model.all_user_vectors()[users])
    assert model.item_vectors(torch.tensor([1, 2, 7])).shape == (3, model.width)


def test_negatives_were_never_interacted_with() -> None:
    rng = np.random.default_rng(0)
    pairs = interactions().pairs_of(np.array([3, 0, 1]), 50, rng)
    assert pairs.users_P.tolist() == [3, 3, 0, 0, 0]
    assert pairs.items_P.tolist() == [0, 4, 0, 1, 2]
    for user, row in zip(pairs.users_P.tolist(), pairs.negatives_PK, strict=True):
        seen = set(ITEMS[OFFSETS[user] : OFFSETS[user + 1]].tolist())
        assert not seen & set(row.tolist())


def test_an_epoch_is_every_interaction_once() -> None:
    seen = [
        (int(u), int(i))
        for pairs in interactions().epoch(3, 1, np.random.default_rng(0))
        for u, i in zip(pairs.users_P, pairs.items_P, strict=True)
    ]
    expected = [(u, int(i)) for u in range(4) for i in ITEMS[OFFSETS[u] : OFFSETS[u + 1]]]
    assert sorted(seen) == sorted(expected)


def test_user_who_has_seen_everything_does_not_hang() -> None:
    pairs = Interactions(np.arange(3), np.array([0, 3]), 3).pairs_of(np.array([0]), 2, np.random.default_rng(0))
    assert pairs.negatives_PK.shape == (3, 2)


@pytest.mark.parametrize("name", ["ncf", "mf"])
def test_training_beforehand_ranks_seen_items_first(name: str) -> None:
    torch.manual_seed(0)
    model: CFModel = make_cf_model(name, 4, 8, 8)  # type: ignore[arg-type]
    vectors = train_cf(model, interactions(), epochs=150, learning_rate=0.02, negatives=4, rng=np.random.default_rng(0))
    with torch.no_grad():
        scores = model.scores(torch.tensor([0]), torch.arange(8)[None])[0]
    assert set(scores.topk(3).indices.tolist()) == {0, 1, 2}
    assert not any(p.requires_grad for p in vectors.parameters())
    assert set(dict(vectors.named_buffers())) == {"users_UW", "items_NW"}
    torch.testing.assert_close(vectors.user_vectors(torch.tensor([2])), model.user_vectors(torch.tensor([2])))


@pytest.mark.parametrize("name", ["ncf", "mf"])
def test_loss_reaches_both_sides(name: str) -> None:
    model = make_cf_model(name, 4, 8, 4)  # type: ignore[arg-type]
    pairs = Pairs(torch.tensor([0]), torch.tensor([1]), torch.tensor([[6, 7]]))
    model.loss(pairs.to("cpu")).backward()
    vectors = [p for p in model.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
    assert len(vectors) >= 3


@pytest.mark.parametrize("hidden", [None, (6, 3, 2)])
@pytest.mark.parametrize("floats", [1, 2**22])
def test_scores_of_all_items_are_those_of_the_pairs(
    hidden: tuple[int, ...] | None, floats: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trials.nn.cf._FLOATS", floats)
    torch.manual_seed(0)
    for model in (NCF(4, 8, 6, hidden, 0.5).eval(), MF(4, 8, 6)):
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter)
        users = torch.tensor([3, 0, 1])
        expected = model.scores(users, torch.arange(8).expand(3, -1))
        torch.testing.assert_close(model.all_scores(model.user_vectors(users)), expected)
