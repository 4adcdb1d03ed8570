"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from searchplat.contract import AssetSource, DataRequest, TrialJob
from trials.backbones.frozen import blank_recommender, carried, frozen_recommender, prepare_frozen
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.pretrained import check_folder
from trials.backbones.text_encoder import TextEncoder, encoder_digest, load_text_encoder
from trials.backbones.words import digest_texts
from trials.cramer.config import CRAMERConfig
from trials.cramer.encoder import FrozenRequests, TunedEncoder
from trials.cramer.model import CRAMERModel
from trials.cramer.requests import HistoryTexts, asked, examples, no_examples, origin
from trials.data.dataset import SearchData
from trials.training.seeds import seed_everything


def build(config: CRAMERConfig, data: SearchData, job: TrialJob) -> CRAMERModel:
    """Make the model of a trial; frozen parts come from, or go into, `job.warm`.

    Raises:
        InputError: If the data has no requests of its own and they are wanted, no gate would be shut, or the
            encoder's last layer cannot be told.
    """
    settings = config.backbone_settings
    frozen = frozen_recommender(config.backbone, settings, data, config.backbone_seed, job)
    source = origin(config.request, data)
    texts = job.warm.get(
        ("cramer-texts", data.fingerprint, config.request_items),
        lambda: HistoryTexts(list(data.sentences), config.request_items),
    )
    if source == "none":
        return CRAMERModel(config, carried(frozen), None, source, texts, no_examples())
    key = ("cramer-examples", data.fingerprint, source, config.request_items, config.targets_per_user)
    found = job.warm.get(key, lambda: examples(data, texts, source, config.targets_per_user))
    encoder = _encoder(config, data, job, keep=True)
    seed_everything(job.seed)  # whatever loading drew: a warm start draws the same weights as a cold one
    return CRAMERModel(config, carried(frozen), encoder, source, texts, found)


def rebuild(config: CRAMERConfig, data: SearchData, job: TrialJob) -> CRAMERModel:
    """The model without training examples, for its weights to be loaded into; keeps nothing of what is asked."""
    frozen = blank_recommender(config.backbone, config.backbone_settings, data.num_items)
    texts = HistoryTexts(list(data.sentences), config.request_items)
    if config.request == "none":
        return CRAMERModel(config, carried(frozen), None, "none", texts, None)
    return CRAMERModel(config, carried(frozen), _encoder(config, data, job, keep=False), "data", texts, None)


def prepare(config: CRAMERConfig, request: DataRequest, assets: AssetSource) -> None:
    """Train the backbone, fetch the encoder and, if it is frozen, encode the requests of training and validation."""
    from trials.data import open_search

    prepare_frozen(config.backbone, config.backbone_settings, request, config.backbone_seed, assets)
    if config.request == "none":
        return
    data = open_search(request, assets)
    source = origin(config.request, data)
    if config.tuned != "none":
        if config.encoder != RANDOM_ENCODER:
            check_folder(config.encoder, assets.fetch(config.encoder), None, lambda: data.sentences)
        return
    texts = HistoryTexts(list(data.sentences), config.request_items)
    found = examples(data, texts, source, config.targets_per_user)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = load_text_encoder(config.encoder, assets, texts=data.sentences)
    store = FrozenRequests(encoder, config.max_request_tokens, device, _folder(config, data, assets))
    store.fill([*found.requests_I, *asked(data.valid_queries(), texts, source == "data")])


def _encoder(config: CRAMERConfig, data: SearchData, job: TrialJob, keep: bool) -> FrozenRequests | TunedEncoder:
    vocabulary = digest_texts(data.sentences) if config.encoder == RANDOM_ENCODER else None
    loaded: TextEncoder = job.warm.get(
        ("text-encoder", config.encoder, vocabulary),
        lambda: load_text_encoder(config.encoder, job.assets, texts=data.sentences),
    )
    if config.tuned != "none":
        return TunedEncoder(loaded, config.tuned, config.max_request_tokens)
    if not keep:
        return FrozenRequests(loaded, config.max_request_tokens, job.device, None)
    return job.warm.get(
        ("cramer-requests", config.encoder, vocabulary, config.max_request_tokens, data.name, job.device),
        lambda: FrozenRequests(loaded, config.max_request_tokens, job.device, _folder(config, data, job.assets)),
    )


def _folder(config: CRAMERConfig, data: SearchData, assets: AssetSource) -> Path:
    """Where vectors of this encoder for this data set are kept, whatever the share of the users."""
    digest = hashlib.sha256(encoder_digest(config.encoder, assets).encode())
    if config.encoder == RANDOM_ENCODER:  # its vocabulary is the data's
        digest.update(digest_texts(data.sentences).encode())
    return assets.folder("requests", data.name, digest.hexdigest()[:32])
