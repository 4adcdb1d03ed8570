"""Users that were not in training, and the batches of pairs; `tests/trials/nn/test_cf.py` has the models."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries

from trials.backbones.recommenders.collaborative import CollaborativeModel
from trials.backbones.recommenders.settings import PairSettings
from trials.nn.cf import make_cf_model

HISTORIES = [[0, 1, 2], [2, 3], [2, 1, 4]]


def make(name: str, *, learnt: bool = False, num_items: int = 7) -> CollaborativeModel:
    torch.manual_seed(0)
    model = make_cf_model(name, 3, num_items, 4)  # type: ignore[arg-type]
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    data, settings = search_data(HISTORIES, num_items), PairSettings(batch_size=3, negatives=2)
    return CollaborativeModel(model, data, settings, learnt=learnt).eval()


@pytest.mark.parametrize("name", ["mf", "ncf"])
@torch.no_grad()
def test_a_known_user_is_scored_by_its_own_vector_and_a_stranger_by_those_who_met_its_items(name: str) -> None:
    made = make(name)
    made.start_evaluation()
    found_BN = made.scores(as_queries([[0, 1, 2], [3, 2], [], [5, 3]], [2, -1, -1, -1]))
    cf = made.model
    torch.testing.assert_close(found_BN[0], cf.scores(torch.tensor([2]), torch.arange(7)[None])[0])
    users_UW = cf.all_user_vectors()
    everybody = users_UW.mean(dim=0)
    met_2, met_3 = everybody, users_UW[1]  # all three met item 2, the second alone met item 3, nobody met item 5
    strangers = torch.stack([(met_3 + met_2) / 2, everybody, (everybody + met_3) / 2])
    torch.testing.assert_close(found_BN[1:], cf.all_scores(strangers))


@torch.no_grad()
def test_what_stands_for_strangers_travels_with_the_weights() -> None:
    made, served = make("ncf"), make("ncf", learnt=True)
    made.start_evaluation()
    served.load_state_dict(made.state_dict())
    served.start_evaluation()
    asked = as_queries([[3], [1, 2]], [-1, -1])
    assert torch.equal(made.scores(asked), served.scores(asked))


def test_an_epoch_is_every_interaction_once() -> None:
    made = make("mf")
    batches = list(made.batches(0, np.random.default_rng(0)))
    assert len(batches) == made.num_batches() == 3
    seen = sorted((int(u), int(i)) for b in batches for u, i in zip(b.users_P, b.items_P, strict=True))
    assert seen == sorted((u, i) for u, history in enumerate(HISTORIES) for i in history)
    assert all(b.negatives_PK.shape[1] == 2 for b in batches)
