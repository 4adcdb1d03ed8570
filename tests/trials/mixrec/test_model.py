"""What is MixRec's own: the gate and its load, variants, the CF switch. The rest is tested in `tests/trials/dual`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import shake
from torch import Tensor

from trials.data.preparing.dataset import Queries, SearchData
from trials.dual.layer import FrozenLayer, scenes
from trials.dual.model import DualModel
from trials.mixrec.config import MixRecConfig
from trials.nn.ragged import Ragged
from trials.nn.router import Router

BACKBONES = ["random-llama", "random-opt"]


@torch.inference_mode()
def scores(model: DualModel, queries: Queries) -> Tensor:
    model.eval()
    model.start_evaluation()
    return model.scores(queries)


def step(model: DualModel) -> dict[str, float]:
    """One step of training; the losses before it."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses = model.loss(next(model.batches(0, np.random.default_rng(0))))
    torch.stack(list(losses.values())).sum().backward()
    optimizer.step()
    return {name: value.item() for name, value in losses.items()}


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_gates_load_is_the_count_by_hand(make_model: Any, data: SearchData, backbone: str, hard: bool) -> None:
    model = make_model(backbone=backbone, hard_routing=hard)
    shake(model)
    seen: dict[int, list[tuple[Tensor, Tensor]]] = {0: [], 1: []}
    for k, layer in enumerate(model.dalayers()):
        torch.nn.init.normal_(layer.router.gate.weight, std=3)
        layer.router.register_forward_hook(lambda _, inputs, __, k=k: seen[k].append(inputs))
    scores(model, data.valid_queries())
    for k, layer in enumerate(model.dalayers()):
        logits = torch.cat([torch.cat(inputs, 1) for inputs in seen[k]]) @ layer.router.gate.weight.T
        # Let about half of the tokens go either way, and none so near to the border that rounding would send it.
        middle = (logits[:, 0] - logits[:, 1]).detach().sort().values[len(logits) // 3 : 2 * len(logits) // 3]
        widest = middle.diff().argmax()
        layer.router.gate.bias.data = torch.stack([torch.zeros(()), middle[widest : widest + 2].mean()])
        seen[k].clear()  # what the first round counted must not count now
    scores(model, data.valid_queries())
    expected: dict[str, float] = {}
    for k, layer in enumerate(model.dalayers()):
        gate = layer.router.gate
        load = weight = tokens = 0.0
        for q_SD, p_SD in seen[k]:
            for q, p in zip(q_SD, p_SD, strict=True):
                causal, context = torch.softmax(gate.weight @ torch.cat([q, p]) + gate.bias, 0).tolist()
                load += causal > context
                weight += (causal > context) if hard else causal
                tokens += 1
        expected |= {f"gate/layer{k}/causal_load": load / tokens, f"gate/layer{k}/causal_weight": weight / tokens}
    assert model.diagnostics() == pytest.approx(expected, abs=1e-5)
    assert 0 < expected["gate/layer0/causal_load"] < 1  # else nothing was shown


def test_only_variants_with_a_gate_report_its_load(make_model: Any, data: SearchData) -> None:
    for variant, composition in MixRecConfig.VARIANTS.items():
        model = make_model(variant=variant)
        assert model.diagnostics() == {}
        scores(model, data.valid_queries())
        assert bool(model.diagnostics()) == (composition.layers == "dual"), variant


def test_a_hard_gate_takes_the_likelier_expert_and_learns_like_the_mixture(make_model: Any) -> None:
    model = make_model(hard_routing=True)
    shake(model, 0.5)
    router = model.dalayers()[0].router
    assert isinstance(router, Router)
    torch.manual_seed(1)
    width = model.lm.hidden_size
    q, p, towards = (torch.randn(30, width) for _ in range(3))
    q.requires_grad_()
    mixed, _ = router(q, p)
    logits = torch.cat([q, p], 1) @ router.gate.weight.T + router.gate.bias
    first = logits.argmax(1) == 0
    assert 0 < first.sum() < len(first)
    torch.testing.assert_close(mixed, torch.where(first[:, None], q, p))
    (mixed * towards).sum().backward()
    with torch.no_grad():
        beta = torch.softmax(logits, 1)
        # dL/dβ1 = g · q and dL/dβ2 = g · p, both as the mixture has them, then through the softmax.
        slope = beta[:, 0] * beta[:, 1] * (towards * (q - p)).sum(1)
        by_logits = torch.stack([slope, -slope], 1)
        torch.testing.assert_close(router.gate.bias.grad, by_logits.sum(0), atol=1e-4, rtol=1e-4)
        expected = by_logits.T @ torch.cat([q, p], 1)
        torch.testing.assert_close(router.gate.weight.grad, expected, atol=1e-4, rtol=1e-4)
        # An expert hears of its own tokens directly, of the others through the gate alone.
        direct = torch.where(first[:, None], towards, torch.zeros(()))
        torch.testing.assert_close(q.grad, direct + by_logits @ router.gate.weight[:, :width], atol=1e-4, rtol=1e-4)


def test_the_gate_is_soft_by_default_and_hard_in_every_layer_when_told(make_model: Any) -> None:
    assert [layer.router.hard for layer in make_model().dalayers()] == [False, False]
    assert [layer.router.hard for layer in make_model(hard_routing=True).dalayers()] == [True, True]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_same_mask_is_two_experts_on_one_causal_attention(make_model: Any, backbone: str) -> None:
    """Layer by layer: the mixture of both adapters, each on the frozen layer's own attention."""
    model = make_model(variant="same-mask", backbone=backbone)
    shake(model, 0.3)
    assert model.cf is None
    tokens = model.sentences.sequences(Ragged.of([[2, 5, 9], [1]]), "cpu")
    h = torch.randn(len(tokens.ids_S), model.lm.hidden_size)
    for scene in scenes(tokens, model.lm.parts, "causal", None, "user"):
        assert scene.second is scene.causal
        for layer in model.dalayers():
            frozen = FrozenLayer(layer.parts)
            attention: list[Tensor] = []

            def mix(inner: Tensor, layer: Any = layer, attention: Any = attention) -> Tensor:
                attention.append(inner)
                q, p = layer.causal_adapter(inner), layer.context_adapter(inner)
                beta = torch.softmax(torch.cat([q, p], 1) @ layer.router.gate.weight.T + layer.router.gate.bias, 1)
                return beta[:, :1] * q + beta[:, 1:] * p

            frozen.relate = mix  # type: ignore[method-assign]
            frozen.recommend = layer.recommend_adapter.forward  # type: ignore[method-assign]
            torch.testing.assert_close(layer(h, scene), frozen(h, scene), atol=1e-5, rtol=1e-5)
            assert len(attention) == 1


def test_same_mask_with_equal_experts_needs_no_gate(make_model: Any, data: SearchData) -> None:
    model = make_model(variant="same-mask")
    shake(model)
    for layer in model.dalayers():
        layer.context_adapter.load_state_dict(layer.causal_adapter.state_dict())
    before = scores(model, data.valid_queries())
    for layer in model.dalayers():
        torch.nn.init.normal_(layer.router.gate.weight)
    torch.testing.assert_close(scores(model, data.valid_queries()), before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", ["mixrec", "same-mask-injected"])
def test_an_items_own_vector_reaches_its_own_tokens_and_what_comes_after(make_model: Any, variant: str) -> None:
    """The paper: user and item vectors both join a sequence. A later item's vector is out of sight."""
    model = make_model(variant=variant)
    shake(model)
    model.eval()

    def states() -> Tensor:
        tokens = model.sentences.sequences(Ragged.of([[2, 5, 9], [1]]), "cpu")
        with torch.no_grad():
            return model.hidden(tokens, model.cf.user_vectors(torch.tensor([3, 4])), "user")

    before = states()
    for table in (model.cf.items_gmf, model.cf.items_mlp):
        table.weight.data[5] += 1.0
    changed = (states() - before).abs().amax(1)
    assert changed[0] == changed[3] == 0
    assert (changed[1:3] > 1e-4).all()


def test_injection_of_users_alone_is_darecs(make_model: Any, data: SearchData) -> None:
    model = make_model(injection="or")
    shake(model)
    before = scores(model, data.valid_queries())
    for table in (model.cf.items_gmf, model.cf.items_mlp):
        torch.nn.init.normal_(table.weight)
    assert torch.equal(scores(model, data.valid_queries()), before)


def test_a_history_without_items_has_the_mean_items_vector(make_model: Any) -> None:
    model = make_model(cf_model="mf", cf_width=4)
    vectors = model._items(torch.tensor([1, -1]))
    torch.testing.assert_close(vectors[0], model.cf.items.weight[1])
    torch.testing.assert_close(vectors[1], model.cf.items.weight.mean(0))


def test_same_mask_injected_still_sees_the_collaborative_vector(make_model: Any) -> None:
    model = make_model(variant="same-mask-injected")
    shake(model)
    histories, offsets = np.array([4, 8, 1, 4, 8, 1]), np.array([0, 3, 6])
    one, other = scores(model, Queries(np.array([2, 5]), histories, offsets))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize(
    ("settings", "losses", "trained"),
    [
        ({}, {"seq", "align", "cl", "cf"}, {"special_2D", "items", "layers", "cf"}),
        ({"variant": "variation-2"}, {"seq", "align", "cl", "cf"}, {"special_2D", "items", "layers", "cf"}),
        ({"variant": "same-mask-injected"}, {"seq", "align", "cl", "cf"}, {"special_2D", "items", "layers", "cf"}),
        ({"variant": "same-mask"}, {"seq", "align", "cl"}, {"special_2D", "items", "layers"}),
        ({"variant": "mixrec-base"}, {"seq", "align", "cl"}, {"special_2D", "items", "layers"}),
        ({"variant": "llmrec"}, {"seq"}, {"special_2D", "items"}),
        ({"cf_training": "frozen"}, {"seq", "align", "cl"}, {"special_2D", "items", "layers"}),
    ],
)
def test_what_each_variant_learns(
    make_model: Any, settings: dict[str, str], losses: set[str], trained: set[str]
) -> None:
    model = make_model(**settings)
    assert set(step(model)) == losses
    assert {name.split(".")[0] for name, _ in model.named_parameters()} == trained


@pytest.mark.parametrize("kind", ["ncf", "mf"])
def test_a_joint_cf_model_moves_with_the_rest_and_a_frozen_one_stays(make_model: Any, kind: str) -> None:
    for training in ("joint", "frozen"):
        model = make_model(cf_model=kind, cf_training=training)
        before = model.cf.all_user_vectors().detach().clone()
        step(model)
        assert torch.equal(model.cf.all_user_vectors(), before) == (training == "frozen"), training


def test_it_is_darecs_model_to_the_last_bit(make_model: Any, make_job: Any, data: SearchData) -> None:
    from trials.darec import DARec

    settings = {"layout": "010-101", "lambda_cl": 0.1}
    ours = make_model(seed=3, **settings)
    job = make_job(3, **settings)
    torch.manual_seed(3)
    theirs = DARec().build(DARec.Config(**job.config.model_dump(exclude={"variant"})), data, job)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert step(ours) == step(theirs)  # type: ignore[arg-type]
    assert torch.equal(scores(ours, data.valid_queries()), scores(theirs, data.valid_queries()))  # type: ignore[arg-type]
