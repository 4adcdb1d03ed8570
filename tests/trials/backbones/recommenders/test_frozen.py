"""Backbones that are trained once: the same from everywhere, whole or not at all, and without a trace in a trial."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.errors import InputError
from trials.backbones.recommenders import frozen
from trials.backbones.recommenders.cloze import ClozeModel
from trials.backbones.recommenders.frozen import (
    BackboneName,
    BERT4RecSettings,
    SASRecSettings,
    blank_recommender,
    carried,
    frozen_recommender,
    prepare_frozen,
    start_at_texts,
)
from trials.backbones.recommenders.transformer import INITIAL_STD
from trials.data import SearchData, open_search
from trials.training.final import FinalLoop
from trials.training.measures.metrics import summarise

TINY: dict[str, Any] = {"hidden_size": 8, "inner_size": 8, "num_layers": 1, "max_length": 10, "learning_rate": 0.01}
SASREC = SASRecSettings(**TINY, epochs=3)
BERT4REC = BERT4RecSettings(**TINY, epochs=3, copies=2)
SETTINGS = {"sasrec": SASREC, "bert4rec": BERT4REC}
REQUEST = DataRequest("toy")


class Place:
    """A cache of its own, and what a trial is given there."""

    def __init__(self, folder: Path) -> None:
        self.assets = AssetStore(folder / "cache")
        self.data: SearchData = open_search(REQUEST, self.assets)
        self.folder = folder

    def job(self) -> TrialJob:
        return TrialJob(0, SASREC, REQUEST, 5, self.folder / "trial", self.assets, WarmCache())

    def get(self, name: BackboneName = "sasrec", settings: Any = None, seed: int = 1, **more: Any) -> Any:
        job = more.get("job") or self.job()
        return frozen_recommender(name, settings or SETTINGS[name], more.get("data", self.data), seed, job)

    def files(self) -> dict[str, bytes]:
        """The weights of every backbone, by folder."""
        return {path.parent.name: path.read_bytes() for path in self.assets.cache.glob("backbones/*/*.safetensors")}

    def about(self) -> dict[str, Any]:
        (path,) = self.assets.cache.glob("backbones/*/about.json")
        told: dict[str, Any] = json.loads(path.read_text())
        return told


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which backbones were trained, in order."""
    done: list[str] = []
    train: Callable[..., Any] = frozen._train

    def counted(name: str, *rest: Any) -> Any:
        done.append(name)
        return train(name, *rest)

    monkeypatch.setattr(frozen, "_train", counted)
    return done


def weights(encoder: nn.Module) -> dict[str, torch.Tensor]:
    return dict(encoder.state_dict())


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(weights(one)[name], tensor) for name, tensor in weights(other).items())


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_it_is_frozen_whatever_mode_the_model_around_it_is_in(place: Place, name: BackboneName) -> None:
    encoder = place.get(name)
    assert not encoder.training
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert list(encoder.buffers()) == []
    queries = place.data.valid_queries().rows(0, 4)
    before = encoder.encode(queries)
    nn.Sequential(encoder).train()
    assert torch.equal(encoder.encode(queries), before)
    assert encoder.item_scores(before).shape == (4, place.data.num_items)


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_it_is_trained_once_and_the_same_in_another_cache(
    place: Place, name: BackboneName, trainings: list[str], tmp_path: Path
) -> None:
    job = place.job()
    first = place.get(name, job=job)
    assert place.get(name, job=job) is first
    assert equal(place.get(name), first)
    assert trainings == [name]
    elsewhere = Place(tmp_path / "elsewhere")
    prepare_frozen(name, SETTINGS[name], REQUEST, 1, elsewhere.assets)
    assert trainings == [name, name]
    assert equal(elsewhere.get(name), first)
    assert elsewhere.files() == place.files()
    assert len(trainings) == 2
    assert not list(place.assets.cache.glob("backbones/*/training"))


