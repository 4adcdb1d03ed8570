"""Recommenders by item ids that are trained once and then frozen, for methods that build on them.

A backbone belongs to its data, its settings and its seed: every trial and every method that names the same three
reads the same file. `prepare_frozen` trains it ahead of all trials; a trial that finds none trains it itself.

A method that is to be served or resumed puts `carried(...)` of the backbone into its model: then the weights travel
in checkpoints and packages, and `blank_recommender` is all that `rebuild` needs.
"""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, FinalJob, TrialJob, WarmCache
from searchplat.errors import InputError, TryAgainError
from trials.backbones.encoders.text_encoder import text_embeddings
from trials.backbones.recommenders.bert4rec import BERT4RecEncoder
from trials.backbones.recommenders.cloze import ClozeModel
from trials.backbones.recommenders.next_item import NextItemModel
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.backbones.recommenders.settings import (
    BackboneName,
    BackboneSettings,
    BERT4RecSettings,
    ClozeSettings,
    SASRecSettings,
    TransformerSettings,
)
from trials.backbones.recommenders.transformer import INITIAL_STD, open_units
from trials.data.preparing.dataset import SearchData
from trials.data.whole_files import replace_bytes
from trials.training.recommender import Recommender
from trials.training.seeds import own_generators, seed_everything

__all__ = [
    "BERT4RecSettings",
    "BackboneName",
    "BackboneSettings",
    "Encoder",
    "SASRecSettings",
    "blank_recommender",
    "carried",
    "frozen_recommender",
    "prepare_frozen",
]

FORMAT = 1
"""Raise it when the same data, settings and seed would give other weights."""

WEIGHTS = "encoder.safetensors"
ABOUT = "about.json"

Encoder = SASRecEncoder | BERT4RecEncoder


def frozen_recommender(
    name: BackboneName, settings: BackboneSettings, data: SearchData, seed: int, job: TrialJob
) -> Encoder:
    """The trained encoder for this data, settings and seed, on `job.device`; trained now if nobody has yet.

    It is in evaluation mode, without dropout in any mode, without gradients and without persistent buffers, and
    is kept in `job.warm`: it must not be changed. Training uses validation alone, and leaves every random generator
    as it found it. Several processes may ask at once: one trains, the others wait. A file that is not what was
    written is trained again.

    Args:
        name: `sasrec` or `bert4rec`.
        settings: `SASRecSettings` or `BERT4RecSettings`.
        data: Whose users and items; a smaller share of the users has a backbone of its own.
        seed: Of the backbone, not of the trial: a search that reuses one backbone takes a constant.
        job: For the cache, the device and what is kept warm.

    Raises:
        InputError: If the settings are another backbone's, or training diverges.
        TryAgainError: If the disk is full.
    """
    _check(name, settings)
    digest = _digest(name, settings, data, seed)

    def load() -> Encoder:
        tensors = _trained(digest, name, settings, data, seed, job)
        encoder = blank_recommender(name, settings, data.num_items)
        encoder.load_state_dict(tensors)
        return encoder.to(job.device)

    return job.warm.get(("frozen-backbone", digest, job.device), load)


