from __future__ import annotations

from typing import Any

import numpy as np
import torch
from by_hand import search_data
from method_cases import as_queries
from torch.nn import functional as F

from trials.data.preparing.dataset import SearchData
from trials.llmesr import LLMESRConfig
from trials.llmesr.model import LLMESRModel, first_components
from trials.llmesr.similar_users import similar_users

TINY: dict[str, Any] = {"max_length": 4, "hidden_size": 8, "inner_size": 8, "batch_size": 3, "dropout": 0.0}
TINY |= {"similar_users": 2}
HISTORIES = [[1, 2, 3, 4, 5], [1, 2], [9, 10, 11], [9, 10], []]


def some_data() -> tuple[SearchData, np.ndarray]:
    return search_data(HISTORIES, 20), np.random.default_rng(0).standard_normal((20, 10)).astype(np.float32)


def make(**settings: Any) -> LLMESRModel:
    torch.manual_seed(0)
    return LLMESRModel(LLMESRConfig(**{**TINY, **settings}), *some_data())


def test_users_with_like_histories_are_nearest_and_never_oneself_or_nobody() -> None:
    data, texts = some_data()
    nearest = similar_users(data, torch.from_numpy(texts), 10)
    assert nearest.shape == (5, 3)
    assert [nearest[user, 0] for user in range(4)] == [1, 0, 3, 2]
    for user in range(5):
        assert user not in nearest[user]
        assert 4 not in nearest[user]


def test_a_place_does_not_see_what_comes_after_it() -> None:
    encoder = make().eval().encoder
    one, other = encoder(torch.tensor([[1, 2, 3, 4]])), encoder(torch.tensor([[1, 2, 3, 9]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])


def test_scores_are_those_of_both_views() -> None:
    made = make(cross_attention=False).eval()
    encoder = made.encoder
    texts, ids = encoder.adapter(encoder.texts_NW), encoder.item_embedding.weight
    states = [encoder.layers.through_layers(view[[3, 5]][None], None)[0, -1] for view in (texts, ids)]
    expected = texts @ states[0] + ids @ states[1]
    torch.testing.assert_close(made.scores(as_queries([[3, 5]]))[0], expected)


def test_views_hear_each_other() -> None:
    made = make().eval()
    before = made.encoder(torch.tensor([[3, 5]]))[0, -1, :8]
    torch.nn.init.normal_(made.encoder.item_embedding.weight)
    assert not torch.allclose(made.encoder(torch.tensor([[3, 5]]))[0, -1, :8], before)


def test_teachers_are_the_similar_users_and_get_no_gradient() -> None:
    made = make(lambda_distill=0.5, batch_size=100).eval()
    (batch,) = made.batches(0, np.random.default_rng(0))
    assert batch.teachers is not None
    terms = []
    for row in range(len(batch.windows)):
        taught = [made.encoder.encode(batch.teachers.rows(2 * row + k, 2 * row + k + 1))[0] for k in range(2)]
        state = made.encoder.encode(as_queries([batch.windows.history(row)[:-1]]))[0]
        terms.append(F.mse_loss(state, torch.stack(taught).mean(0)))
    torch.testing.assert_close(made.loss(batch)["distill"], 0.5 * torch.stack(terms).mean())
    histories = [batch.teachers.history(row).tolist() for row in range(len(batch.teachers))]
    assert all(history in HISTORIES[:4] for history in histories)


def test_item_vectors_begin_at_the_texts_components() -> None:
    texts = torch.randn(40, 10) * torch.arange(1, 11)
    found = first_components(texts, 4)
    assert abs(found.std().item() - 0.02) < 1e-6
    covariance = (found - found.mean(0)).T @ found
    assert (covariance - torch.diag(covariance.diag())).abs().max() < 1e-4
    assert (covariance.diag().diff() < 0).all()
    assert first_components(texts, 12).shape == (40, 12)


def test_without_distillation_it_is_not_looked_for() -> None:
    made = make(lambda_distill=0.0)
    (batch, *_) = made.batches(0, np.random.default_rng(0))
    assert batch.teachers is None
    assert set(made.loss(batch)) == {"next"}
