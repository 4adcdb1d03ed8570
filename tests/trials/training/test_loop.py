from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from searchplat.contract import Training
from searchplat.errors import InputError
from trials.data.preparing.dataset import SearchData
from trials.training.loop import Loop
from trials.training.recommender import Losses

MakeLoop = Callable[..., Loop]


def timeless(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith(("time/", "memory/"))}


def test_a_loop_is_a_training(make_loop: MakeLoop) -> None:
    assert isinstance(make_loop(), Training)


def test_an_epoch_reports_losses_metrics_costs_and_diagnostics(make_loop: MakeLoop, data: SearchData) -> None:
    loop = make_loop(metrics=("mrr", "recall@3"))
    assert (loop.epoch, loop.epochs, loop.metrics) == (0, 4, {})
    found = loop.run_epoch()
    assert set(found) == {
        "train/loss",
        "train/next",
        "train/small",
        "valid/mrr",
        "valid/recall@3",
        "time/train_seconds",
        "time/evaluate_seconds",
        "memory/peak_bytes",
        "parameters",
        "bigram/seen",
    }
    assert found["train/loss"] == pytest.approx(found["train/next"] + found["train/small"], rel=1e-5)
    assert 0 < found["valid/mrr"] < 1
    assert found["memory/peak_bytes"] > 1e7
    assert found["bigram/seen"] == len(data.train_items) - data.num_users
    assert (loop.epoch, loop.metrics) == (1, found)


def test_training_lowers_the_loss_and_leaves_the_frozen_table_alone(make_loop: MakeLoop) -> None:
    loop = make_loop(epochs=10)
    table = loop.model.table.weight.clone()
    losses = [loop.run_epoch()["train/loss"] for _ in range(10)]
    assert losses[-1] < losses[0] / 1.5
    assert torch.equal(loop.model.table.weight, table)


def test_a_restored_training_gives_the_very_figures_of_an_uninterrupted_one(make_loop: MakeLoop) -> None:
    whole = make_loop("whole")
    expected = [timeless(whole.run_epoch()) for _ in range(4)]

    first = make_loop("parts")
    found = [timeless(first.run_epoch()) for _ in range(2)]
    first.save()
    torch.rand(7)  # whatever happened in between
    second = make_loop("parts", model_seed=99)
    with torch.no_grad():  # the frozen part comes from the same pretrained weights, not from the checkpoint
        second.model.table.weight.copy_(first.model.table.weight)
    assert second.restore() == second.epoch == 2
    assert second.metrics == first.metrics
    found += [timeless(second.run_epoch()) for _ in range(2)]
    assert found == expected
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True))


def test_the_same_seed_gives_the_same_figures_and_another_does_not(make_loop: MakeLoop) -> None:
    runs = [[timeless(loop.run_epoch()) for _ in range(2)] for loop in (make_loop(), make_loop(), make_loop(seed=6))]
    assert runs[0] == runs[1] != runs[2]


def test_restore_without_a_checkpoint_starts_at_zero(make_loop: MakeLoop) -> None:
    assert make_loop().restore() == 0


def test_a_checkpoint_holds_what_is_trained_and_what_persists_and_nothing_frozen(make_loop: MakeLoop) -> None:
    from safetensors import safe_open

    loop = make_loop()
    loop.run_epoch()
    loop.save()
    with safe_open(loop.folder / "epoch-0001" / "model.safetensors", "pt") as file:
        assert set(file.keys()) == {"head.weight", "head.bias", "seen"}


def test_a_damaged_newest_checkpoint_costs_one_epoch(make_loop: MakeLoop) -> None:
    loop = make_loop()
    runs = []
    for _ in range(3):
        runs.append(timeless(loop.run_epoch()))
        loop.save()
    path = loop.folder / "epoch-0003" / "optimizer.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    again = make_loop()
    assert again.restore() == 2
    assert timeless(again.run_epoch()) == runs[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"width": 7}, r"tensors must be this trial's, but 1 differ, the first is 'head.weight': \(12, 7\) here"),
     ({"seed": 8}, "seed must be this trial's, got 8 here, 5 there; give every trial a folder of its own")],
)  # fmt: skip
def test_another_trials_checkpoint_is_refused(make_loop: MakeLoop, change: dict[str, Any], message: str) -> None:
    loop = make_loop()
    loop.run_epoch()
    loop.save()
    with pytest.raises(InputError, match=message):
        make_loop(**change).restore()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_the_epoch_and_is_reported(make_loop: MakeLoop, value: float) -> None:
    loop = make_loop()
    loop.run_epoch()
    before = loop.model.head.weight.clone()
    loop.model.poison = {loop.model.steps: value}
    found = loop.run_epoch()
    assert loop.model.steps == 4
    assert found["train/loss"] == value or math.isnan(value) == math.isnan(found["train/loss"])
    assert math.isnan(found["valid/mrr"])
    assert math.isnan(found["valid/ndcg@10"])
    assert torch.equal(loop.model.head.weight, before)
    loop.save()
    again = make_loop()
    again.restore()
    assert math.isnan(again.metrics["valid/mrr"])


