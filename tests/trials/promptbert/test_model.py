from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import as_queries
from torch.nn import functional as F

from trials.data.preparing.dataset import Queries, SearchData
from trials.promptbert.contrast import contrast
from trials.promptbert.windows import Batch

VARIANTS = ["full", "without-moe", "without-short", "without-long", "backbone"]


def queries(histories: list[list[int]], ratings: list[list[float]] | None = None) -> Queries:
    said = None if ratings is None else np.array([r for row in ratings for r in row], dtype=np.float32)
    return replace(as_queries(histories), ratings=said)


def scores(model: Any, asked: Queries) -> torch.Tensor:
    model.eval()
    with torch.inference_mode():
        found: torch.Tensor = model.scores(asked)
    return found


def a_batch(model: Any) -> Batch:
    found: Batch = next(iter(model.batches(0, np.random.default_rng(0))))
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_states_follow_the_equations(make_model: Callable[..., Any], variant: str) -> None:
    """One prompt at a time without padding, every branch at every place, then read at [MASK]."""
    model = make_model(variant=variant, top_k=2).eval()
    batch = a_batch(model)
    with torch.inference_mode():
        found, moe = model.states(batch.prompts)
        for b, length in enumerate(batch.prompts.lengths_B.tolist()):
            ids = torch.from_numpy(batch.prompts.ids_BL[b : b + 1, :length])
            h = model.encoder(inputs_embeds=model.embedding[ids]).last_hidden_state
            state = h
            if variant != "backbone":
                every = torch.arange(length).unsqueeze(0)
                main = model.moe(h)[0] if variant != "without-moe" else h
                branches = {
                    "moe": main,
                    "short": model.short(main, torch.ones(1, length, dtype=torch.bool), every) if model.short else None,
                    "long": h[:, :1].expand(-1, length, -1),
                }
                state, _ = model.fusion([branches[name] for name in model.branches], main)
                if model.moe is not None:
                    torch.testing.assert_close(moe[b, :length], main[0], rtol=1e-4, atol=1e-5)
            state = model.transform(state)
            mask = length - 3  # [MASK] . [SEP]
            torch.testing.assert_close(found[b], state[0, mask], rtol=1e-4, atol=1e-5)


def test_bfloat16_changes_little_and_trains(make_model: Callable[..., Any]) -> None:
    whole, half = make_model().eval(), make_model(precision="bfloat16").eval()
    batch = a_batch(whole)
    with torch.inference_mode():
        (expected, _), (found, _) = whole.states(batch.prompts), half.states(batch.prompts)
    assert found.dtype == torch.float32
    assert float((found - expected).abs().mean()) < 0.05 * float(expected.abs().mean())
    sum(half.loss(batch).values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in half.parameters())


def test_a_variant_has_the_modules_of_its_row_and_no_other(make_model: Callable[..., Any]) -> None:
    have = {}
    for variant in VARIANTS:
        model = make_model(variant=variant)
        have[variant] = [name for name in ("moe", "short", "fusion") if getattr(model, name) is not None]
        assert ("contrast" in model.loss(a_batch(model))) == (model.moe is not None)
    assert have == {
        "full": ["moe", "short", "fusion"],
        "without-moe": ["short", "fusion"],
        "without-short": ["moe", "fusion"],
        "without-long": ["moe", "short", "fusion"],
        "backbone": [],
    }
    assert [len(make_model(variant=v).branches) for v in VARIANTS] == [3, 2, 2, 2, 0]


def test_losses_are_cross_entropy_among_title_tokens_and_the_weighted_contrast(make_model: Callable[..., Any]) -> None:
    model = make_model(contrast_weight=0.3, contrast_window=8, contrast_group=3).eval()
    batch = a_batch(model)
    found = model.loss(batch)
    states, moe = model.states(batch.prompts)
    logits = states @ model.embedding[model.tokens.num_words :].T + model.item_bias
    assert logits.shape == (len(batch.users_B), 30)
    torch.testing.assert_close(found["next"], F.cross_entropy(logits, torch.from_numpy(batch.targets_B)))
    expected = contrast(
        moe, batch.prompts.lengths_B, batch.users_B, window=8, temperature=0.1, group=3, similarity="inner"
    )
    torch.testing.assert_close(found["contrast"], 0.3 * expected)
    assert set(make_model(contrast=False).loss(batch)) == {"next"}
    assert set(make_model(contrast_weight=0.0).loss(batch)) == {"next"}


