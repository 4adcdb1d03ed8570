from __future__ import annotations

from typing import Any

import numpy as np
import torch
from by_hand import search_data
from method_cases import as_queries

from trials.zesrec import ZESRecConfig
from trials.zesrec.model import ZESRecModel

TINY: dict[str, Any] = {"max_length": 4, "embedding_size": 6, "hidden_size": 8, "batch_size": 3, "dropout": 0.0}
ROWS = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11]]


def make(**settings: Any) -> ZESRecModel:
    torch.manual_seed(0)
    texts = np.random.default_rng(0).standard_normal((20, 10)).astype(np.float32)
    return ZESRecModel(ZESRecConfig(**{**TINY, **settings}), search_data([range(5), range(7, 11)], 20), texts)


def test_users_read_texts_alone_and_items_deviate_from_theirs() -> None:
    made = make().eval()
    encoder = made.encoder
    assert encoder.deviation_ND is not None
    torch.nn.init.normal_(encoder.deviation_ND)
    z = encoder.item_network(encoder.texts_NW)
    user = encoder.dense(encoder.user_network(z[[3, 5]][None])[0])[0, -1]
    torch.testing.assert_close(made.scores(as_queries([[3, 5]]))[0], (z + encoder.deviation_ND) @ user)


def test_the_prior_is_a_targets_part_of_it() -> None:
    made = make(item_precision=4.0)
    assert made.loss(as_queries(ROWS))["prior"] == 0
    assert made.encoder.deviation_ND is not None
    torch.nn.init.ones_(made.encoder.deviation_ND)
    torch.testing.assert_close(made.loss(as_queries(ROWS))["prior"], torch.tensor(4.0 / 2 * 20 * 6 / 7))


def test_without_deviations_items_with_one_text_have_one_score() -> None:
    made = make(item_precision=None).eval()
    assert set(made.loss(as_queries(ROWS))) == {"next"}
    made.encoder.texts_NW[4] = made.encoder.texts_NW[9]
    scores = made.scores(as_queries([[1, 2]]))[0]
    assert scores[4] == scores[9]
