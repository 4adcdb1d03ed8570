"""The model: losses against the equations, what may and may not influence what, and every variant in training."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import shake
from method_cases import as_queries
from torch import Tensor

from trials.data.preparing.dataset import UNKNOWN_USER, Queries, SearchData
from trials.dual.batches import Batch
from trials.dual.inputs import SEQ
from trials.dual.layer import scenes
from trials.dual.model import DualModel
from trials.nn.cf import CFModel
from trials.nn.ragged import Ragged

VARIANTS = ["darec", "llmrec", "darec-base", "variation-2", "same-mask"]
BACKBONES = ["random-llama", "random-opt", "random-gpt2"]


def first_batch(model: DualModel, seed: int = 0) -> Batch:
    return next(model.batches(0, np.random.default_rng(seed)))


def train(model: DualModel, epochs: int, rate: float) -> list[float]:
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.0)
    totals = []
    for epoch in range(epochs):
        for batch in model.batches(epoch, np.random.default_rng(epoch)):
            optimizer.zero_grad()
            loss = torch.stack(list(model.loss(batch).values())).sum()
            loss.backward()
            optimizer.step()
            totals.append(loss.item())
    return totals


@torch.inference_mode()
def scores(model: DualModel, queries: Queries) -> Tensor:
    model.eval()
    return model.scores(queries)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_losses_against_the_equations(make_model: Any, backbone: str) -> None:
    weights = {"lambda_align": 0.3, "lambda_cl": 0.7, "lambda_cf": 0.2}
    model = make_model(backbone=backbone, num_samples=2, num_negatives=3, temperature=0.5, **weights)
    shake(model)
    batch = first_batch(model)
    assert batch.contrast is not None
    assert batch.pairs is not None
    assert isinstance(model.cf, CFModel)
    with torch.no_grad():
        got = {name: value.item() for name, value in model.loss(batch).items()}
        # W (h - m) / s + b is the paper's W_item h + b_item with these.
        w_item = model.items.linear.weight / model.items.scale
        b_align, b_seq = (model.items.linear.bias - w_item @ m for m in model.items.centre_2D)

        def h_align(i: int) -> Tensor:
            e = model.cf.item_vectors(torch.tensor([i]))
            return model.hidden(model.sentences.alignments(np.array([i]), "cpu"), e, "item")[0]

        seq_terms, h_seq = [], []
        for b, user in enumerate(batch.users_B):
            items = batch.histories.row(b)
            e = model.cf.user_vectors(torch.tensor([user]))
            h = model.hidden(model.sentences.sequences(Ragged.of([items]), "cpu"), e, "user")
            targets = batch.targets_R[batch.histories.offsets[b] : batch.histories.offsets[b + 1]]
            for j, target in enumerate(targets):
                seq_terms.append(-math.log(torch.softmax(w_item @ h[j] + b_seq, 0)[target]))
                h_seq.append(h[j])
        align_terms = [-math.log(torch.softmax(w_item @ h_align(int(i)) + b_align, 0)[int(i)]) for i in batch.align_A]

        def f(one: Tensor, other: Tensor) -> float:
            return math.exp(torch.cosine_similarity(one, other, dim=0).item() / 0.5)

        cl_terms = []
        contrast = batch.contrast
        for read, plus, minus in zip(contrast.read_P, contrast.positive_P, contrast.negatives_PK, strict=True):
            positive = f(h_seq[read], h_align(int(plus)))
            negative = sum(f(h_seq[read], h_align(int(i))) for i in minus)
            cl_terms.append(-math.log(positive / (positive + negative)))
        cf = model.cf.loss(batch.pairs).item()
    assert got["seq"] == pytest.approx(np.mean(seq_terms), rel=1e-4)
    assert got["align"] == pytest.approx(0.3 * np.mean(align_terms), rel=1e-4)
    assert got["cl"] == pytest.approx(0.7 * np.mean(cl_terms), rel=1e-4)
    assert got["cf"] == pytest.approx(0.2 * cf, rel=1e-4)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_items_read_once_are_the_same_model_where_a_history_is_one_item(make_model: Any, backbone: str) -> None:
    """Two frozen layers: the first reads each item once, or both read the sequence. They agree until a second item."""
    frozen = {"variant": "llmrec", "backbone": backbone, "condition_states": "none"}
    whole = make_model(num_layers=2, **frozen)
    parted = make_model(num_layers=1, item_layers=1, **frozen)
    assert len(parted.lm.parts.layers) == 1
    shake(whole)

    def states(model: DualModel, items: list[int]) -> Tensor:
        """The last layer's states of all words of a history, read out as if they were special tokens."""
        tokens = model.sentences.sequences(Ragged.of([items]), "cpu")
        words = torch.ones(len(tokens.ids_S), dtype=torch.bool)
        words[tokens.special_M] = False
        parts = model.lm.parts
        h = parts.add_positions(parts.embed(tokens.ids_S), tokens.positions_S)
        inner, _ = scenes(tokens, parts, None, None, "user")
        with torch.no_grad():
            for layer in model.layers:
                h = layer(h, inner)
        return h[words]

    for item in range(5):  # causal: no word sees the [SEQ] behind it
        torch.testing.assert_close(states(parted, [item]), states(whole, [item]), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(states(parted, [0, 1])[-1], states(whole, [0, 1])[-1], atol=1e-4)


@pytest.mark.parametrize(
    ("backbone", "pooling"), [("random-llama", "mean"), ("random-opt", "tokens"), ("random-gpt2", "last")]
)
def test_items_read_once_train_and_score(make_model: Any, data: SearchData, backbone: str, pooling: str) -> None:
    settings = {"num_layers": 1, "item_layers": 1, "item_pooling": pooling, "backbone": backbone}
    model = make_model(**settings, lambda_cl=0.1)
    if pooling != "tokens":
        assert (model.batcher.words_N <= 1).all()
    losses = train(model, 12, 0.02)
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    saved = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert not any("states" in name or "parts" in name for name in saved)
    other = make_model(seed=1, **settings)
    other.load_state_dict(saved)
    assert torch.equal(scores(other, data.valid_queries()), scores(model, data.valid_queries()))


OPTIONS: list[dict[str, Any]] = [
    {"condition_states": "whiten"},
    {"condition_states": "whiten", "item_start": "text", "label_smoothing": 0.1},
    {"head": "low-rank", "head_rank": 3, "item_start": "text", "condition_contrast": True},
    {"head": "collaborative", "collaborative_norm": True, "injection": "and"},
    {"join_special": True},
    {"num_layers": 1, "item_layers": 1, "item_pooling": "mean", "join_special": True, "lambda_align": 0.5},
    {
        "head_dropout": 0.3,
        "input_dropout": 0.1,
        "user_dropout": 0.5,
        "router_floor": 0.1,
        "head_rate": 0.5,
        "cf_decay": 3.0,
    },
]


@pytest.mark.parametrize("settings", OPTIONS)
def test_options_train_everything_of_theirs_and_save(make_model: Any, data: SearchData, settings: Any) -> None:
    model = make_model(lambda_cl=0.1, **settings)
    losses = train(model, 12, 0.02)
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    other = make_model(seed=1, **settings)
    other.load_state_dict(model.state_dict())
    assert torch.equal(scores(other, data.valid_queries()), scores(model, data.valid_queries()))


def test_dropout_is_of_training_alone(make_model: Any, data: SearchData) -> None:
    dropped, plain = make_model(head_dropout=0.5, input_dropout=0.5, user_dropout=0.5), make_model()
    shake(dropped)
    shake(plain)
    assert torch.equal(scores(dropped, data.valid_queries()), scores(plain, data.valid_queries()))
    batch = first_batch(plain)
    assert dropped.train().loss(batch)["seq"] != plain.train().loss(batch)["seq"]


def test_users_differ_in_what_is_injected(make_model: Any) -> None:
    """A fresh projection's bias is otherwise most of the slot."""

    def likeness(**settings: Any) -> float:
        model = make_model(cf_width=32, **settings)
        slots = model.dalayers()[0]._injected("user", model._users(torch.arange(12))).detach()
        slots = torch.nn.functional.normalize(slots, dim=-1)
        return float((slots @ slots.T)[~torch.eye(12, dtype=torch.bool)].mean())

    assert likeness() > 0.8
    assert abs(likeness(collaborative_norm=True)) < 0.2


def test_each_part_has_a_rate_and_a_decay_of_its_own(make_model: Any) -> None:
    model = make_model(head_rate=2, cf_rate=3, router_rate=4, head_decay=5, cf_decay=6, router_decay=7)
    rates, decays = model.rate_factors(), model.decay_factors()
    assert set(rates) == {name for name, _ in model.named_parameters()}
    for part, rate, decay in (
        ("items.linear.weight", 2, 5),
        ("cf.users_gmf.weight", 3, 6),
        ("layers.0.inject.user.weight", 3, 6),
        ("layers.1.router.gate.bias", 4, 7),
        ("layers.0.causal_adapter.up.weight", 1, 1),
        ("special_2D", 1, 1),
    ):
        assert (rates[part], decays[part]) == (rate, decay), part


def test_without_conditioning_the_projection_is_the_papers(make_model: Any) -> None:
    model = make_model(condition_states="none")
    shake(model)
    h = torch.randn(3, model.lm.hidden_size)
    expected = h @ model.items.linear.weight.T + model.items.linear.bias
    torch.testing.assert_close(model.items(h, SEQ), expected)
    torch.testing.assert_close(model.items(h, 1 - SEQ), expected)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({}, {"seq", "align", "cl", "cf"}),
        ({"variant": "same-mask"}, {"seq", "align", "cl", "cf"}),
        ({"variant": "variation-2"}, {"seq", "align", "cl", "cf"}),
        ({"variant": "darec-base"}, {"seq", "align", "cl"}),
        ({"variant": "llmrec"}, {"seq"}),
        ({"lambda_align": 0}, {"seq", "cl", "cf"}),
        ({"lambda_cl": 0}, {"seq", "align", "cf"}),
        ({"lambda_cf": 0}, {"seq", "align", "cl"}),
        ({"cf_training": "frozen"}, {"seq", "align", "cl"}),
    ],
)
def test_which_losses_a_variant_has(make_model: Any, settings: dict[str, Any], parts: set[str]) -> None:
    model = make_model(**settings)
    assert set(model.loss(first_batch(model))) == parts


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_variants_train_everything_of_theirs(make_model: Any, data: SearchData, variant: str, backbone: str) -> None:
    model = make_model(variant=variant, backbone=backbone, lambda_cl=0.1)
    shake(model)
    reached = {name: False for name, _ in model.named_parameters()}
    for batch in model.batches(0, np.random.default_rng(0)):
        torch.stack(list(model.loss(batch).values())).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        reached[name] = bool(parameter.grad.abs().sum() > 0)
    assert all(reached.values()), [name for name, hit in reached.items() if not hit]
    got = scores(model, data.valid_queries())
    assert got.shape == (data.num_users, data.num_items)
    assert torch.isfinite(got).all()


