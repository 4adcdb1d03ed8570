from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from method_cases import as_queries
from pydantic import ValidationError

from trials.backbones.recommenders.retrieved import retrieve
from trials.rearank import RearankConfig
from trials.rearank.batch import Shown
from trials.rearank.model import RearankModel, window_starts
from trials.training.measures.best_items import NO_ITEM

Make = Callable[..., RearankModel]


@pytest.mark.parametrize("rank_met", [True, False])
def test_the_top_is_in_the_models_order_and_the_rest_as_the_retriever_has_it(make: Make, rank_met: bool) -> None:
    made = make(rank_met=rank_met, num_candidates=6)
    history = [3, 5, 7, 8, 9]
    with torch.inference_mode():
        found = made.scores(as_queries([history]))[0]
    before, candidates = retrieve(made.retriever, as_queries([history]), 6, rank_met=rank_met)
    shown = Shown([np.array([7, 8, 9])], None, candidates.numpy())
    order = made.reordered(shown)[0]
    assert sorted(order.tolist()) == sorted(candidates[0].tolist()) != order.tolist()
    assert rank_met or not set(order.tolist()) & set(history)
    top = found[torch.from_numpy(order)]
    torch.testing.assert_close(top, before[0][candidates[0]].min() + torch.arange(5.0, -1.0, -1.0))
    rest = torch.ones(20, dtype=torch.bool)
    rest[candidates[0]] = False
    assert torch.equal(found[rest], before[0][rest])


def test_windows_go_from_the_end_to_the_top_and_carry_the_best_along(make: Make) -> None:
    made = make(num_candidates=8, listing="first")
    shown = Shown([np.array([1, 2])], None, np.array([[4, 5, 6, 8, 3, 9, 2, NO_ITEM]]))
    expected = shown.candidates_BK[0].copy()
    for start in (4, 2, 0):
        part = replace(shown, candidates_BK=expected[None, start : start + 4].copy())
        orders = made.policy.write(made._prompted(part), 4).orders_RK[0]
        expected[start : start + 4] = expected[start : start + 4][orders]
    assert made.reordered(shown)[0].tolist() == expected.tolist()
    assert expected[-1] == NO_ITEM
    for count, window, step in [(50, 20, 10), (25, 20, 10), (8, 20, 10), (7, 3, 3)]:
        starts = window_starts(count, window, step)
        assert starts[-1] == 0
        assert {place for start in starts for place in range(start, start + window)} >= set(range(count))


def test_one_candidate_is_left_alone_and_none_is_no_prompt(make: Make) -> None:
    made = make()
    shown = Shown([np.array([1])] * 2, None, np.array([[4, NO_ITEM, NO_ITEM, NO_ITEM], [NO_ITEM] * 4]))
    assert made.reordered(shown).tolist() == shown.candidates_BK.tolist()


def test_training_shows_the_target_among_some_of_the_list_in_its_order(make: Make) -> None:
    made = make(num_candidates=12)
    examples = made._examples
    assert examples is not None
    assert examples.candidates_EK is not None
    seen = set()
    for draw in range(20):
        rows = np.arange(len(examples))
        shown, targets_B = made.examples(rows, np.random.default_rng(draw))
        assert shown.candidates_BK.shape == (len(rows), 4)
        for e, (window, target) in enumerate(zip(shown.candidates_BK.tolist(), targets_B, strict=True)):
            assert window[target] == examples.targets_E[e]
            places = [examples.candidates_EK[e].tolist().index(item) for item in window]
            assert places == sorted(places)
        seen.add(tuple(shown.candidates_BK[0].tolist()))
    assert len(seen) > 5
    assert shown.requests == [f"film {place}" for place in examples.places_E]


def test_answers_drawn_by_one_policy_are_learnt_from_in_several_steps(make: Make) -> None:
    made = make(num_candidates=12, batch_size=2, rollout_batches=2)
    rng = np.random.default_rng(0)
    batches = list(made.batches(0, rng))
    assert len(batches) == made.num_batches() > 1
    assert sum(len(batch.missed_B) for batch in batches) == len(made._examples or ())
    for batch in batches:
        log_RM = made.policy.log_probs(made._prompted(batch.shown), batch.answers)
        torch.testing.assert_close(log_RM, batch.old_RM, rtol=1e-4, atol=1e-5)
        assert len(batch.answers) == 3 * len(batch.missed_B)
    made.loss(batches[0])["policy"].backward()
    assert {name for name, p in made.named_parameters() if p.grad is not None and p.grad.any()}


@torch.inference_mode()
def test_a_request_is_read_unless_the_history_alone_counts(make: Make) -> None:
    queries = as_queries([[1, 2, 3]] * 20)
    told = replace(queries, requests=["", *(f"film {n} film {n} red red" for n in range(19))])
    for request, differ in (("auto", True), ("history", False)):
        made = make(request=request, num_candidates=12)
        found, plain = made.scores(told), made.scores(queries)
        assert bool((found[1:] != plain[1:]).any()) == differ
        assert torch.equal(found[0], plain[0])


def test_without_training_it_reorders_all_the_same(make: Make) -> None:
    made = make(rank=0)
    assert [name for name, p in made.named_parameters() if p.requires_grad] == []
    with torch.inference_mode():
        assert made.scores(as_queries([[1, 2]])).isfinite().all()


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="targets_per_user must be a number with training_candidates=held-out"):
        RearankConfig(training_candidates="held-out")
    with pytest.raises(ValidationError, match="step must not exceed window, got step=6, window=5"):
        RearankConfig(window=5, step=6)
    with pytest.raises(ValidationError, match="item_layers must be 0 with listing=written, reasoning_tokens=5, got 2"):
        RearankConfig(item_layers=2, reasoning_tokens=5)
    with pytest.raises(ValidationError, match="item_layers must be 0 with request=data, got 2"):
        RearankConfig(item_layers=2, listing="first", request="data")
    with pytest.raises(ValidationError, match="verbaliser must not be titles with listing=written"):
        RearankConfig(verbaliser="titles")
