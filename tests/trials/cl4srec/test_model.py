from __future__ import annotations

from typing import Any

import numpy as np
import torch
from by_hand import search_data
from method_cases import as_queries
from torch.nn import functional as F

from trials.cl4srec import CL4SRecConfig
from trials.cl4srec.augmentations import MASK
from trials.cl4srec.model import CL4SRecModel, Views

TINY: dict[str, Any] = {"max_length": 6, "hidden_size": 8, "inner_size": 8, "batch_size": 4, "dropout": 0.0}


def make(**settings: Any) -> CL4SRecModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in (9, 3, 6, 2, 5)], num_items=30)
    torch.manual_seed(0)
    return CL4SRecModel(CL4SRecConfig(**{**TINY, **settings}), data)


def state(made: CL4SRecModel, row: list[int]) -> torch.Tensor:
    """The last place's, of one row alone."""
    table = made.encoder.item_embedding.weight
    vectors = torch.stack([made.mask_token if item == MASK else table[item] for item in row])
    return made.encoder.through_layers(vectors[None], None)[0, -1]


def test_the_contrast_is_the_papers_equation() -> None:
    made = make(lambda_cl=0.5, temperature=2.0)
    views = [[1, 2, 3], [4, MASK], [5], [2, 1, 3], [6, 4, 7], [MASK]]
    batch = Views(as_queries([[1, 2, 3], [6, 4], [5, 8]]), as_queries(views), (0, 3))
    states = [state(made, row) for row in views]
    terms = []
    for view in range(6):
        positive = (view + 3) % 6
        others = torch.stack([states[view] @ states[other] / 2.0 for other in range(6) if other != view])
        terms.append(torch.logsumexp(others, dim=0) - states[view] @ states[positive] / 2.0)
    losses = made.loss(batch)
    torch.testing.assert_close(losses["contrast"], 0.5 * torch.stack(terms).mean())


def test_cosines_have_no_length() -> None:
    made = make(similarity="cosine", lambda_cl=1.0)
    views = [[1, 2], [4], [2], [6, 4]]
    batch = Views(as_queries([[1, 2], [6, 4]]), as_queries(views), (0, 2))
    states = F.normalize(torch.stack([state(made, row) for row in views]), dim=-1)
    similarity = (states @ states.T).fill_diagonal_(-torch.inf)
    expected = F.cross_entropy(similarity, torch.tensor([2, 3, 0, 1]))
    torch.testing.assert_close(made.loss(batch)["contrast"], expected)


def test_without_a_weight_it_is_sasrec() -> None:
    made = make(lambda_cl=0.0)
    (first, *_) = made.batches(0, np.random.default_rng(0))
    assert set(made.loss(first)) == {"next"}
    assert not made.mask_token.requires_grad


def test_views_follow_from_the_epochs_generator_and_fit_the_encoder() -> None:
    made = make()
    epochs = [list(made.batches(0, np.random.default_rng(seed))) for seed in (1, 1, 2)]
    for one, same in zip(epochs[0], epochs[1], strict=True):
        assert np.array_equal(one.views.items, same.views.items)
        assert len(one.views) == 2 * len(one.windows)
        assert np.diff(one.views.offsets).max() <= 6
    assert any(
        not np.array_equal(one.views.items, other.views.items) for one, other in zip(epochs[0], epochs[2], strict=True)
    )
