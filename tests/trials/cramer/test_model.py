"""Masks in the whole model: as if each request had masked the weights, and learnt by the written loss.

Shape letters: `B` requests, `G` gates, `N` items.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import as_queries
from torch import Tensor
from torch.nn import functional as F

from searchplat.errors import InputError
from trials.cramer.gates import gumbel, prior_divergence, top_k_gates
from trials.cramer.model import Batch, CRAMERModel
from trials.data.preparing.dataset import Queries
from trials.training.seeds import epoch_rng

HISTORIES = [[3, 8, 13, 18], [0], [39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, 28, 27], [5, 6]]
REQUESTS = ["Something about space", "cooking and bread", "a cold detective", "wild roses"]


def queries(requests: list[str] | None = REQUESTS) -> Queries:
    plain = as_queries(HISTORIES, [-1] * 4)
    return Queries(plain.users_B, plain.items, plain.offsets, requests)


def answering(model: CRAMERModel) -> CRAMERModel:
    """The model as it is served: queries' own requests count."""
    model.source = "data"
    return model


def masked_weights(model: CRAMERModel, gates_G: Tensor) -> Any:
    """A backbone whose weights are `W ⊙ (r cᵀ)`, built one by one: equation 8 as it stands."""
    backbone = copy.deepcopy(model.backbone)
    for part in model.layout.segments:
        rows = gates_G[part.start : part.start + part.rows]
        columns = gates_G[part.start + part.rows : part.stop]
        linear = getattr(backbone.layers[part.layer], part.name)
        linear.weight.copy_(linear.weight * torch.outer(rows, columns))
    return backbone


@pytest.mark.parametrize("backbone", ["sasrec", "bert4rec"])
@pytest.mark.parametrize("scope", ["ffn", "output", "both"])
def test_users_of_one_batch_each_have_their_own_masked_weights(make: Any, backbone: str, scope: str) -> None:
    model = answering(make(backbone=backbone, scope=scope, drop_ratio=0.25))
    with torch.inference_mode():
        for layer in model.backbone.layers:  # a few epochs leave small weights, whose masks change little
            for part in (layer.output, layer.inner, layer.outer):
                part.weight.mul_(8)
        found_BN = model.scores(queries())
        gates_BG = model.gates(REQUESTS)
        bare_BN = model.bare_scores(queries())
        assert gates_BG.sum(1).tolist() == [model.k] * 4
        for b in range(4):
            edited = masked_weights(model, gates_BG[b])
            expected_N = edited.item_scores(edited.encode(queries().rows(b, b + 1)))[0]
            torch.testing.assert_close(found_BN[b], expected_N, rtol=1e-4, atol=1e-4)
    assert (found_BN - bare_BN).abs().max() > 0.01
    assert len({tuple(gates_G.tolist()) for gates_G in gates_BG}) == 4


@pytest.mark.parametrize("tuned", ["none", "last", "all"])
def test_answers_are_the_same_every_time_and_whatever_is_asked_beside_them(make: Any, tuned: str) -> None:
    model = answering(make(tuned=tuned, drop_ratio=0.25))
    with torch.inference_mode():
        together_BN = model.scores(queries())
        assert torch.equal(model.scores(queries()), together_BN)
        for b in range(4):
            torch.testing.assert_close(model.scores(queries().rows(b, b + 1))[0], together_BN[b], rtol=1e-4, atol=1e-5)


def test_other_requests_give_other_scores_and_none_at_all_the_historys(make: Any) -> None:
    model = answering(make(drop_ratio=0.25))
    with torch.inference_mode():
        asked = model.scores(queries())
        others = model.scores(queries(REQUESTS[::-1]))
        silent, blank = model.scores(queries(None)), model.scores(queries([" "] * 4))
    assert (asked != others).any(1).tolist() == [True] * 4
    assert torch.equal(silent, blank)
    assert not torch.equal(silent, asked)


def test_in_training_requests_of_histories_are_not_replaced_by_the_data_sets(make: Any) -> None:
    model = make(request="history")
    with torch.inference_mode():
        assert torch.equal(model.scores(queries()), model.scores(queries(None)))


def batch_of(model: CRAMERModel, epoch: int = 0) -> Batch:
    return next(model.batches(epoch, epoch_rng(1, epoch)))


@pytest.mark.parametrize("shared", [False, True])
def test_the_loss_is_that_of_equation_6(make: Any, shared: bool) -> None:
    model = make(shared=shared, drop_ratio=0.25, lambda_kl=0.3).train()
    batch = batch_of(model)
    found = model.loss(batch)
    with torch.no_grad():
        z_BG = model.logits(batch.queries.requests)  # type: ignore[arg-type]
        choice_BG = z_BG.mean(0, keepdim=True) if shared else z_BG
        noise_BG = gumbel(len(choice_BG), model.layout.size, batch.noise_seed, z_BG.device)
        gates_BG = top_k_gates(choice_BG + noise_BG, model.k).expand(len(batch), -1)
        total = 0.0
        for b in range(len(batch)):
            edited = masked_weights(model, gates_BG[b])
            scores_N = edited.item_scores(edited.encode(batch.queries.rows(b, b + 1)))
            total += float(F.cross_entropy(scores_N, torch.tensor([int(batch.targets_B[b])])))
        divergence = prior_divergence(z_BG, model.k / model.layout.size).mean()
    assert float(found["next"].detach()) == pytest.approx(total / len(batch), rel=1e-4)
    assert float(found["kl"].detach()) == pytest.approx(0.3 * float(divergence), rel=1e-4, abs=1e-7)