def test_what_each_variant_trains(make_model: Any) -> None:
    names = {
        variant: {n.split(".")[0] for n, _ in make_model(variant=variant).named_parameters()} for variant in VARIANTS
    }
    assert names["llmrec"] == {"special_2D", "items"}
    assert names["darec-base"] == {"special_2D", "items", "layers"}
    assert names["darec"] == names["variation-2"] == names["same-mask"] == {"special_2D", "items", "layers", "cf"}
    frozen = {n.split(".")[0] for n, _ in make_model(cf_training="frozen").named_parameters()}
    assert frozen == {"special_2D", "items", "layers"}


def test_variation_2_ignores_the_layout(make_model: Any, data: SearchData) -> None:
    parallel = make_model(variant="variation-2", layout="parallel")
    serial = make_model(layout="serial")
    queries = data.valid_queries()
    torch.testing.assert_close(scores(parallel, queries), scores(serial, queries))
    assert not torch.allclose(scores(make_model(layout="parallel"), queries), scores(serial, queries))


def test_replacing_every_second_layer(make_model: Any) -> None:
    model = make_model(num_layers=5, replace_every=2, layout="100-001")
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["FrozenLayer", "DALayer", "FrozenLayer", "DALayer", "FrozenLayer"]
    assert [layer.causal_adapter.parallel for layer in model.dalayers()] == [True, False]
    assert [layer.recommend_adapter.parallel for layer in model.dalayers()] == [False, True]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_later_items_do_not_reach_earlier_outputs(make_model: Any, variant: str, backbone: str) -> None:
    model = make_model(variant=variant, backbone=backbone)
    shake(model)
    model.eval()
    with torch.no_grad():
        e = None if model.cf is None else model.cf.user_vectors(torch.tensor([3]))
        outputs = []
        for last in (7, 11):
            tokens = model.sentences.sequences(Ragged.of([[2, 5, 9, last]]), "cpu")
            outputs.append(model.hidden(tokens, e, "user"))
    torch.testing.assert_close(outputs[0][:3], outputs[1][:3])
    assert not torch.allclose(outputs[0][3], outputs[1][3])


