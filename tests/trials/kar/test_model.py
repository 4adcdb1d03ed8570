from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from trials.kar import KARConfig
from trials.kar.adaptor import Experts, HybridExpertAdaptor
from trials.kar.model import FACTUAL, PREFERENCE, KARModel

TINY: dict[str, Any] = {"max_length": 4, "hidden_size": 8, "inner_size": 8, "batch_size": 3, "dropout": 0.0}
TINY |= {"shared_experts": 2, "own_experts": 1, "expert_width": 6, "knowledge_width": 5}


def make(**settings: Any) -> KARModel:
    texts = np.random.default_rng(0).standard_normal((20, 10)).astype(np.float32)
    torch.manual_seed(0)
    return KARModel(KARConfig(**{**TINY, **settings}), search_data([[1, 2, 3, 4, 5], [6, 7]], 20), texts)


def by_hand(experts: Experts, text: Tensor, g: int) -> Tensor:
    inner = experts.second_GHV.shape[1]
    rows = slice(g * inner, (g + 1) * inner)
    hidden = F.relu(experts.first.weight[rows] @ text + experts.first.bias[rows])
    return F.relu(hidden @ experts.second_GHV[g] + experts.bias_GV[g])


def test_experts_of_a_kind_and_shared_ones_are_mixed_by_the_kinds_gate() -> None:
    torch.manual_seed(0)
    adaptor = HybridExpertAdaptor([PREFERENCE, FACTUAL], 7, 2, 3, 6, 4, 0.0)
    texts = torch.randn(3, 7)
    assert adaptor.shared is not None
    for kind in (PREFERENCE, FACTUAL):
        found = adaptor(texts, kind)
        for text, vector in zip(texts, found, strict=True):
            weights = torch.softmax(adaptor.gates[kind](text), dim=0)
            made = [by_hand(adaptor.shared, text, g) for g in range(2)]
            made += [by_hand(adaptor.own[kind], text, g) for g in range(3)]
            torch.testing.assert_close(vector, sum(w * one for w, one in zip(weights, made, strict=True)))
    adaptor(texts, PREFERENCE).sum().backward()
    assert adaptor.shared.second_GHV.grad is not None
    assert adaptor.own[FACTUAL].second_GHV.grad is None


def test_scores_are_those_of_augmented_states_and_augmented_items() -> None:
    made = make().eval()
    encoder, history = made.encoder, [3, 5, 9]
    join = {
        kind: lambda texts, kind=kind: encoder.joins[kind](encoder.adaptor(texts, kind))
        for kind in (PREFERENCE, FACTUAL)
    }
    items = encoder.backbone.item_embedding.weight + join[FACTUAL](encoder.texts_NW)
    state = encoder.backbone.through_layers(items[history][None], None)[0, -1]
    mean = encoder.texts_NW[history].mean(0, keepdim=True)
    state = state + encoder.joins[PREFERENCE](encoder.adaptor(mean, PREFERENCE))[0]
    torch.testing.assert_close(made.scores(as_queries([history]))[0], items @ state)


def test_an_evaluation_augments_the_items_once_and_scores_the_same() -> None:
    made, queries = make().eval(), as_queries([[3, 5, 9], [4]])
    before = made.scores(queries)
    made.start_evaluation()
    torch.testing.assert_close(made.scores(queries), before)
    with torch.no_grad():
        made.encoder.joins[FACTUAL].bias.add_(1.0)
    next(iter(made.batches(0, np.random.default_rng(0))))
    assert not torch.allclose(made.scores(queries), before)


def test_a_place_knows_of_nothing_that_comes_after_it() -> None:
    encoder = make().eval().encoder
    one, other = encoder(torch.tensor([[1, 2, 3, 4]])), encoder(torch.tensor([[1, 2, 3, 9]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.allclose(one[:, 3], other[:, 3])
    assert not torch.allclose(encoder.preferences(torch.tensor([[1, 2]])), encoder.preferences(torch.tensor([[8, 2]])))


@pytest.mark.parametrize("kind", [PREFERENCE, FACTUAL])
def test_either_kind_of_knowledge_can_be_left_out(kind: str) -> None:
    made = make(user_knowledge=kind == PREFERENCE, item_knowledge=kind == FACTUAL, own_experts=0)
    made.loss(as_queries([[1, 2, 3], [4, 5]]))["next"].backward()
    assert set(made.encoder.joins) == {kind}
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_settings_that_leave_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="shared_experts and own_experts must not both be 0"):
        KARConfig(shared_experts=0, own_experts=0)
    with pytest.raises(ValidationError, match="user_knowledge or item_knowledge must be true, got false for both"):
        KARConfig(user_knowledge=False, item_knowledge=False)