def prepare_frozen(
    name: BackboneName, settings: BackboneSettings, data: DataRequest, seed: int, assets: AssetSource
) -> None:
    """Train the encoder ahead of all trials, for a method's `prepare`; nothing to do if it is there.

    It trains on the GPU where there is one. A CPU's and a GPU's weights differ by rounding: whoever trains first
    decides for all.

    Args:
        data: The data of the trials, with their share of the users.

    Raises:
        InputError, TryAgainError: As `frozen_recommender`.
    """
    from trials.data import open_search

    _check(name, settings)
    opened = open_search(data, assets)
    digest = _digest(name, settings, opened, seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    job = TrialJob(None, settings, data, seed, Path("unused"), assets, WarmCache(), device)
    _trained(digest, name, settings, opened, seed, job)


def blank_recommender(name: BackboneName, settings: TransformerSettings, num_items: int) -> Encoder:
    """An encoder of the right shapes, frozen, in evaluation mode and without dropout, for weights to be loaded into.

    Draws from no generator that anybody else uses.
    """
    with own_generators():
        encoder = _make_encoder(name, settings, num_items, dropout=0.0)
    return encoder.requires_grad_(False).eval()


def carried(encoder: Encoder) -> Encoder:
    """A copy whose weights are persistent buffers, so that checkpoints and packages of a model carry them."""
    made = copy.deepcopy(encoder)
    for module in made.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return made


def _make_encoder(name: BackboneName, settings: TransformerSettings, num_items: int, dropout: float) -> Encoder:
    kind = SASRecEncoder if name == "sasrec" else BERT4RecEncoder
    return kind(num_items, **(settings.sizes | {"dropout": dropout}))


def make_model(name: BackboneName, settings: BackboneSettings, data: SearchData) -> Recommender:
    """What trains the encoder, with random weights."""
    encoder = _make_encoder(name, settings, data.num_items, settings.dropout)
    if isinstance(encoder, SASRecEncoder):
        return NextItemModel(encoder, data, settings)
    assert isinstance(settings, ClozeSettings)
    return ClozeModel(encoder, data, settings)


def _check(name: str, settings: BackboneSettings) -> None:
    kinds: dict[str, type[BackboneSettings]] = {"sasrec": SASRecSettings, "bert4rec": BERT4RecSettings}
    if name not in kinds:
        raise InputError(f"backbone: must be one of {', '.join(kinds)}, got {name!r}")
    if not isinstance(settings, kinds[name]):
        raise InputError(
            f"backbone {name!r}: its settings must be {kinds[name].__name__}, got {type(settings).__name__}"
        )


def _digest(name: str, settings: BackboneSettings, data: SearchData, seed: int) -> str:
    """Names a backbone by all that it depends on."""
    depends = {
        "format": FORMAT,
        "name": name,
        # How many queries are scored at once changes nothing.
        "settings": settings.model_dump(mode="json", exclude={"eval_batch_size"}),
        "data": data.fingerprint,
        "items": data.num_items,
        "rank_met": data.rank_met,  # early stopping goes by what is ranked
        "seed": seed,
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:32]


def _trained(
    digest: str, name: BackboneName, settings: BackboneSettings, data: SearchData, seed: int, job: TrialJob
) -> dict[str, Tensor]:
    """The encoder's tensors on the CPU, from the cache or by training."""
    parent = job.assets.folder("backbones")
    folder = job.assets.folder("backbones", digest)
    shapes = {
        key: tensor.shape for key, tensor in blank_recommender(name, settings, data.num_items).state_dict().items()
    }
    if (found := _read(folder, shapes)) is not None:
        return found
    with FileLock(parent / f"{digest}.lock"):
        if (found := _read(folder, shapes)) is not None:  # another process was faster
            return found
        work = folder / "training"  # where an interrupted training is taken up again
        # Also where the caller wants no gradients of what it does with the encoder.
        with torch.enable_grad(), own_generators(job.device):
            tensors, told = _train(name, settings, data, seed, replace(job, folder=work))
        about = {
            "backbone": name,
            "settings": settings.model_dump(mode="json"),
            "data": {"name": data.name, "fingerprint": data.fingerprint, "items": data.num_items},
            "seed": seed,
            **told,
        }
        _write(folder, tensors, about)
        shutil.rmtree(work, ignore_errors=True)
    return tensors


def _train(
    name: BackboneName, settings: BackboneSettings, data: SearchData, seed: int, job: TrialJob
) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Train to the end; return the encoder's tensors on the CPU, and what is worth knowing of the training.

    Early stopping as RecBole's, but for ties: an epoch that only equals the best is none here.
    """
    from trials.training.final import FinalLoop

    seed_everything(seed)
    model = make_model(name, settings, shown(data, settings))
    if settings.item_text is not None:
        start_at_texts(_encoder_of(model), text_embeddings(settings.item_text, data.sentences, job.assets))
    if settings.unit_spread is not None:
        open_units(_encoder_of(model).layers, settings.unit_spread)
    model.to(job.device)
    stopping = FinalJob(
        replace(job, config=settings, seed=seed),
        objective=f"valid/{settings.stop_metric}",
        patience=settings.patience or settings.epochs,
    )
    loop = FinalLoop(model, data, stopping, name)
    loop.restore()
    while not loop.done:
        loop.run_epoch()
        loop.save()
    if settings.patience is not None and loop.best_epoch:
        loop.load_best()
    tensors = {key: tensor.detach().cpu() for key, tensor in _encoder_of(model).state_dict().items()}
    if not loop.best_epoch or not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise InputError(
            f"backbone {name!r} on data {data.name!r}: training must end with finite weights, but it diverged with "
            f"learning_rate={settings.learning_rate}; lower it"
        )
    kept = loop.best_epoch if settings.patience is not None else loop.epoch
    metrics = loop.best_metrics if settings.patience is not None else loop.metrics
    valid = {key: value for key, value in metrics.items() if key.startswith("valid/") and math.isfinite(value)}
    return tensors, {"epochs_trained": loop.epoch, "epoch_kept": kept, "metrics": valid}


def shown(data: SearchData, settings: BackboneSettings) -> SearchData:
    """What of the data a backbone is trained on."""
    if settings.holdout:
        data = data.without_latest(settings.holdout)
    if settings.fold is not None:
        number, folds = settings.fold
        data = data.without_latest(np.where(data.users_U % folds == number, len(data.train_items), 0))
    return data


def _encoder_of(model: Recommender) -> Encoder:
    assert isinstance(model, NextItemModel | ClozeModel)
    assert isinstance(model.encoder, Encoder)
    return model.encoder


@torch.no_grad()
def start_at_texts(encoder: Encoder, vectors_NW: NDArray[np.float32]) -> None:
    """Let the items' vectors begin at the principal components of their texts' vectors, whitened.

    Components are as many as the encoder is wide, as far as the texts' vectors have so many; the others stay random.
    The spread is that of random vectors, `INITIAL_STD`.
    """
    x_NW = torch.from_numpy(vectors_NW).double()
    x_NW = x_NW - x_NW.mean(0)
    variances_W, axes_WW = torch.linalg.eigh(x_NW.T @ x_NW / len(x_NW))
    width = min(encoder.item_embedding.embedding_dim, int((variances_W > 1e-9 * variances_W[-1]).sum()))
    variances_D, axes_WD = variances_W.flip(0)[:width], axes_WW.flip(1)[:, :width]
    # A tenth of the mean variance keeps the weakest directions, which are mostly noise, from counting like the others.
    scales_D = INITIAL_STD * (variances_D + 0.1 * variances_D.mean()).rsqrt()
    encoder.item_embedding.weight[: len(x_NW), :width] = (x_NW @ axes_WD * scales_D).float()


def _read(folder: Path, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor] | None:
    """The tensors that were written, or None if there are none, or not the very bytes that were written."""
    try:
        about = json.loads((folder / ABOUT).read_bytes())
        content = (folder / WEIGHTS).read_bytes()
        if hashlib.sha256(content).hexdigest() != about["sha256"]:
            return None
        tensors = safetensors.torch.load(content)
    except (OSError, ValueError, LookupError, TypeError, safetensors.SafetensorError):
        return None
    return tensors if {key: tensor.shape for key, tensor in tensors.items()} == shapes else None


def _write(folder: Path, tensors: Mapping[str, Tensor], about: Mapping[str, object]) -> None:
    """Write the weights, then what they are; a reader trusts neither before both are there and agree."""
    content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in tensors.items()})
    told = {**about, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        replace_bytes(folder / WEIGHTS, content)
        replace_bytes(folder / ABOUT, json.dumps(told, indent=1, sort_keys=True).encode())
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryAgainError(f"the disk of {folder} is full; free some space and run it again.") from error
        raise
