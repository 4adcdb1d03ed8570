"""The two phases of section 4.3.2: when items are encoded, what phase 2 starts from, and going on from a checkpoint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trials.laser.model import LaserModel


def count_items(model: LaserModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of items that went through the language model, call by call."""
    counts: list[int] = []
    embed = model.embed

    def watched(histories: Any, *, single: bool = False) -> Any:
        if single:
            counts.append(len(histories))
        return embed(histories, single=single)

    monkeypatch.setattr(model, "embed", watched)
    return counts


def learnt(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith(("time/", "memory/"))}


def test_phase_1_encodes_every_item_once_an_epoch_and_phase_2_none(
    make_loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = make_loop(epochs=5, phase1_share=0.6)
    counts = count_items(loop.model, monkeypatch)
    for epoch in range(5):
        counts.clear()
        metrics = loop.run_epoch()
        expected = loop.data.num_items if epoch < 3 else 0
        assert sum(counts) == metrics["laser/items_encoded"] == expected
        assert metrics["laser/phase"] == (1 if epoch < 3 else 2)


def test_without_phase_1_the_untrained_models_items_stay(make_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(variant="no-phase-1", epochs=3)
    with torch.no_grad():
        untrained_ND = loop.model.encode_items()
    counts = count_items(loop.model, monkeypatch)
    for _ in range(3):
        loop.run_epoch()
    assert sum(counts) == loop.data.num_items
    assert torch.equal(loop.model.memory.items_ND, untrained_ND)


def test_without_phase_2_items_are_made_anew_to_the_end(make_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(variant="no-phase-2", epochs=3)
    counts = count_items(loop.model, monkeypatch)
    for _ in range(3):
        loop.run_epoch()
    assert sum(counts) == 3 * loop.data.num_items


def test_phase_2_starts_from_the_best_epoch_of_phase_1(make_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop(epochs=4, phase1_share=0.75)
    model: LaserModel = loop.model
    kept = []
    consider = model.memory.consider
    for value in (0.2, 0.6, 0.1):  # the second is best, whatever validation says
        monkeypatch.setattr(model.memory, "consider", lambda _, weights, value=value: consider(value, weights))
        loop.run_epoch()
        kept.append((model.memory.items_ND.clone(), [p.detach().clone() for p in model.parameters()]))
    model.train()
    next(model.batches(3, np.random.default_rng(0)))
    items_ND, weights = kept[1]
    assert torch.equal(model.memory.items_ND, items_ND)
    assert all(torch.equal(p, weight) for p, weight in zip(model.parameters(), weights, strict=True))
    assert not torch.equal(items_ND, kept[2][0])


def test_phase_2_moves_users_and_not_items(make_loop: Any) -> None:
    loop = make_loop(epochs=4, phase1_share=0.5)
    loop.run_epoch()
    loop.run_epoch()
    fixed = loop.model.memory.best_items_ND.clone()
    for _ in range(2):
        before = [p.detach().clone() for p in loop.model.parameters()]
        loop.run_epoch()
        assert torch.equal(loop.model.memory.items_ND, fixed)
        assert all(not torch.equal(p, old) for p, old in zip(loop.model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("variant", "stop"), [("laser", 1), ("laser", 2), ("laser", 3), ("no-phase-1", 1), ("no-phase-2", 3)]
)
def test_going_on_from_a_checkpoint_is_the_same_training(make_loop: Any, stop: int, variant: str) -> None:
    """Interrupted within phase 1, between the phases, and within phase 2."""
    settings = {"epochs": 4, "phase1_share": 0.5, "variant": variant, "former_dropout": 0.2, "centre_states": True}
    whole = make_loop("whole", **settings)
    expected = [learnt(whole.run_epoch()) for _ in range(4)]
    first = make_loop("parts", **settings)
    for _ in range(stop):
        first.run_epoch()
        first.save()
    second = make_loop("parts", seed=0, **settings)
    assert second.restore() == stop
    queries = second.data.valid_queries()
    targets = second.data.valid_target_U
    assert second.ranks(queries, targets).tolist() == first.ranks(queries, targets).tolist()
    assert [learnt(second.run_epoch()) for _ in range(4 - stop)] == expected[stop:]
    mine, theirs = second.model.state_dict(), whole.model.state_dict()
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())


def test_a_model_that_never_trained_encodes_its_items_once(make_loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = make_loop()
    counts = count_items(loop.model, monkeypatch)
    for _ in range(2):
        loop.ranks(loop.data.valid_queries(), loop.data.valid_target_U)
    assert sum(counts) == loop.data.num_items
