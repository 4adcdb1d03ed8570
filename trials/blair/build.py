"""Puts a trial's model together; tunes the encoder where nobody has yet, which `prepare` does ahead of all trials."""

from __future__ import annotations

import hashlib
import json

import safetensors.torch
import torch
from filelock import FileLock
from torch import Tensor

from searchplat.contract import AssetSource, TrialJob
from trials.backbones.encoders.request_encoder import request_folder
from trials.backbones.encoders.text_encoder import TextEncoder, encoder_digest, load_text_encoder
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.words import digest_texts
from trials.blair.config import BLaIRConfig
from trials.blair.model import BLaIRModel
from trials.blair.pairs import pairs_of
from trials.blair.tuning import TunableEncoder, Weights, tune
from trials.data.preparing.dataset import SearchData
from trials.data.whole_files import replace_bytes
from trials.training.seeds import own_generators, seed_everything

FORMAT = 1
"""Raise it when the same data, settings and seed would give other weights."""

_ITEMS = "items"
"""The items' vectors, beside the weights in a file of what was tuned."""


def build(config: BLaIRConfig, data: SearchData, job: TrialJob) -> BLaIRModel:
    """Make the model of a trial; what was tuned comes from, or goes into, `job.warm` and the cache.

    Raises:
        InputError: If the data set's own requests are wanted, and it has none.
    """
    key = ("blair", _depends(config), data.fingerprint, job.device)
    texts_NW, weights = job.warm.get(key, lambda: tuned(config, data, job.assets, job.device))
    seed_everything(job.seed)  # whatever tuning drew: a warm start draws the same weights as a cold one
    return _model(config, data, job, texts_NW, weights)


def rebuild(config: BLaIRConfig, data: SearchData, job: TrialJob) -> BLaIRModel:
    """The model in its shapes, for its weights to be loaded into."""
    made = TunableEncoder(_encoder(config, data, job), config, "cpu", None)
    width = made.head.in_features if made.head is not None else made.tuned.width
    return _model(config, data, job, torch.zeros(data.num_items, width), made.weights())


def prepare(config: BLaIRConfig, data: SearchData, assets: AssetSource) -> None:
    """Tune the encoder ahead of all trials; nothing to do if it is there."""
    tuned(config, data, assets, "cuda" if torch.cuda.is_available() else "cpu")


def tuned(config: BLaIRConfig, data: SearchData, assets: AssetSource, device: str) -> tuple[Tensor, Weights]:
    """Vectors `[N, W]` of all items, of unit length, and what was tuned; learnt once for data, encoder and settings.

    Training leaves every random generator as it found it. Several processes may ask at once: one tunes, the others
    wait.

    Raises:
        InputError: If the data set's own requests are wanted, and it has none.
    """
    told = f"{FORMAT} {data.fingerprint} {encoder_digest(config.text_encoder, assets)} {_depends(config)}"
    digest = hashlib.sha256(told.encode()).hexdigest()[:32]
    folder = assets.folder("prepared", "blair")
    path = folder / f"{digest}.safetensors"
    with FileLock(folder / f"{digest}.lock"):
        if not path.exists():
            replace_bytes(path, safetensors.torch.save(_tune(config, data, assets, device)))
    tensors = safetensors.torch.load(path.read_bytes())
    return tensors.pop(_ITEMS), tensors


def _tune(config: BLaIRConfig, data: SearchData, assets: AssetSource, device: str) -> Weights:
    pairs = pairs_of(data, config.context)
    with torch.enable_grad(), own_generators(device):
        seed_everything(config.tune_seed)
        encoder = load_text_encoder(config.text_encoder, assets, texts=data.sentences)
        made = TunableEncoder(encoder, config, device, request_folder(config.text_encoder, data, assets))
        tune(made, pairs, data.sentences, config)
        return {_ITEMS: made.read(data.sentences).contiguous(), **made.weights()}


def _model(config: BLaIRConfig, data: SearchData, job: TrialJob, texts_NW: Tensor, weights: Weights) -> BLaIRModel:
    if not config.request_weight:
        return BLaIRModel(config, data, texts_NW, {}, None)
    encoder = _encoder(config, data, job)
    # Without a folder: what people ask is written nowhere.
    return BLaIRModel(config, data, texts_NW, weights, lambda: TunableEncoder(encoder, config, job.device, None))


def _encoder(config: BLaIRConfig, data: SearchData, job: TrialJob) -> TextEncoder:
    vocabulary = digest_texts(data.sentences) if config.text_encoder == RANDOM_ENCODER else None
    return job.warm.get(
        ("text-encoder", config.text_encoder, vocabulary),
        lambda: load_text_encoder(config.text_encoder, job.assets, texts=data.sentences),
    )


def _depends(config: BLaIRConfig) -> str:
    """Settings by which what is tuned differs, as JSON."""
    fields = {"text_encoder", "tuned", "context", "max_tokens"} | {
        name for name in type(config).model_fields if name.startswith("tune_")
    }
    return json.dumps(config.model_dump(mode="json", include=fields), sort_keys=True)
