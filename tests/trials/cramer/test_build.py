"""What trials share, what a served model knows, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import Bench, Case

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TestPermit
from searchplat.contract.measures import unasked
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from trials.backbones.encoders.request_encoder import FrozenRequests
from trials.backbones.recommenders import frozen
from trials.cramer import build
from trials.cramer.model import CRAMERModel
from trials.training.seeds import epoch_rng


def forbidden(*_: object, **__: object) -> None:
    raise AssertionError("this was prepared before")


def with_own_requests(bench: Bench, root: Path, **values: Any) -> Bench:
    """A bench on the toy data with requests of its own."""
    made = Bench(Case("cramer", {**bench.case.values, **values}), root)
    made.request = DataRequest("toy", {"requests": True})
    made.method.prepare(made.config(), made.request, made.assets)
    return made


def test_trials_train_no_backbone_and_encode_nothing_that_was_prepared(
    cramer_bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frozen, "_train", forbidden)
    monkeypatch.setattr(FrozenRequests, "_encode", forbidden)
    for values in ({"scope": "ffn", "drop_ratio": 0.2}, {"learning_rate": 1e-2, "shared": True}):
        metrics = cramer_bench.start(tmp_path / str(values), cold=True, **values).run_epoch()
        assert {"valid/ndcg@10", "valid/sampled/ndcg@10"} <= metrics.keys()


def test_a_trial_does_not_change_the_backbone_that_others_get(cramer_bench: Bench, tmp_path: Path) -> None:
    one = cramer_bench.start(tmp_path / "one")
    assert isinstance(one.model, CRAMERModel)
    one.model.backbone.item_embedding.weight.zero_()
    other = cramer_bench.start(tmp_path / "other").model
    assert isinstance(other, CRAMERModel)
    assert bool(other.backbone.item_embedding.weight.any())


@pytest.mark.parametrize(
    "values",
    [
        {"tuned": "last"},
        {"tuned": "all", "shared": True},
        {"request": "none"},
        {
            "request_components": 4,
            "projection_start": "zero",
            "noise": 0,
            "surrogate": "threshold",
            "request_dropout": 0.5,
        },
        {"request": "same"},
        {"backbone_holdout": 1, "backbone_item_start": "text"},
    ],
    ids=str,
)
def test_every_regime_trains_saves_and_loads(cramer_bench: Bench, tmp_path: Path, values: dict[str, Any]) -> None:
    loop = cramer_bench.start(tmp_path, **values)
    loop.run_epoch()
    loop.save()
    again = cramer_bench.start(tmp_path, **values)
    assert again.restore() == 1
    queries, targets_U = loop.data.valid_queries(), loop.data.valid_target_U
    assert (again.ranks(queries, targets_U) == loop.ranks(queries, targets_U)).all()


def test_the_data_sets_own_requests_are_read_in_training_and_validation(cramer_bench: Bench, tmp_path: Path) -> None:
    own = with_own_requests(cramer_bench, tmp_path / "cache")
    model = own.start(tmp_path / "run").model
    assert isinstance(model, CRAMERModel)
    assert model.source == "data"
    queries = own.start(tmp_path / "run").data.valid_queries()
    model.eval()
    with torch.inference_mode():
        asked = model.scores(queries)
        assert not torch.equal(asked, model.scores(replace(queries, requests=None)))


@pytest.fixture
def package(cramer_bench: Bench, tmp_path: Path) -> tuple[Path, Path]:
    """A final training's folder, and a package made of it."""
    own = with_own_requests(cramer_bench, tmp_path / "cache", drop_ratio=0.25)
    training = own.method.start_final(FinalJob(own.job(tmp_path / "run"), "valid/ndcg@10"))
    while not training.done:
        training.run_epoch()
        training.save()
    tested = training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    assert {name for name in tested.metrics if not unasked(name)} == {"mrr", "sampled/mrr"}
    own.method.pack(tmp_path / "run", tmp_path / "package", own.assets)
    return tmp_path / "run", tmp_path / "package"


def test_a_served_model_answers_requests_and_writes_them_nowhere(
    cramer_bench: Bench, package: tuple[Path, Path], tmp_path: Path
) -> None:
    _, folder = package
    elsewhere = AssetStore(tmp_path / "empty")
    served = cramer_bench.method.load(folder, elsewhere)
    history = ["toy-1", "toy-6", "toy-11"]
    space, bread, silent = (
        served.top([history], 40, requests=None if text is None else [text])[0]
        for text in ("Something about space, please.", "Today I feel like cooking bread.", None)
    )
    assert space != bread != silent
    together = served.top([history, history], 40, requests=["Today I feel like cooking bread.", ""])
    assert [one.item for one in together[0]] == [one.item for one in bread]
    assert [one.item for one in together[1]] == [one.item for one in silent]
    assert [path for path in (tmp_path / "empty").rglob("*") if path.is_file()] == []


