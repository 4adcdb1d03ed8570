"""What every method must keep to be promoted: shared batches add up, and a final training can be tested and read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from method_cases import Bench

from searchplat.contract import SAMPLED, SAMPLED_RANKS, FinalJob, FinalMethod, FinalTraining, TestPermit
from searchplat.contract.measures import unasked
from searchplat.firewall import ISSUER
from trials.training.measures.metrics import summarise
from trials.training.seeds import epoch_rng


@pytest.mark.parametrize("workers", [2, 3, 64])
def test_weighted_losses_and_gradients_of_the_parts_are_those_of_the_batch(
    bench: Bench, tmp_path: Path, workers: int
) -> None:
    if not bench.learns:
        pytest.skip("learns nothing")
    model = bench.start(tmp_path).model.eval()  # no dropout
    parameters = [p for p in model.parameters() if p.requires_grad]
    batch = list(model.batches(0, epoch_rng(1, 0)))[-1]
    whole = model.loss(batch)
    expected = torch.autograd.grad(torch.stack(list(whole.values())).sum(), parameters, allow_unused=True)
    sums = dict.fromkeys(whole, 0.0)
    gradients = [torch.zeros_like(p) for p in parameters]
    weight_sums = dict.fromkeys(whole, 0.0)
    for rank in range(workers):
        part, weights = model.share(batch, rank, workers)
        assert set(weights) == set(whole)
        losses = model.loss(part)
        assert set(losses) <= set(weights)
        weighted = {name: weights[name] * loss for name, loss in losses.items()}
        found = torch.autograd.grad(torch.stack(list(weighted.values())).sum(), parameters, allow_unused=True)
        for total, gradient in zip(gradients, found, strict=True):
            total += 0 if gradient is None else gradient
        for name in weights:
            weight_sums[name] += weights[name]
            sums[name] += float(weighted[name].detach()) if name in weighted else 0.0
    assert weight_sums == pytest.approx(dict.fromkeys(whole, 1.0))
    assert sums == pytest.approx({name: float(loss.detach()) for name, loss in whole.items()}, rel=1e-5)
    for total, gradient in zip(gradients, expected, strict=True):
        reference = torch.zeros_like(total) if gradient is None else gradient
        torch.testing.assert_close(total, reference, rtol=1e-4, atol=1e-5)


def test_a_final_training_is_tested_once_and_leaves_what_others_read(bench: Bench, tmp_path: Path) -> None:
    assert isinstance(bench.method, FinalMethod)
    job = FinalJob(bench.job(tmp_path), "valid/mrr")
    training = bench.method.start_final(job)
    assert isinstance(training, FinalTraining)
    while not training.done:
        training.run_epoch()
        training.save()
    tested = training.test(TestPermit("s", 1, 1, ISSUER), ["mrr", f"{SAMPLED}recall@10"])
    ranks_U = np.load(tested.ranks, allow_pickle=False)
    assert (ranks_U.dtype, len(ranks_U), tested.num_users) == (np.int32, 60, 60)
    asked = {name: value for name, value in tested.metrics.items() if not unasked(name)}
    among_all = {name: value for name, value in asked.items() if not name.startswith(SAMPLED)}
    assert among_all == pytest.approx(summarise(ranks_U, ["mrr", "recall@10"]))
    if among_some := {name for name in tested.metrics if name.startswith(SAMPLED)}:
        sampled_U = np.load(tested.ranks.with_name(SAMPLED_RANKS), allow_pickle=False)
        found = summarise(sampled_U, ["mrr", "recall@10"])
        assert {name: tested.metrics[name] for name in among_some} == pytest.approx(
            {f"{SAMPLED}{name}": value for name, value in found.items()}
        )
        assert (sampled_U <= ranks_U).all()
    about = json.loads((tmp_path / "model.json").read_text())
    assert (about["method"], about["best_epoch"]) == (bench.case.method, training.best_epoch)
    fresh = bench.start(tmp_path / "fresh", seed=9)
    tensors = safetensors.torch.load_file(tmp_path / "model.safetensors")
    fresh.model.load_state_dict(tensors, strict=False)
    valid_U = fresh.ranks(fresh.data.valid_queries(), fresh.data.valid_target_U)
    assert float((1 / valid_U).mean()) == pytest.approx(training.best_metrics["valid/mrr"], abs=1e-9)
