from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import as_queries
from torch.nn import functional as F

from trials.data.preparing.dataset import SearchData
from trials.promptbert.contrast import contrast
from trials.promptbert.segments import SharedBatch
from trials.promptbert.shared import FRAME_SHARE, asking, sight

VARIANTS = ["full", "without-moe", "without-short", "without-long", "backbone"]
FORM: dict[str, Any] = {"num_layers": 2, "statement_layers": 1, "max_tokens": 8, "condition_states": "whiten"}


@pytest.fixture
def make(make_model: Callable[..., Any]) -> Callable[..., Any]:
    return lambda **settings: make_model(**{**FORM, **settings})


def a_batch(model: Any, seed: int = 0) -> SharedBatch:
    found: SharedBatch = next(iter(model.batches(0, np.random.default_rng(seed))))
    return found


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_mask_in_a_shared_prompt_has_the_state_of_its_history_alone(
    make: Callable[..., Any], variant: str, joined: bool
) -> None:
    """So nothing that comes later is read, the title asked for least of all, and training asks as evaluation does."""
    model = make(variant=variant, join_statements=joined, centre_gate=variant != "without-moe").eval()
    batch = a_batch(model)
    with torch.inference_mode():
        states = model.states(batch)[0]
        for b, t in np.argwhere(batch.asked_BT):
            alone = model.answers([batch.items_BL[b, : batch.read_BT[b, t]]])[0]
            torch.testing.assert_close(states[b, t], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("residual_of", ["mixture", "encoder"])
@pytest.mark.parametrize("joined", [False, True])
def test_states_follow_the_equations(make: Callable[..., Any], residual_of: str, joined: bool) -> None:
    """One history, token by token: places, sight, the gate of each token's own [CLS], GRU, attention and fusion."""
    model = make(residual_of=residual_of, join_statements=joined, top_k=2, item_bias="popularity").eval()
    history = np.array([5, 3, 9])
    with torch.inference_mode():
        s = model.titles[history]
        cls = [model.cls * FRAME_SHARE + s[:n].sum(0) / max(n, 1) if joined else model.cls for n in range(4)]
        mask = model.mask * FRAME_SHARE + s[-1] if joined else model.mask
        tokens = torch.stack([*(s + model.positions[1:4]), *(c + model.positions[0] for c in cls)])
        tokens = torch.cat([tokens, (mask + model.positions[4])[None]])[None]
        reads = [{0, 3}, {0, 1, 3}, {0, 1, 2, 3}, {3}, {0, 3, 4}, {0, 1, 3, 5}, {0, 1, 2, 3, 6}, {0, 1, 2, 3, 7}]
        seen = torch.tensor([[0.0 if key in read else -1e30 for key in range(8)] for read in reads])
        for layer in model.layers:
            tokens = layer(tokens, seen[None, None])
        h, h_cls, h_mask = tokens[0, :3], tokens[0, 4:7], tokens[0, 7]

        def mixed(state: torch.Tensor, own_cls: torch.Tensor) -> torch.Tensor:
            p = torch.softmax(model.moe.gate(own_cls), 0)
            return sum(p[e] * model.moe.experts[e](state) for e in p.topk(2).indices.tolist())  # type: ignore[return-value]

        z = torch.stack([*(mixed(h[t], h_cls[t]) for t in range(3)), mixed(h_mask, h_cls[2])])
        valid, place = torch.ones(1, 4, dtype=torch.bool), torch.tensor([[3]])
        branches = [z[None, 3:], model.short(z[None], valid, place), h_cls[None, 2:3]]
        main = h_mask[None, None] if residual_of == "encoder" else z[None, 3:]
        state = model.transform(model.fusion(branches, main)[0])[0, 0]
        torch.testing.assert_close(model.answers([history])[0], state, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.scores(as_queries([[5, 3, 9]]))[0], model.head(state[None])[0])


def test_each_token_reads_what_the_module_says() -> None:
    found = sight(2, torch.tensor([[2, 0]]), torch.float32)[0, 0] == 0
    #           s1 s2 c0 c1 c2 m2 m0
    expected = [
        [1, 0, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 0, 0],
        [1, 0, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 1, 0, 0],
        [1, 1, 1, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0, 1],
    ]
    assert found.int().tolist() == expected


def test_scores_do_not_depend_on_the_batch_and_read_the_latest(make: Callable[..., Any]) -> None:
    model = make(join_statements=True).eval()
    histories = [[1, 2, 3], [], [4], [7, 8, 9, 1, 2, 3, 4, 5], [3, 2]]
    with torch.inference_mode():
        together = model.scores(as_queries(histories))
        assert together.shape == (5, 30)
        assert together.isfinite().all()
        for b, history in enumerate(histories):
            latest = history[-6:]  # of 8 tokens one is the first [CLS], one [MASK]
            torch.testing.assert_close(model.scores(as_queries([latest]))[0], together[b], rtol=1e-4, atol=1e-5)


def test_losses_are_smoothed_cross_entropy_and_the_weighted_contrast(make: Callable[..., Any]) -> None:
    settings = {"label_smoothing": 0.2, "contrast_weight": 0.3, "contrast_window": 2, "contrast_group": 2}
    model = make(**settings).eval()
    batch = a_batch(model)
    found = model.loss(batch)
    states, z = model.states(batch)
    logs = F.log_softmax(model.head(states), dim=-1)
    slow = [-0.8 * logs[b, t, batch.targets_BT[b, t]] - 0.2 * logs[b, t].mean() for b, t in np.argwhere(batch.asked_BT)]
    torch.testing.assert_close(found["next"], torch.stack(slow).mean())
    expected = contrast(z, batch.lengths_B, batch.users_B, window=2, temperature=0.1, group=2)
    torch.testing.assert_close(found["contrast"], 0.3 * expected)
    assert set(make(contrast=False).loss(batch)) == {"next"}


def test_workers_take_whole_groups_and_weigh_their_masks(make: Callable[..., Any]) -> None:
    model = make(contrast_group=2, contrast_window=2, contrast_weight=0.3).eval()
    batch = a_batch(model)
    whole = model.loss(batch)
    for workers in (1, 2, 3):
        parts = [model.share(batch, rank, workers) for rank in range(workers)]
        for name in ("next", "contrast"):
            assert sum(weights[name] for _, weights in parts) == pytest.approx(1)
            total = sum(
                float(model.loss(part)[name].detach()) * weights[name] for part, weights in parts if weights[name]
            )
            assert total == pytest.approx(float(whole[name].detach()), rel=1e-4)


def test_before_training_gate_head_and_vectors_fit_the_data(make: Callable[..., Any], data: SearchData) -> None:
    model = make(centre_gate=True, item_bias="popularity").eval()
    assert torch.equal(model.titles, make().titles)
    with torch.inference_mode():
        alone = model.answers([np.array([n]) for n in range(30)])
        torch.testing.assert_close(
            F.normalize(model.head.condition(alone), dim=-1), F.normalize(model.head.vectors, dim=-1)
        )
        histories = [data.history(u)[-6:] for u in range(8) if len(data.history(u)) > 1]
        gate = torch.stack([model.moe.gate(model.encode(asking([h]))[1][0, -1]) for h in histories])
    plain = make()
    assert plain.moe.gate.bias is None
    assert gate.mean(0).abs().max() < gate.std(0).max()
    assert torch.equal(make(condition_states="none").head.whitening_DD, torch.eye(32))


def test_rates_of_layers_and_titles_differ_where_set(make: Callable[..., Any]) -> None:
    assert make().rate_factors() == {}
    model = make(encoder_rate=0.3, title_rate=2.0, router_rate=0.1, centre_gate=True)
    factors = model.rate_factors()
    assert factors.pop("titles") == 2.0
    routers = {name for name, factor in factors.items() if factor == 0.1}
    mlp = {f"fusion.scorer.{part}" for part in ("0.weight", "0.bias", "2.weight", "2.bias")}
    assert routers == {"moe.gate.weight", "moe.gate.bias"} | mlp
    layers = {name for name, factor in factors.items() if factor == 0.3}
    assert layers == {name for name, _ in model.named_parameters() if name.startswith("layers.")}
    assert layers | routers == set(factors)


def test_a_few_steps_learn_and_leave_what_was_read_alone(make: Callable[..., Any]) -> None:
    model, other = make(join_statements=True, learning_rate=0.01), make()
    before = other.titles.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for step in range(15):
        loss = sum(model.loss(a_batch(model, step)).values())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[union-attr]
        assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
        losses.append(float(loss.detach()))  # type: ignore[union-attr]
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.3
    assert torch.equal(make().titles, before)


def test_diagnostics_are_the_mean_weights_of_the_last_evaluation(make: Callable[..., Any]) -> None:
    model = make(top_k=1).eval()
    model.start_evaluation()
    assert model.diagnostics() == {}
    with torch.inference_mode():
        model.scores(as_queries([[1], [2, 3], [4]]))
    found = model.diagnostics()
    assert set(found) == {f"gate/expert{e}" for e in (1, 2, 3)} | {f"fusion/{m}" for m in ("moe", "short", "long")}
    assert sum(value for name, value in found.items() if name.startswith("fusion/")) == pytest.approx(1, abs=1e-5)
    assert 1 / 3 <= sum(value for name, value in found.items() if name.startswith("gate/")) < 1
