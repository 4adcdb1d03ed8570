"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import torch

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.encoders.request_encoder import FrozenRequests, TunedEncoder, request_folder
from trials.backbones.encoders.text_encoder import TextEncoder, load_text_encoder
from trials.backbones.names import RANDOM_ENCODER
from trials.backbones.pretrained import check_folder
from trials.backbones.recommenders.frozen import blank_recommender, carried, frozen_recommender, prepare_frozen
from trials.backbones.recommenders.settings import BackboneSettings
from trials.backbones.words import digest_texts
from trials.cramer.config import CRAMERConfig
from trials.cramer.model import CRAMERModel
from trials.cramer.requests import Examples, HistoryTexts, Origin, asked, examples, no_examples, origin
from trials.data.preparing.dataset import SearchData
from trials.training.seeds import seed_everything


def build(config: CRAMERConfig, data: SearchData, job: TrialJob) -> CRAMERModel:
    """Make the model of a trial; frozen parts come from, or go into, `job.warm`.

    Raises:
        InputError: If the data has no requests of its own and they are wanted, no gate would be shut, nothing would be
            learnt, or the encoder's last layer cannot be told.
    """
    if not config.lambda_next and not config.text_weight:
        raise InputError(
            "lambda_next: must be above 0 where text_weight is 0, got 0, so that masks learn something",
            fields=("lambda_next", "text_weight"),
        )
    settings = config.backbone_settings
    frozen = frozen_recommender(config.backbone, settings, data, config.backbone_seed, job)
    source = origin(config.request, data)
    texts = job.warm.get(
        ("cramer-texts", data.fingerprint, config.request_items),
        lambda: HistoryTexts(list(data.sentences), config.request_items),
    )
    if source == "none":
        return CRAMERModel(config, carried(frozen), None, source, texts, no_examples())
    key = (
        "cramer-examples", data.fingerprint, source, config.request_items, config.targets_per_user,
        config.backbone_holdout,
    )  # fmt: skip
    found = job.warm.get(key, lambda: _examples(config, data, texts, source))
    encoder = _encoder(config, data, job, keep=True)
    seed_everything(job.seed)  # whatever loading drew: a warm start draws the same weights as a cold one
    folds = [frozen_recommender(config.backbone, one, data, config.backbone_seed, job) for one in fold_settings(config)]
    model = CRAMERModel(config, carried(frozen), encoder, source, texts, found, folds)
    model.fit_requests()
    return model


def rebuild(config: CRAMERConfig, data: SearchData, job: TrialJob) -> CRAMERModel:
    """The model without training examples, for its weights to be loaded into; keeps nothing of what is asked."""
    frozen = blank_recommender(config.backbone, config.backbone_settings, data.num_items)
    texts = HistoryTexts(list(data.sentences), config.request_items)
    if config.request == "none":
        return CRAMERModel(config, carried(frozen), None, "none", texts, None)
    source: Origin = "same" if config.request == "same" else "data"
    return CRAMERModel(config, carried(frozen), _encoder(config, data, job, keep=False), source, texts, None)


def prepare(config: CRAMERConfig, request: DataRequest, assets: AssetSource) -> None:
    """Train the backbone, fetch the encoder and, if it is frozen, encode the requests of training and validation."""
    from trials.data import open_search

    prepare_frozen(config.backbone, config.backbone_settings, request, config.backbone_seed, assets)
    if config.request == "none":
        return
    for one in fold_settings(config):
        prepare_frozen(config.backbone, one, request, config.backbone_seed, assets)
    data = open_search(request, assets)
    source = origin(config.request, data)
    if config.tuned != "none":
        if config.encoder != RANDOM_ENCODER:
            check_folder(config.encoder, assets.fetch(config.encoder), None, lambda: data.sentences)
        return
    texts = HistoryTexts(list(data.sentences), config.request_items)
    found = _examples(config, data, texts, source)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    encoder = load_text_encoder(config.encoder, assets, texts=data.sentences)
    store = FrozenRequests(encoder, config.max_request_tokens, device, request_folder(config.encoder, data, assets))
    if config.text_weight:
        store.fill(data.sentences)
    store.fill([*found.requests_I, *asked(data.valid_queries(), texts, source)])


def fold_settings(config: CRAMERConfig) -> list[BackboneSettings]:
    """Of the backbones on which masks learn, one a fold; none where they learn on the whole one."""
    folds = config.backbone_folds
    return [config.backbone_settings.model_copy(update={"fold": (number, folds)}) for number in range(folds)]


def _examples(config: CRAMERConfig, data: SearchData, texts: HistoryTexts, source: Origin) -> Examples:
    """What masks are trained on.

    Raises:
        InputError: If the backbone was trained on all of it.
    """
    found = examples(data, texts, source, config.targets_per_user, config.backbone_holdout)
    if config.backbone_holdout and not len(found):
        raise InputError(
            f"backbone_holdout: masks need a user of data {data.name!r} with two training items, but none of "
            f"{data.num_users} has them; raise the share of users",
            fields=("backbone_holdout",),
        )
    return found


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
        lambda: FrozenRequests(
            loaded, config.max_request_tokens, job.device, request_folder(config.encoder, data, job.assets)
        ),
    )