def test_the_transform_of_the_masked_lm_head_is_used_where_there_is_one(make_model: Callable[..., Any]) -> None:
    with_head, without = make_model(), make_model(backbone="random-minilm")
    assert without.transform is None
    batch = a_batch(without)
    assert without.states(batch.prompts)[0].shape == (4, 32)
    before = with_head.states(batch.prompts)[0].detach()
    torch.nn.init.zeros_(with_head.transform.dense.weight)
    assert not torch.allclose(before, with_head.states(batch.prompts)[0].detach())


def test_title_tokens_are_read_and_scored_by_one_table(make_model: Callable[..., Any]) -> None:
    model = make_model()
    model.loss(a_batch(model))["next"].backward()
    gradient = model.embedding.grad
    assert bool((gradient[model.tokens.num_words :] != 0).any(1).all())  # every title by the softmax
    assert bool((gradient[: model.tokens.num_words] != 0).any())


@pytest.mark.parametrize("backbone", ["random-bert", "random-roberta", "random-distilbert", "random-modernbert"])
def test_scores_do_not_depend_on_the_batch(make_model: Callable[..., Any], data: SearchData, backbone: str) -> None:
    model = make_model(backbone=backbone)
    histories = [data.history(u).tolist() for u in (7, 1, 5, 3)] + [[]]
    ratings = [[4.0] * len(history) for history in histories]
    together = scores(model, queries(histories, ratings))
    assert together.shape == (5, 30)
    for b, (history, said) in enumerate(zip(histories, ratings, strict=True)):
        alone = scores(model, queries([history], [said]))[0]
        torch.testing.assert_close(alone, together[b], rtol=1e-4, atol=1e-5)


def test_scores_are_made_in_chunks(make_model: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    rng = np.random.default_rng(0)
    asked = queries([rng.integers(30, size=n).tolist() for n in (3, 0, 9, 1, 2, 30, 4)])
    whole = scores(model, asked)
    monkeypatch.setattr("trials.promptbert.model._EVAL_TOKENS", 60)
    torch.testing.assert_close(scores(model, asked), whole, rtol=1e-4, atol=1e-5)


def test_only_what_fits_is_read_and_ratings_are(make_model: Callable[..., Any]) -> None:
    model = make_model(max_tokens=60)
    recent = [5, 6, 7]
    one = scores(model, queries([[1, 2, 3, 4, *recent]]))
    assert torch.equal(one, scores(model, queries([[9, 8, 3, 4, *recent]])))
    rated = [scores(model, queries([recent], [[rating] * 3])) for rating in (1.0, 5.0)]
    assert not torch.allclose(rated[0], rated[1])
    never = make_model(unrated_share=1.0)
    assert torch.equal(*(scores(never, queries([recent], [[rating] * 3])) for rating in (1.0, 5.0)))


def test_diagnostics_are_the_mean_weights_of_the_last_evaluation(make_model: Callable[..., Any]) -> None:
    model = make_model(top_k=1)
    model.start_evaluation()
    assert model.diagnostics() == {}
    scores(model, queries([[1], [2, 3], [4]]))
    found = model.diagnostics()
    assert set(found) == {f"gate/expert{e}" for e in (1, 2, 3)} | {f"fusion/{m}" for m in ("moe", "short", "long")}
    assert sum(value for name, value in found.items() if name.startswith("fusion/")) == pytest.approx(1, abs=1e-5)
    assert 1 / 3 <= sum(value for name, value in found.items() if name.startswith("gate/")) < 1
    model.start_evaluation()
    assert model.diagnostics() == {}


def test_the_original_backbone_stays_as_it_was(make_model: Callable[..., Any]) -> None:
    one, other = make_model(), make_model()
    before = {name: p.detach().clone() for name, p in other.named_parameters()}
    optimizer = torch.optim.AdamW(one.parameters(), lr=0.1)
    sum(one.loss(a_batch(one)).values()).backward()
    optimizer.step()
    assert all(torch.equal(p, before[name]) for name, p in other.named_parameters())
    assert all(torch.equal(p, before[name]) for name, p in make_model().named_parameters())


@pytest.mark.parametrize("group", [1, 2, 3])
def test_workers_take_whole_groups(make_model: Callable[..., Any], group: int) -> None:
    model = make_model(contrast_group=group, contrast_window=8)
    batch = a_batch(model)
    for workers in (1, 2, 3, 7):
        parts = [model.share(batch, rank, workers) for rank in range(workers)]
        taken = [part.users_B.tolist() for part, weights in parts if weights["next"] > 0]
        assert [user for users in taken for user in users] == batch.users_B.tolist()
        assert all(len(users) % group == 0 for users in taken[:-1])
        for name in ("next", "contrast"):
            assert sum(weights[name] for _, weights in parts) == pytest.approx(1)
