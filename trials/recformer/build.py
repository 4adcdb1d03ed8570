"""Puts a trial's model together from what the process keeps warm; `prepare` fetches what that needs."""

from __future__ import annotations

import json

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import check_masked_lm, load_masked_lm
from trials.backbones.names import RANDOM_MASKED
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.recformer.config import RecFormerConfig
from trials.recformer.model import RecFormerModel
from trials.recformer.sentences import attribute_pairs, tokenise, vocabulary_texts
from trials.training.rows.windows import refuse_untrainable


def build(config: RecFormerConfig, data: SearchData, job: TrialJob) -> RecFormerModel:
    """Make the model of a trial; the backbone as it was loaded and the sentences are kept in `job.warm`.

    Raises:
        InputError: If the backbone's layers cannot run alone, it has too few places, the data lacks an attribute, or no
            user has two training items.
    """
    refuse_untrainable(data)
    pairs = attribute_pairs(data, config.attributes)
    digest = digest_texts(json.dumps(item) for item in pairs)
    texts = vocabulary_texts(pairs) if config.backbone in RANDOM_MASKED else []
    key = ("masked-lm", config.backbone, config.num_layers, digest if texts else None)
    lm = job.warm.get(
        key, lambda: load_masked_lm(config.backbone, job.assets, num_layers=config.num_layers, texts=texts)
    )
    if config.max_tokens > lm.max_positions:
        raise InputError(
            f"max_tokens: backbone {config.backbone!r} reads at most {lm.max_positions} tokens, "
            f"got {config.max_tokens}; lower it",
            fields=("max_tokens", "backbone"),
        )
    limits = (config.max_attribute_tokens, config.max_items, config.max_tokens)
    sentences = job.warm.get(("recformer-sentences", *key, digest, *limits), lambda: tokenise(lm, pairs, *limits))
    return RecFormerModel(config, lm, sentences, data)


def prepare(config: RecFormerConfig, request: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone.

    Raises:
        InputError: If it cannot be used, the data lacks an attribute, or no user has two training items.
    """
    from trials.data import open_search

    data = open_search(request, assets)
    refuse_untrainable(data)
    pairs = attribute_pairs(data, config.attributes)
    check_masked_lm(config.backbone, assets, lambda: vocabulary_texts(pairs))