def test_other_data_settings_or_seed_is_another_backbone(place: Place, trainings: list[str]) -> None:
    one = place.get()
    fewer = open_search(replace(REQUEST, fraction=0.5), place.assets)
    others = [place.get(seed=2), place.get(settings=SASREC.model_copy(update={"epochs": 2})), place.get(data=fewer)]
    assert not any(equal(one, other) for other in others)
    place.get(settings=SASREC.model_copy(update={"eval_batch_size": 7}))
    assert len(trainings) == len(place.files()) == 4


def test_it_is_trained_where_the_caller_takes_no_gradients(place: Place) -> None:
    with torch.no_grad():
        within = place.get()
    assert not any(parameter.requires_grad for parameter in within.parameters())
    shutil.rmtree(place.assets.cache / "backbones")
    assert equal(place.get(), within)


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_what_is_held_out_is_not_trained_on(place: Place, name: BackboneName) -> None:
    held, whole = (place.get(name, SETTINGS[name].model_copy(update={"holdout": n})) for n in (2, 0))
    assert not equal(held, whole)
    changed = place.data.train_items.copy()
    ends_U = place.data.train_offsets[1:]
    changed[ends_U - 1], changed[ends_U - 2] = changed[ends_U - 2].copy(), changed[ends_U - 1].copy()
    other = replace(place.data, train_items=changed, fingerprint="other")
    once = {"patience": None, "epochs": 1, "holdout": 2}  # early stopping reads whole histories
    settings = SETTINGS[name].model_copy(update=once)
    assert equal(place.get(name, settings), place.get(name, settings, data=other))


@pytest.mark.parametrize("name", ["sasrec", "bert4rec"])
def test_items_may_begin_at_their_texts(place: Place, name: BackboneName) -> None:
    encoder = place.get(name, SETTINGS[name].model_copy(update={"item_text": "random-bert"}))
    assert not equal(encoder, place.get(name))
    torch.manual_seed(0)
    vectors_NW = torch.randn(place.data.num_items, 3) @ torch.randn(3, 6)
    start_at_texts(encoder, vectors_NW.numpy())
    start_NW = encoder.item_embedding.weight[: place.data.num_items]
    assert start_NW[:, :3].std(0).tolist() == pytest.approx([INITIAL_STD] * 3, rel=0.4)
    # Like texts have like vectors: between items the same as between their texts but for a linear map.
    centred_NW = (vectors_NW - vectors_NW.mean(0)).double()
    fitted = torch.linalg.lstsq(centred_NW, start_NW[:, :3].double()).solution
    torch.testing.assert_close(centred_NW @ fitted, start_NW[:, :3].double(), atol=1e-6, rtol=1e-4)


def test_a_trial_goes_on_drawing_what_it_would_have_drawn(place: Place) -> None:
    def draws() -> tuple[float, float, float]:
        return random.random(), float(np.random.random()), float(torch.rand(()))

    found = []
    for ask in (lambda: None, place.get, place.get, lambda: blank_recommender("sasrec", SASREC, 40)):
        random.seed(3)
        np.random.seed(3)
        torch.manual_seed(3)
        ask()
        found.append(draws())
    assert len(set(found)) == 1


@pytest.mark.parametrize("damage", ["flipped", "cut", "missing", "untold", "not json"])
def test_a_damaged_file_is_noticed_and_trained_again(place: Place, damage: str, trainings: list[str]) -> None:
    first = place.get()
    ((name, content),) = place.files().items()
    folder = place.assets.cache / "backbones" / name
    file, about = folder / "encoder.safetensors", folder / "about.json"
    if damage == "flipped":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "missing":
        file.unlink()
    elif damage == "untold":
        about.unlink()
    else:
        about.write_text("[]")
    assert equal(place.get(), first)
    assert len(trainings) == 2
    assert place.files() == {name: content}


