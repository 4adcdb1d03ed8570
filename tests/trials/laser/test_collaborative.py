"""Collaborative embeddings: the recommender's own states, frozen, carried in the model, never blurred."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trials.data.preparing.dataset import Queries
from trials.laser.collaborative import Collaborator


@pytest.mark.parametrize("name", ["bert4rec", "sasrec"])
def test_states_of_the_sequence_and_of_the_item_alone(make_model: Any, name: str) -> None:
    collaborator: Collaborator = make_model(id_recommender=name).collaborator.train()
    histories = [np.array([3, 1, 2]), np.array([1])]
    c_BPC, valid_BP = collaborator(histories)
    assert valid_BP.tolist() == [[True, True, True], [True, False, False]]
    assert c_BPC.shape == (2, 3, collaborator.width)
    assert c_BPC[1, 1:].abs().sum() == 0
    for b, items in enumerate(histories):
        queries = Queries(np.array([-1]), items, np.array([0, len(items)]))
        states, _ = collaborator.encoder.states(queries)
        torch.testing.assert_close(c_BPC[b, : len(items)], states[0], rtol=1e-4, atol=1e-5)
    # The same item in a sequence and alone: states and not rows of the item table.
    assert not torch.allclose(c_BPC[0, 1], c_BPC[1, 0])


def test_it_is_frozen_and_carried(make_model: Any) -> None:
    model = make_model()
    assert not [name for name, _ in model.named_parameters() if name.startswith("collaborator")]
    assert "collaborator.encoder.item_embedding.weight" in model.state_dict()
    assert make_model().collaborator.encoder is not model.collaborator.encoder


def test_silence_is_zero_and_an_empty_history_refused(make_model: Any) -> None:
    collaborator: Collaborator = make_model().collaborator
    with pytest.raises(ValueError, match="a history is empty"):
        collaborator([np.array([1]), np.array([], dtype=np.int64)])
    collaborator.silent = True
    c_BPC, valid_BP = collaborator([np.array([1, 2])])
    assert c_BPC.abs().sum() == 0
    assert valid_BP.all()
