"""What every method must keep, whatever it is. `tests/packages/method_cases.py` lists who is examined.

Shape letters: `B` queries, `N` items.
"""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from method_cases import CASES, Bench, as_queries, scores, with_histories
from pydantic import ValidationError

from searchplat.contract import Training, WarmCache
from searchplat.methods import load_method, method_names
from trials.data.preparing.dataset import UNKNOWN_USER
from trials.training import Loop, RecommenderMethod
from trials.training.measures.metrics import summarise

TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
"""Of scores computed in batches of other sizes: products are then summed in another order."""


def learnt(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics without those of time and memory."""
    return {name: value for name, value in metrics.items() if not name.startswith(("time/", "memory/"))}


def trained(loop: Loop) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in loop.model.named_parameters() if p.requires_grad}


def test_every_method_of_this_project_is_examined() -> None:
    ours = [name for name in method_names() if isinstance(load_method(name), RecommenderMethod)]
    assert set(ours) == {case.method for case in CASES.values()}


def test_methods_and_their_configs_load_nothing_heavy() -> None:
    code = (
        "import sys\nfrom searchplat.methods import load_method\n"
        f"for name in {sorted({case.method for case in CASES.values()})}:\n"
        "    method = load_method(name)\n"
        "    method.layout_layers(method.Config())\n"
        "print({'torch', 'ray', 'mlflow', 'transformers', 'scipy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


# The config


def test_it_says_what_it_is(bench: Bench) -> None:
    assert bench.method.name == bench.case.method
    assert bench.method.summary
    assert "\n" not in bench.method.summary
    assert isinstance(bench.method.paper, str)
    layers = bench.method.layout_layers(bench.config())
    assert layers is None or layers >= 1


def test_the_config_survives_json(bench: Bench) -> None:
    config = bench.config()
    assert type(config).model_validate_json(config.model_dump_json()) == config


def test_every_setting_is_described_and_frozen(bench: Bench) -> None:
    fields = bench.method.Config.model_fields
    assert [name for name, setting in fields.items() if not setting.description] == []
    with pytest.raises(ValidationError, match="frozen"):
        bench.config().epochs = 3


def test_an_unknown_setting_is_refused(bench: Bench) -> None:
    with pytest.raises(ValidationError, match="no_such_setting"):
        bench.config(no_such_setting=1)


# The model


def test_every_query_gets_a_finite_score_for_every_item(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    assert isinstance(loop, Training)
    queries = loop.data.valid_queries().rows(0, 7)
    found_BN = scores(loop.model, queries)
    assert found_BN.shape == (7, loop.data.num_items)
    assert found_BN.isfinite().all()
    assert not found_BN.requires_grad


def test_a_user_that_was_not_in_training_gets_scores(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    assert scores(loop.model, as_queries([[3, 1], [2]], [UNKNOWN_USER, 0])).isfinite().all()


def test_losses_are_finite_and_reach_every_trained_parameter_and_no_other(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    loop.model.train()
    batches = list(loop.model.batches(0, np.random.default_rng(0)))
    assert len(batches) == loop.model.num_batches()
    assert bool(batches) == bench.learns
    for batch in batches:
        parts = loop.model.loss(batch)
        assert all(part.shape == () and part.isfinite() for part in parts.values())
        sum(parts.values()).backward()
    parameters = dict(loop.model.named_parameters())
    assert {name for name, p in parameters.items() if p.grad is not None} == set(trained(loop))
    assert all(p.grad.isfinite().all() for p in parameters.values() if p.grad is not None)


def test_training_changes_what_is_trained_and_not_one_bit_of_the_rest(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    before = trained(loop)
    everything = {**dict(loop.model.named_parameters()), **dict(loop.model.named_buffers())}
    kept = set(loop._model_tensors())
    frozen = {name: tensor.clone() for name, tensor in everything.items() if name not in kept}
    loop.run_epoch()
    assert all(torch.equal(everything[name], tensor) for name, tensor in frozen.items())
    assert [name for name, tensor in trained(loop).items() if torch.equal(tensor, before[name])] == []


def test_scores_do_not_depend_on_the_other_queries(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    loop.run_epoch()
    data = loop.data
    users = [3, 0, 11, 7, 25]
    histories = [data.history(u)[: 1 + 4 * place] for place, u in enumerate(users)]
    together_BN = scores(loop.model, as_queries(histories, users))
    backwards_BN = scores(loop.model, as_queries(histories[::-1], users[::-1]))
    torch.testing.assert_close(backwards_BN.flip(0), together_BN, **TOLERANCE)
    for b, (history, user) in enumerate(zip(histories, users, strict=True)):
        torch.testing.assert_close(scores(loop.model, as_queries([history], [user]))[0], together_BN[b], **TOLERANCE)


# No leak


def test_later_items_do_not_change_a_prefixs_scores(bench: Bench, tmp_path: Path) -> None:
    data = bench.start(tmp_path).data
    rng = np.random.default_rng(0)
    histories = [data.history(u) for u in range(data.num_users)]
    cuts = [max(1, len(history) // 2) for history in histories]
    changed = [
        np.concatenate([history[:cut], rng.integers(data.num_items, size=len(history) - cut)])
        for history, cut in zip(histories, cuts, strict=True)
    ]
    one = bench.loop(data, tmp_path / "one")
    other = bench.loop(with_histories(data, changed), tmp_path / "other")
    with torch.no_grad():  # equal weights: whatever differs now was looked up in the data
        for name, tensor in other._model_tensors().items():
            tensor.copy_(one._model_tensors()[name])
    prefixes = as_queries([history[:cut] for history, cut in zip(histories, cuts, strict=True)], range(len(histories)))
    assert torch.equal(scores(one.model, prefixes), scores(other.model, prefixes))


def test_validation_targets_do_not_reach_training(bench: Bench, tmp_path: Path) -> None:
    data = bench.start(tmp_path).data
    histories = [data.history(u) for u in range(data.num_users)]
    loops = [
        bench.loop(with_histories(data, histories, targets_U), tmp_path / name)
        for name, targets_U in (("one", data.valid_target_U), ("other", data.valid_target_U[::-1]))
    ]
    found = [loop.run_epoch() for loop in loops]
    one, other = (trained(loop) for loop in loops)
    assert all(torch.equal(other[name], tensor) for name, tensor in one.items())
    queries = data.valid_queries()
    assert torch.equal(scores(loops[0].model, queries), scores(loops[1].model, queries))
    assert found[0].get("train/loss") == found[1].get("train/loss")


# Learning


def test_it_learns_eight_users_by_heart(bench: Bench, tmp_path: Path) -> None:
    if not bench.learns:
        pytest.skip(f"{bench.case.method} learns nothing")
    whole = bench.start(tmp_path).data
    histories = [whole.history(u)[-4:] for u in range(whole.num_users) if len(whole.history(u)) >= 4][:8]
    data = with_histories(whole, histories)
    loop = bench.loop(data, tmp_path / "eight", **(bench.case.overfit or {}))
    queries = as_queries([history[:-1] for history in histories], range(8))
    targets_U = np.array([history[-1] for history in histories])
    losses = [loop.run_epoch()["train/loss"] for _ in range(loop.epochs)]
    recall = summarise(loop.ranks(queries, targets_U), ["recall@1"])["recall@1"]
    assert losses[-1] < losses[0]
    assert recall >= 7 / 8, f"recall@1 {recall}, loss {losses[0]:.3f} -> {losses[-1]:.3f}"


# Repeating and resuming


def test_the_same_seed_gives_the_same_result_warm_or_cold_and_another_seed_another(
    bench: Bench, tmp_path: Path
) -> None:
    cold, warm = bench.start(tmp_path / "cold", cold=True), bench.start(tmp_path / "warm")
    other = bench.start(tmp_path / "other", seed=2)
    found = [learnt(loop.run_epoch()) for loop in (cold, warm, other)]
    assert found[0] == found[1]
    assert (found[0] != found[2]) == bench.learns


def test_other_trials_of_its_process_change_nothing(bench: Bench, tmp_path: Path) -> None:
    alone = bench.start(tmp_path / "alone", cold=True)
    bench.warm = WarmCache()
    for number, values in enumerate(bench.other_points(3)):
        bench.start(tmp_path / f"before-{number}", seed=number, **values)
    behind = bench.start(tmp_path / "behind")
    assert learnt(behind.run_epoch()) == learnt(alone.run_epoch())


def test_a_saved_and_loaded_model_gives_equal_scores(bench: Bench, tmp_path: Path) -> None:
    loop = bench.start(tmp_path)
    metrics = loop.run_epoch()
    loop.save()
    again = bench.start(tmp_path)
    assert again.restore() == 1
    assert again.metrics == metrics
    queries = loop.data.valid_queries()
    assert torch.equal(scores(again.model, queries), scores(loop.model, queries))


def test_an_interrupted_training_ends_like_an_uninterrupted_one(bench: Bench, tmp_path: Path) -> None:
    if not bench.learns:
        pytest.skip(f"{bench.case.method} has one epoch")
    whole = bench.start(tmp_path / "whole")
    expected = [learnt(whole.run_epoch()) for _ in range(whole.epochs)]
    first = bench.start(tmp_path / "parts")
    first.run_epoch()
    first.save()
    second = bench.start(tmp_path / "parts")
    assert second.restore() == 1
    assert learnt(second.run_epoch()) == expected[1]


def test_all_reported_metrics_are_finite_numbers_and_those_of_validation_are_foreseen(
    bench: Bench, tmp_path: Path
) -> None:
    loop = bench.start(tmp_path)
    found = loop.run_epoch()
    assert {name for name in found if name.startswith("valid/")} == {*bench.method.reported(loop.config)}
    assert all(isinstance(value, float) and math.isfinite(value) for value in found.values())
    assert all(name.count("/") >= 1 for name in found.keys() - {"parameters"})


@pytest.mark.gpu
def test_it_trains_on_a_gpu(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    monkeypatch.setattr(bench, "device", "cuda")
    loop = bench.start(tmp_path)
    metrics = loop.run_epoch()
    assert all(math.isfinite(value) for value in metrics.values())
    loop.save()
    again = bench.start(tmp_path)
    again.restore()
    queries = loop.data.valid_queries()
    torch.testing.assert_close(scores(again.model, queries), scores(loop.model, queries), **TOLERANCE)