@pytest.mark.parametrize("variant", VARIANTS)
def test_frozen_weights_stay_bit_for_bit(make_model: Any, variant: str) -> None:
    model = make_model(variant=variant, lambda_cl=0.1)
    frozen = model.lm.parts.model
    before = {name: tensor.clone() for name, tensor in frozen.state_dict().items()}
    moving = {name: p.detach().clone() for name, p in model.named_parameters()}
    train(model, 3, 0.01)
    assert all(torch.equal(tensor, before[name]) for name, tensor in frozen.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert not frozen.training
    assert all(not torch.equal(p, moving[name]) for name, p in model.named_parameters())


def test_same_seed_same_result(make_model: Any, data: SearchData) -> None:
    results = []
    for _ in range(2):
        model = make_model(seed=3)
        losses = train(model, 2, 0.01)
        results.append((losses, scores(model, data.valid_queries())))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])
    assert train(make_model(seed=4), 2, 0.01) != results[0][0]


@pytest.mark.parametrize(
    ("backbone", "layout"), [("random-llama", "serial"), ("random-opt", "serial"), ("random-gpt2", "010-101")]
)
def test_overfits_eight_users(make_model: Any, make_data: Any, backbone: str, layout: str) -> None:
    data = make_data(users=10, items=12, sentences=[f"title number {i} red" for i in range(12)])
    model = make_model(on=data, backbone=backbone, layout=layout, batch_size=10, max_items=8, lambda_cl=0)
    losses = train(model, 70, 0.02)
    assert losses[-1] < 0.25 * losses[0]
    users = [u for u in range(data.num_users) if len(data.history(u)) >= 2]
    assert len(users) >= 8
    queries = as_queries([data.history(u)[:-1].tolist() for u in users], users)
    right = scores(model, queries).argmax(1).numpy() == [data.history(u)[-1] for u in users]
    assert right.mean() >= 0.9


