"""The model: embeddings, losses and scores against slow forms; every variant in training; what stays frozen."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import shake
from method_cases import as_queries
from torch import Tensor

from trials.data.preparing.dataset import Queries, SearchData
from trials.laser.model import LaserModel

BACKBONES = ["random-llama", "random-opt", "random-gpt2"]
VARIANTS = [
    "laser",
    "no-prefix",
    "average-pooling",
    "eos",
    "no-mformer",
    "one-expert",
    "no-balance",
    "no-phase-1",
    "no-phase-2",
]


def through_transformers(model: LaserModel, items: list[int]) -> Tensor:
    """All last states of one input, by transformers' own code on what stands in eq. 1, put together by hand."""
    parts = model.lm.parts
    words = parts.embed(torch.tensor(model.instructions.ids(np.array(items))))
    prefix = model._prefix(1, model._reading([np.array(items)]) if model.former else None)[0]
    pieces = [*([] if prefix is None else [prefix[0]]), words]
    if (suffix := model._suffix()) is not None:
        pieces.append(suffix)
    backbone = parts.model  # type: ignore[attr-defined]
    return backbone(inputs_embeds=torch.cat(pieces)[None], use_cache=False).last_hidden_state[0]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize(
    ("variant", "suffix"), [("laser", 1), ("laser", 3), ("no-prefix", 1), ("average-pooling", 1), ("eos", 1)]
)
@torch.no_grad()
def test_the_embedding_is_the_output_at_the_suffix(make_model: Any, backbone: str, variant: str, suffix: int) -> None:
    model = make_model(backbone=backbone, variant=variant, num_suffix=suffix).eval()
    shake(model)
    lists = [[3, 1, 2], [7], [0, 5]]
    h_BD, _ = model.embed([np.array(items) for items in lists])
    for b, items in enumerate(lists):
        states = through_transformers(model, items)
        expected = states.mean(0) if variant == "average-pooling" else states[-suffix:].mean(0)
        torch.testing.assert_close(h_BD[b], expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_an_item_is_a_history_of_one(make_model: Any) -> None:
    model = make_model().eval()
    one = np.array([4])
    assert torch.equal(model.embed([one])[0], model.embed([one], single=True)[0])
    two = make_model(template="two-instructions").eval()
    assert not torch.allclose(two.embed([one])[0], two.embed([one], single=True)[0])


@pytest.mark.parametrize("budget", [1, 200, 4096])
@torch.no_grad()
def test_encoding_by_length_equals_one_by_one(make_model: Any, monkeypatch: pytest.MonkeyPatch, budget: int) -> None:
    model = make_model()
    shake(model)
    model.train()
    monkeypatch.setattr("trials.laser.model.CHUNK_TOKENS", budget)
    together_ND = model.encode_items()
    assert model.training
    model.eval()
    for item in range(model.num_items):
        alone_1D, _ = model.embed([np.array([item])], single=True)
        torch.testing.assert_close(together_ND[item], alone_1D[0], rtol=1e-4, atol=1e-5)


def test_items_are_encoded_in_order_of_length(make_model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model()
    monkeypatch.setattr("trials.laser.model.CHUNK_TOKENS", 200)
    lengths: list[list[int]] = []
    embed = model.embed

    def watched(histories: Any, **options: Any) -> Any:
        lengths.append([len(model.instructions.ids(items)) for items in histories])
        return embed(histories, **options)

    monkeypatch.setattr(model, "embed", watched)
    model.encode_items()
    flat = [length for chunk in lengths for length in chunk]
    assert len(flat) == model.num_items
    assert flat == sorted(flat)
    assert len(lengths) > 1


@pytest.mark.parametrize("backbone", BACKBONES)
def test_losses_against_the_equations(make_model: Any, backbone: str) -> None:
    model = make_model(backbone=backbone, lambda_balance=0.3, temperature=0.5)
    shake(model)
    batch = next(model.batches(0, np.random.default_rng(0)))
    got = {name: loss.item() for name, loss in model.loss(batch).items()}
    terms, balances = [], []
    with torch.no_grad():
        for items, target in zip(batch.histories, batch.targets_B, strict=True):
            h_u, routing = model.embed([items])
            f = [math.exp(torch.cosine_similarity(h_u[0], h_i, dim=0).item() / 0.5) for h_i in model.memory.items_ND]
            terms.append(-math.log(f[int(target)] / sum(f)))
            assert routing is not None
            w, share = routing.weights_BK[0].tolist(), routing.dispatched_BK[0].tolist()
            balances.append(3 * sum(a * b for a, b in zip(w, share, strict=True)))
    assert got["iic"] == pytest.approx(np.mean(terms), rel=1e-4)
    assert got["balance"] == pytest.approx(0.3 * np.mean(balances), rel=1e-4)


@torch.no_grad()
def test_scores_are_cosines_with_the_items_in_use(make_model: Any, data: SearchData) -> None:
    model = make_model().eval()
    shake(model)
    model.start_evaluation()
    asked = [[1, 2, 3], [4], list(range(12))]
    scores_BN = model.scores(as_queries(asked))
    assert scores_BN.shape == (3, data.num_items)
    for b, history in enumerate(asked):
        kept = model.instructions.kept(np.array(history))
        h_u, _ = model.embed([kept])
        expected = torch.cosine_similarity(h_u, model.memory.items_ND)
        torch.testing.assert_close(scores_BN[b], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="a history is empty"):
        model.scores(Queries(np.array([-1]), np.array([], dtype=np.int64), np.array([0, 0])))


@torch.no_grad()
def test_centred_scores_leave_out_what_all_items_share(make_model: Any) -> None:
    model = make_model(centre_states=True).eval()
    model.start_evaluation()
    scores_BN = model.scores(as_queries([[1, 2], [3]]))
    h_BD, _ = model.embed([np.array([1, 2]), np.array([3])])
    m = model.memory.items_ND.mean(0)
    expected = torch.stack([torch.cosine_similarity(h - m, model.memory.items_ND - m) for h in h_BD])
    torch.testing.assert_close(scores_BN, expected, rtol=1e-4, atol=1e-5)
    plain = make_model().eval()
    plain.start_evaluation()
    assert plain.scores(as_queries([[1, 2], [3]])).std() < scores_BN.std()


@pytest.mark.parametrize(
    ("variant", "backbone"),
    [*((variant, "random-llama") for variant in VARIANTS), ("laser", "random-opt"), ("laser", "random-gpt2")],
)
def test_variants_train_everything_of_theirs_and_nothing_frozen(make_model: Any, variant: str, backbone: str) -> None:
    model = make_model(variant=variant, backbone=backbone)
    frozen = {name: tensor.clone() for name, tensor in model.lm.parts.model.state_dict().items()}
    recommender = None if model.collaborator is None else model.collaborator.state_dict()
    recommender = None if recommender is None else {name: tensor.clone() for name, tensor in recommender.items()}
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for batch in model.batches(0, np.random.default_rng(0)):
        optimizer.zero_grad()
        torch.stack(list(model.loss(batch).values())).sum().backward()
        optimizer.step()
    assert [name for name, p in model.named_parameters() if torch.equal(p, before[name])] == []
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in model.lm.parts.model.state_dict().items())
    if recommender is not None:
        now = model.collaborator.state_dict()
        assert all(torch.equal(tensor, now[name]) for name, tensor in recommender.items())


def test_what_each_variant_has(make_model: Any) -> None:
    def first_names(variant: str) -> set[str]:
        return {name.split(".")[0] for name, _ in make_model(variant=variant).named_parameters()}

    assert first_names("laser") == {"former", "suffix_XD"}
    assert first_names("no-prefix") == {"suffix_XD"}
    assert first_names("average-pooling") == first_names("eos") == {"former"}
    assert first_names("no-mformer") == {"prefix_LD", "suffix_XD"}
    assert not [name for name, _ in make_model(variant="one-expert").named_parameters() if "router" in name]
    parts = {
        variant: set(make_model(variant=variant).loss(first_batch(make_model(variant=variant)))) for variant in VARIANTS
    }
    assert parts["laser"] == parts["eos"] == parts["no-phase-1"] == {"iic", "balance"}
    assert parts["no-balance"] == parts["one-expert"] == parts["no-prefix"] == parts["no-mformer"] == {"iic"}


def first_batch(model: LaserModel) -> Any:
    return next(model.batches(0, np.random.default_rng(0)))


def test_later_words_do_not_reach_the_prefix_and_all_reach_the_suffix(make_model: Any) -> None:
    model = make_model()
    shake(model)
    prefix = model._prefix(1, model._reading([np.array([1, 2])]))[0].detach().requires_grad_()
    model._prefix = lambda count, reading: (prefix, None)
    h_BD, _ = model.embed([np.array([1, 2])])
    (gradient,) = torch.autograd.grad(h_BD.sum(), prefix)
    assert (gradient[0].abs().sum(1) > 0).all()


def test_bfloat16_is_near_float32(make_model: Any) -> None:
    exact, coarse = make_model().eval(), make_model(precision="bfloat16").eval()
    with torch.no_grad():
        one, other = (model.embed([np.array([1, 2, 3])])[0] for model in (exact, coarse))
    assert other.dtype == torch.float32
    assert torch.cosine_similarity(one, other).item() > 0.99