def test_a_model_without_requests_says_so(cramer_bench: Bench, tmp_path: Path) -> None:
    bare = Bench(Case("cramer", {**cramer_bench.case.values, "request": "none"}), tmp_path / "cache")
    training = bare.method.start_final(FinalJob(bare.job(tmp_path / "run", epochs=1), "valid/mrr"))
    training.run_epoch()
    training.save()
    training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    served = bare.method.load(tmp_path / "run", bare.assets)
    assert len(served.top([["toy-1"]])[0]) == 10
    with pytest.raises(InputError, match="this model reads no requests"):
        served.top([["toy-1"]], requests=["space"])


def test_more_components_than_the_encoder_has_are_refused(cramer_bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="request_components: must be at most the width of encoder 'random-bert'"):
        cramer_bench.start(tmp_path, request_components=4096)


def test_masks_learn_from_what_a_backbone_was_not_shown(cramer_bench: Bench, tmp_path: Path) -> None:
    whole, part = (cramer_bench.start(tmp_path / str(n), backbone_holdout=n, epochs=1).model for n in (0, 2))
    assert isinstance(whole, CRAMERModel)
    assert isinstance(part, CRAMERModel)
    users = cramer_bench.start(tmp_path / "0").data.num_users
    assert part._examples is not None
    assert len(part._examples) <= 2 * users
    assert not torch.equal(whole.backbone.item_embedding.weight, part.backbone.item_embedding.weight)


def test_masks_that_would_learn_nothing_are_refused(cramer_bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lambda_next: must be above 0 where text_weight is 0"):
        cramer_bench.start(tmp_path, lambda_next=0.0)


def test_what_texts_teach_is_free_of_the_items_to_predict(cramer_bench: Bench, tmp_path: Path) -> None:
    model = cramer_bench.start(tmp_path, lambda_next=0.0, text_weight=4.0, noise=0.0).model
    assert isinstance(model, CRAMERModel)
    batch = next(model.batches(0, epoch_rng(1, 0)))
    other = replace(batch, targets_B=(batch.targets_B + 1) % model.backbone.item_embedding.num_embeddings)
    found = [sum(model.loss(one).values()) for one in (batch, other)]
    assert torch.equal(torch.as_tensor(found[0]), torch.as_tensor(found[1]))
    assert "text" in model.loss(batch)


def test_each_user_is_learnt_from_on_the_backbone_of_the_others(cramer_bench: Bench, tmp_path: Path) -> None:
    loop = cramer_bench.start(tmp_path, backbone_folds=3)
    model = loop.model
    assert isinstance(model, CRAMERModel)
    examples, data = model._examples, loop.data
    assert examples is not None
    seen: list[int] = []
    for batch in model.batches(0, epoch_rng(1, 0)):
        assert batch.fold is not None
        seen += batch.targets_B.tolist()
        own = np.flatnonzero(data.users_U % 3 == batch.fold)
        theirs = {tuple(data.history(user)[: n + 1].tolist()) for user in own for n in range(len(data.history(user)))}
        for b, target in enumerate(batch.targets_B.tolist()):
            assert (*batch.queries.history(b).tolist()[-11:], target)[-5:] in {row[-5:] for row in theirs}
    assert sorted(seen) == sorted(examples.items[examples.targets_I].tolist())
    assert model.num_batches() == sum(1 for _ in model.batches(0, epoch_rng(1, 0)))
    # The loss is that of the fold's own backbone, and none of them is a tensor of the model.
    before = model.loss(batch)["next"]
    with torch.no_grad():
        model._folds[batch.fold].item_embedding.weight.mul_(2)
    assert not torch.equal(model.loss(batch)["next"], before)
    assert not [name for name in model.state_dict() if "fold" in name]
    assert not torch.equal(model._folds[0].item_embedding.weight, model._folds[1].item_embedding.weight)


def test_requests_that_a_data_set_lacks_are_refused_before_any_training(cramer_bench: Bench) -> None:
    with pytest.raises(InputError, match="data set 'toy' has no requests of its own"):
        build.prepare(cramer_bench.config(request="data"), cramer_bench.request, cramer_bench.assets)