@pytest.mark.parametrize("settings", [{}, {"cf_training": "frozen", "cf_model": "mf"}, {"variant": "llmrec"}])
def test_save_and_load_give_equal_scores(make_model: Any, data: SearchData, settings: dict[str, Any]) -> None:
    model = make_model(seed=1, **settings)
    train(model, 1, 0.01)
    saved = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert not any("parts" in name or "lm" in name for name in saved)
    other = make_model(seed=2, **settings)
    assert not torch.equal(scores(other, data.valid_queries()), scores(model, data.valid_queries()))
    other.load_state_dict(saved)
    assert torch.equal(scores(other, data.valid_queries()), scores(model, data.valid_queries()))


def test_scores_with_joined_special_tokens_are_the_last_positions(make_model: Any) -> None:
    model = make_model(join_special=True)
    shake(model)
    got = scores(model, as_queries([[4, 8, 1, 0], [], [7]], [2, 3, 1]))
    with torch.no_grad():
        for row, (history, user) in enumerate((([4, 8, 1, 0], 2), ([], 3), ([7], 1))):
            tokens = model.sentences.sequences(Ragged.of([np.array(history, int)]), "cpu")
            e = model.cf.user_vectors(torch.tensor([user]))
            expected = model.items(model.hidden(tokens, e, "user"), SEQ)[-1]
            torch.testing.assert_close(got[row], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_scores_are_the_last_position_of_the_latest_items(make_model: Any, variant: str) -> None:
    model = make_model(variant=variant)
    shake(model)
    history = [4, 8, 1, 0, 7, 3]
    got = scores(model, as_queries([history], [2]))
    with torch.no_grad():
        e = None if model.cf is None else model.cf.user_vectors(torch.tensor([2]))
        tokens = model.sentences.sequences(Ragged.of([history[-4:]]), "cpu")
        expected = model.items(model.hidden(tokens, e, "user"), SEQ)[-1]
    torch.testing.assert_close(got[0], expected, atol=1e-5, rtol=1e-5)


def test_scores_do_not_depend_on_the_other_queries(make_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    shake(model)
    histories, users = [[4, 8, 1], [], [7], [1, 2, 3, 4, 5]], [2, 3, UNKNOWN_USER, 0]
    together = scores(model, as_queries(histories, users))
    alone = torch.cat([scores(model, as_queries([h], [u])) for h, u in zip(histories, users, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    monkeypatch.setattr("trials.dual.model._EVAL_TOKENS", 10)
    torch.testing.assert_close(scores(model, as_queries(histories, users)), together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("training", ["joint", "frozen"])
def test_unknown_user_has_the_mean_vector(make_model: Any, training: str) -> None:
    model = make_model(cf_training=training)
    vectors = model._users(torch.tensor([1, UNKNOWN_USER]))
    torch.testing.assert_close(vectors[0], model.cf.user_vectors(torch.tensor([1]))[0])
    torch.testing.assert_close(vectors[1], model.cf.all_user_vectors().mean(0))


def test_collaborative_vectors_matter_and_learn_from_the_sequences(make_model: Any) -> None:
    model = make_model(lambda_cf=0)
    shake(model)
    one, other = (scores(model, as_queries([[4, 8, 1]], [user])) for user in (2, 5))
    assert not torch.allclose(one, other)
    model.train()
    model.loss(first_batch(model))["seq"].backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.cf.parameters())


def test_starts_at_the_popularity_ranking(make_model: Any, data: SearchData) -> None:
    model = make_model(item_bias="popularity")
    torch.nn.init.zeros_(model.items.linear.weight)
    got = scores(model, data.valid_queries())[0].numpy()
    popularity = data.popularity_N()
    assert (np.argsort(-got, kind="stable") == np.argsort(-popularity, kind="stable")).all()
    assert np.exp(got).sum() == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_bfloat16_stays_near_float32(make_model: Any, data: SearchData, backbone: str) -> None:
    exact = make_model(backbone=backbone)
    rough = make_model(backbone=backbone, precision="bfloat16")
    assert next(rough.lm.parts.model.parameters()).dtype == torch.bfloat16
    shake(exact, 0.02)
    rough.load_state_dict(exact.state_dict())
    one, other = scores(exact, data.valid_queries()), scores(rough, data.valid_queries())
    assert other.dtype == torch.float32
    assert (one - other).abs().max() < 0.15 * one.std()
    torch.stack(list(rough.loss(first_batch(rough)).values())).sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in rough.parameters())


def test_no_training_data_reaches_scores_but_the_query(make_model: Any, data: SearchData) -> None:
    """Validation targets of the data play no part in building or scoring."""
    other = dataclasses.replace(data, valid_target_U=(data.valid_target_U + 1) % data.num_items)
    one, two = make_model(seed=1), make_model(seed=1, on=other)
    assert train(one, 1, 0.01) == train(two, 1, 0.01)
    assert torch.equal(scores(one, data.valid_queries()), scores(two, data.valid_queries()))