def test_an_interrupted_training_is_taken_up_and_ends_like_a_whole_one(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    run_epoch = FinalLoop.run_epoch

    def failing(loop: FinalLoop) -> dict[str, float]:
        if len(epochs) == 2:
            epochs.append(-1)
            raise KeyboardInterrupt
        epochs.append(loop.epoch)
        return run_epoch(loop)

    monkeypatch.setattr(FinalLoop, "run_epoch", failing)
    with pytest.raises(KeyboardInterrupt):
        place.get("bert4rec")
    assert place.files() == {}
    place.get("bert4rec")
    assert epochs == [0, 1, -1, 2]
    whole = Place(tmp_path / "whole")
    whole.get("bert4rec")
    assert whole.files() == place.files()


def test_the_best_epoch_on_validation_is_kept_and_training_ends_in_time(place: Place) -> None:
    settings = SASREC.model_copy(update={"epochs": 60, "patience": 3, "learning_rate": 0.05})
    encoder = place.get(settings=settings)
    about = place.about()
    assert about["epochs_trained"] == about["epoch_kept"] + 3 < 60
    scores_UN = encoder.item_scores(encoder.encode(place.data.valid_queries()))
    targets = torch.from_numpy(np.asarray(place.data.valid_target_U, dtype=np.int64))
    ranks = (scores_UN >= scores_UN.gather(1, targets[:, None])).sum(dim=1)
    assert about["metrics"]["valid/mrr@10"] == pytest.approx(summarise(ranks.numpy(), ["mrr@10"])["mrr@10"], abs=1e-6)


def test_without_patience_the_last_epoch_is_kept_whatever_validation_says(place: Place) -> None:
    settings = SASREC.model_copy(update={"patience": None})
    first = place.get(settings=settings)
    assert place.about()["epoch_kept"] == 3
    turned = replace(place.data, valid_target_U=place.data.valid_target_U[::-1], fingerprint="turned")
    assert equal(place.get(settings=settings, data=turned), first)


@pytest.mark.parametrize("patience", [1, None])
def test_a_training_that_diverges_says_so(place: Place, patience: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClozeModel, "loss", lambda self, batch: {"cloze": self.encoder.item_bias.sum() * torch.nan})
    with pytest.raises(InputError, match=r"'bert4rec' on data 'toy': .* diverged with learning_rate=0.01; lower it"):
        place.get("bert4rec", BERT4REC.model_copy(update={"patience": patience}))
    assert place.files() == {}


def test_a_carried_copy_is_saved_with_a_model_and_loads_into_a_blank_one(place: Place) -> None:
    encoder = place.get("bert4rec")
    copy = carried(encoder)
    assert list(copy.parameters()) == []
    assert set(dict(copy.named_buffers())) == set(weights(encoder)) == set(copy.state_dict())
    blank = carried(blank_recommender("bert4rec", BERT4REC, place.data.num_items))
    assert not equal(blank, copy)
    blank.load_state_dict(copy.state_dict())
    queries = place.data.valid_queries().rows(0, 3)
    assert torch.equal(blank.item_scores(blank.encode(queries)), encoder.item_scores(encoder.encode(queries)))


def test_names_and_settings_must_belong_together(place: Place) -> None:
    with pytest.raises(InputError, match="backbone: must be one of sasrec, bert4rec, got 'gru'"):
        place.get("gru", SASREC)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="backbone 'bert4rec': its settings must be BERT4RecSettings, got SASRec"):
        place.get("bert4rec", SASREC)
    with pytest.raises(ValueError, match="stop_metric must be one of metrics, got stop_metric=mrr"):
        SASRecSettings(stop_metric="mrr")


@pytest.mark.slow
def test_several_processes_at_once_train_one_backbone(place: Place) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom searchplat.assets import AssetStore\n"
        "from searchplat.contract import DataRequest\nfrom trials.backbones.recommenders import frozen\n"
        "train = frozen._train\n"
        "def told(*given):\n    print('trained', flush=True)\n    return train(*given)\n"
        "frozen._train = told\n"
        f"settings = frozen.SASRecSettings.model_validate_json({SASREC.model_dump_json()!r})\n"
        f"store = AssetStore(Path({str(place.assets.cache)!r}))\n"
        "frozen.prepare_frozen('sasrec', settings, DataRequest('toy'), 1, store)\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * 4
    assert "".join(said).count("trained") == 1
    assert len(place.files()) == 1