def test_a_parameter_that_is_not_finite_counts_as_a_loss_that_is_not(make_loop: MakeLoop) -> None:
    loop = make_loop()
    loop.model.head.weight.register_hook(lambda gradient: gradient * math.nan)
    inner = loop.model.batches
    loop.model.batches = lambda *args: iter([next(iter(inner(*args)))])
    found = loop.run_epoch()
    assert math.isfinite(found["train/next"])
    assert math.isnan(found["train/loss"])
    assert math.isnan(found["valid/mrr"])


def test_progress_hears_of_every_batch(make_loop: MakeLoop) -> None:
    loop = make_loop(eval_batch_size=5)
    seen: list[tuple[str, int, int]] = []
    loop.progress = lambda *step: seen.append(step)
    loop.run_epoch()
    assert seen == [("train", 1, 3), ("train", 2, 3), ("train", 3, 3), ("evaluate", 1, 2), ("evaluate", 2, 2)]


def test_gradients_are_clipped(make_loop: MakeLoop) -> None:
    loop = make_loop(gradient_clip=1e-3)
    norms: list[float] = []
    step = loop._optimizer.step

    def watched() -> None:
        gradients = [p.grad.norm() for p in loop.model.parameters() if p.grad is not None]
        norms.append(float(torch.stack(gradients).norm()))
        step()

    loop._optimizer.step = watched
    loop.run_epoch()
    assert norms == pytest.approx([1e-3] * 3, rel=1e-3)


def test_the_learning_rate_follows_the_schedule(make_loop: MakeLoop) -> None:
    loop = make_loop(schedule="linear", warmup_fraction=0.0, epochs=2, learning_rate=0.6)
    rates: list[float] = []
    loop.progress = lambda *_: rates.append(loop._optimizer.param_groups[0]["lr"])
    loop.run_epoch()
    loop.run_epoch()
    assert rates[:3] + rates[4:7] == pytest.approx([0.6, 0.5, 0.4, 0.3, 0.2, 0.1])


def test_steps_are_those_of_plain_adamw(make_loop: MakeLoop, data: SearchData) -> None:
    loop = make_loop(schedule="constant", warmup_fraction=0, weight_decay=0.1)
    other = make_loop()
    reference = torch.optim.AdamW([*other.model.head.parameters()], lr=0.05, weight_decay=0.1)
    from trials.training.seeds import epoch_rng, epoch_seed, seed_everything

    seed_everything(epoch_seed(5, 0))
    other.model.train()
    for batch in other.model.batches(0, epoch_rng(5, 0)):
        reference.zero_grad()
        sum(other.model.loss(batch).values()).backward()
        reference.step()
    loop.run_epoch()
    for mine, theirs in zip(loop.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs)


def test_all_epochs_done_is_an_error(make_loop: MakeLoop) -> None:
    loop = make_loop(epochs=1)
    loop.run_epoch()
    with pytest.raises(RuntimeError, match="all 1 epochs are completed"):
        loop.run_epoch()


def test_a_part_named_loss_and_an_epoch_without_batches_are_refused(make_loop: MakeLoop) -> None:
    loop = make_loop()

    def unnamed(batch: Any) -> Losses:
        return {"loss": nn.functional.mse_loss(loop.model.head.bias, torch.ones(12))}

    loop.model.loss = unnamed
    with pytest.raises(ValueError, match="must not be called 'loss'"):
        loop.run_epoch()

    def none(epoch: int, rng: np.random.Generator) -> Iterator[Any]:
        return iter(())

    loop.model.batches = none
    with pytest.raises(InputError, match="must find something to train on, but got no batch in epoch 0"):
        loop.run_epoch()


def test_parts_of_a_model_learn_at_rates_of_their_own(make_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(make_loop().model), "rate_factors", lambda _: {"head.weight": 0.25})
    monkeypatch.setattr(type(make_loop().model), "decay_factors", lambda _: {"head.weight": 2.0})
    whole = make_loop("whole")
    groups = whole._optimizer.param_groups
    assert {group["factor"]: len(group["params"]) for group in groups} == {0.25: 1, 1.0: 1}
    decayed = make_loop("decayed", weight_decay=0.1)._optimizer.param_groups
    assert {group["factor"]: group["weight_decay"] for group in decayed} == {0.25: 0.2, 1.0: 0.1}
    whole.run_epoch()
    rates = {group["factor"]: group["lr"] for group in groups}
    assert rates[0.25] == pytest.approx(rates[1.0] / 4)
    whole.save()
    expected = timeless(whole.run_epoch())
    again = make_loop("whole")
    again.restore()
    assert timeless(again.run_epoch()) == expected
