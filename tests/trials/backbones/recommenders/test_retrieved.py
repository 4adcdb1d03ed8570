from __future__ import annotations

from typing import Any

import torch
from by_hand import search_data
from method_cases import as_queries

from trials.backbones.recommenders.retrieved import among_retrieved, examples_of, with_first
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.training.measures.best_items import NO_ITEM

HISTORIES = [[1, 2, 3, 4, 5], [1, 2], [9, 10, 11], [7]]


def retriever() -> SASRecEncoder:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "hidden_size": 8, "inner_size": 8, "dropout": 0.0}
    encoder = SASRecEncoder(20, max_length=10, **sizes).eval()
    torch.nn.init.normal_(encoder.item_embedding.weight)
    return encoder


def test_targets_have_all_that_came_before_them() -> None:
    found = examples_of(search_data(HISTORIES, 20), 2)
    pairs = [(found.histories.row(e).tolist(), found.targets_E[e]) for e in range(len(found))]
    assert pairs == [([1, 2, 3], 4), ([1, 2, 3, 4], 5), ([1], 2), ([9], 10), ([9, 10], 11)]
    assert found.places_E.tolist() == [3, 4, 6, 8, 9]
    assert len(examples_of(search_data(HISTORIES, 20), None)) == 4 + 1 + 2


def test_retrieved_candidates_are_the_retrievers_best_and_hold_the_target() -> None:
    every, encoder = examples_of(search_data(HISTORIES, 20), None), retriever()
    found = among_retrieved(every, encoder, 8, rank_met=False)
    assert found.candidates_EK is not None
    kept = 0
    for e in range(len(every)):
        history = every.histories.row(e)
        scores = encoder.item_scores(encoder.encode(as_queries([history])))[0].detach()
        scores[torch.from_numpy(history)] = -torch.inf
        best = scores.argsort(descending=True)[:8].tolist()
        if every.targets_E[e] in best:
            assert found.candidates_EK[kept].tolist() == best
            assert found.targets_E[kept] == every.targets_E[e]
            kept += 1
    assert kept == len(found) > 0


def test_what_is_ranked_anew_comes_first_and_the_rest_stays() -> None:
    scores = torch.tensor([[5.0, 4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0, 5.0]])
    candidates = torch.tensor([[0, 1, 2], [4, 3, NO_ITEM]])
    found = with_first(scores, candidates, torch.tensor([[-1.0, 7.0, 0.0], [2.0, 2.5, -9.0]]))
    assert found.tolist() == [[3.0, 11.0, 4.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.5, 4.0]]