def test_a_draw_belongs_to_a_step_and_masks_of_a_batch_differ(make: Any) -> None:
    model = make(drop_ratio=0.25).train()
    batch = batch_of(model)
    one, again = (float(model.loss(batch)["next"].detach()) for _ in range(2))
    assert one == again  # the noise follows from the batch
    seeds = {step.noise_seed for epoch in range(2) for step in model.batches(epoch, epoch_rng(1, epoch))}
    assert len(seeds) == 2 * model.num_batches()


@pytest.mark.parametrize("course", ["linear", "exponential", "cosine"])
def test_the_temperature_runs_from_its_start_to_its_end_over_all_epochs(make: Any, course: str) -> None:
    model = make(course=course, epochs=3)
    taus = [batch.tau for epoch in range(3) for batch in model.batches(epoch, epoch_rng(1, epoch))]
    assert len(taus) == 3 * model.num_batches()
    assert (taus[0], taus[-1]) == (pytest.approx(0.7), pytest.approx(0.3))
    assert taus == sorted(taus, reverse=True)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("workers", [2, 3])
def test_parts_of_a_noisy_step_add_up_to_the_whole(make: Any, shared: bool, workers: int) -> None:
    model = make(shared=shared, drop_ratio=0.25).train()
    batch = batch_of(model)
    whole = model.loss(batch)
    sums = dict.fromkeys(whole, 0.0)
    for rank in range(workers):
        part, weights = model.share(batch, rank, workers)
        for name, loss in model.loss(part).items():
            sums[name] += weights[name] * float(loss.detach())
    assert sums == pytest.approx({name: float(loss.detach()) for name, loss in whole.items()}, rel=1e-5)


def test_the_prior_starts_near_its_minimum_and_draws_the_logits_to_it(make: Any) -> None:
    model = make(drop_ratio=0.1)
    z_BG = model.logits(REQUESTS)
    assert float(prior_divergence(z_BG, model.k / model.layout.size).max().detach()) < 0.02
    far_BG = z_BG.detach() + 3
    assert float(prior_divergence(far_BG, model.k / model.layout.size).min()) > 0.05


def test_the_request_encoder_learns_at_its_own_rate(make: Any) -> None:
    assert make().rate_factors() == {}
    model = make(tuned="last", learning_rate=1e-2, encoder_learning_rate=1e-4)
    factors = model.rate_factors()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert set(factors) == {name for name in trained if name.startswith("requests.")} != set()
    assert list(factors.values()) == pytest.approx([0.01] * len(factors))
    assert trained - set(factors) == {"projection.weight", "projection.bias"}


def test_diagnostics_tell_how_open_the_maps_are_and_how_far_masks_differ(make: Any) -> None:
    model = answering(make(drop_ratio=0.25))
    assert model.diagnostics() == {}
    with torch.inference_mode():
        model.start_evaluation()
        gates_BG = model.gates(REQUESTS)
    found = model.diagnostics()
    assert set(found) == {"mask/open_output", "mask/open_inner", "mask/open_outer", "mask/varied", "mask/tau"}
    differs = [float((gates_BG[a] != gates_BG[b]).float().mean()) for a in range(4) for b in range(4)]
    assert found["mask/varied"] == pytest.approx(np.mean(differs), rel=1e-5)
    with torch.inference_mode():
        model.start_evaluation()
        model.gates(["space"] * 5)
    assert model.diagnostics()["mask/varied"] == 0


def test_without_requests_it_is_the_bare_backbone_and_learns_nothing(make: Any) -> None:
    model, masked = make(request="none"), make()
    assert model.num_batches() == 0
    assert list(model.batches(0, epoch_rng(1, 0))) == []
    assert not [name for name, p in model.named_parameters() if p.requires_grad]
    with torch.inference_mode():
        assert torch.equal(model.scores(queries(None)), masked.bare_scores(queries(None)))


def test_an_empty_history_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="CRAMER steers what follows a history, but one is empty"):
        make().scores(as_queries([np.array([1]), np.array([], dtype=int)], [-1, -1]))


@pytest.mark.parametrize("drop_ratio", [1e-4, 0.9999])
def test_a_drop_ratio_that_shuts_nothing_or_all_is_refused(make: Any, drop_ratio: float) -> None:
    if drop_ratio < 0.5:
        with pytest.raises(InputError, match="drop_ratio: must shut at least one of the 256 gates"):
            make(drop_ratio=drop_ratio)
    else:
        assert make(drop_ratio=drop_ratio).k == 1  # the ceiling leaves one open
