"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import torch

from searchplat.contract import AssetSource, TrialJob
from searchplat.errors import InputError
from trials.backbones.encoders.request_encoder import FrozenRequests, distinct, request_folder
from trials.backbones.encoders.text_encoder import item_texts, load_text_encoder, text_embeddings
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.queryseqrec.config import QuerySeqRecConfig
from trials.queryseqrec.model import QuerySeqRecModel
from trials.queryseqrec.requests import TrainingRequests
from trials.training.seeds import seed_everything


def build(config: QuerySeqRecConfig, data: SearchData, job: TrialJob, *, blank: bool = False) -> QuerySeqRecModel:
    """Make the model of a trial; vectors come from, or go into, `job.warm` and the cache.

    Args:
        config: Settings.
        data: Training sequences, items, requests.
        job: For assets, what is kept warm, and the device.
        blank: Leave out what was asked in training, and write nothing down of what will be: weights will be loaded.

    Raises:
        InputError: If the data set's own requests are wanted, and it has none.
    """
    texts_NW = torch.from_numpy(item_texts(config.text_encoder, data, job))
    reader = None if config.request == "history" else _reader(config, data, job, keep=not blank)
    asked = None
    if not blank and _has_own(config, data):
        assert reader is not None
        texts, rows_E = distinct(data.requests)
        key = ("queryseqrec-requests", config.text_encoder, config.max_request_tokens, data.fingerprint)
        asked = TrainingRequests(rows_E, job.warm.get(key, lambda: reader.vectors(texts))) if texts else None
    seed_everything(job.seed)  # whatever loading drew: a warm start draws the same weights as a cold one
    return QuerySeqRecModel(config, data, texts_NW, asked, reader)


def prepare(config: QuerySeqRecConfig, data: SearchData, assets: AssetSource) -> None:
    """Encode the items' texts, and the requests of training and validation.

    Raises:
        InputError: If the data set's own requests are wanted, and it has none.
    """
    text_embeddings(config.text_encoder, data.sentences, assets)
    if _has_own(config, data):
        device = "cuda" if torch.cuda.is_available() else "cpu"
        encoder = load_text_encoder(config.text_encoder, assets, texts=data.sentences)
        folder = request_folder(config.text_encoder, data, assets)
        texts, _ = distinct([*data.requests, *data.valid_requests_U])
        FrozenRequests(encoder, config.max_request_tokens, device, folder).fill(texts)


def _has_own(config: QuerySeqRecConfig, data: SearchData) -> bool:
    """Whether training reads the data set's own requests."""
    if config.request == "data" and not len(data.requests):
        raise InputError(
            f"request: data set {data.name!r} has no requests of its own, got request=data; set request: history",
            fields=("request",),
        )
    return config.request != "history" and len(data.requests) > 0


def _reader(config: QuerySeqRecConfig, data: SearchData, job: TrialJob, *, keep: bool) -> FrozenRequests:
    """Reads requests; only a trial's keeps what it read."""
    vocabulary = digest_texts(data.sentences) if config.text_encoder == RANDOM_ENCODER else None
    known = (config.text_encoder, vocabulary)
    encoder = job.warm.get(
        ("text-encoder", *known), lambda: load_text_encoder(config.text_encoder, job.assets, texts=data.sentences)
    )
    if not keep:
        return FrozenRequests(encoder, config.max_request_tokens, job.device, None)
    return job.warm.get(
        ("queryseqrec-reader", *known, config.max_request_tokens, data.name, job.device),
        lambda: FrozenRequests(
            encoder, config.max_request_tokens, job.device, request_folder(config.text_encoder, data, job.assets)
        ),
    )
