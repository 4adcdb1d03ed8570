"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

from typing import Any

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.frozen import (
    BackboneSettings,
    BERT4RecSettings,
    SASRecSettings,
    blank_recommender,
    frozen_recommender,
    prepare_frozen,
)
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.words import digest_texts
from trials.data.dataset import SearchData
from trials.laser.batches import Batcher
from trials.laser.collaborative import Collaborator
from trials.laser.config import LaserConfig
from trials.laser.groups import ColdItems
from trials.laser.instructions import HEADS, NUMBER, Instructions, item_texts
from trials.laser.model import LaserModel
from trials.training.windows import refuse_untrainable


def build(config: LaserConfig, data: SearchData, job: TrialJob, *, blank: bool = False) -> LaserModel:
    """Make the model of a trial; frozen parts come from, or go into, `job.warm`.

    Args:
        config: The method's settings.
        data: Training sequences, items and their texts.
        job: For assets, what is kept warm, and the device.
        blank: Leave the ID-based recommender untrained: weights will be loaded that have its own among them.

    Raises:
        InputError: If settings do not fit the backbone or the data, or no user has two training items.
    """
    try:
        texts = item_texts(data, config.attributes)
    except ValueError as error:
        raise InputError(str(error), fields=("attributes",)) from error
    digest = digest_texts(texts)
    random = config.backbone in RANDOM_DECODERS  # a random model's vocabulary is that of its words
    words = [heads for pair in HEADS.values() for heads in (pair.user, pair.item)]
    lm = job.warm.get(
        ("decoder-whole", config.backbone, config.num_layers, job.device, config.precision, digest if random else None),
        lambda: load_decoder(
            config.backbone,
            job.assets,
            num_layers=config.num_layers,
            device=job.device,
            dtype=config.precision,
            texts=[*words, *(NUMBER.format(n=n) for n in range(100)), *texts],
            whole=True,
        ),
    )
    limits = {
        "max_items": config.max_items,
        "max_tokens": config.max_tokens,
        "max_item_tokens": config.max_item_tokens,
    }
    instructions = job.warm.get(
        ("laser-instructions", config.backbone, config.template, digest, *limits.values()),
        lambda: Instructions(lm.tokenize, texts, config.template, **limits),
    )
    check_fit(config, data, lm, instructions)
    collaborator = None
    if config.has_former:
        settings = recommender_settings(config)
        if blank:
            encoder = blank_recommender(config.id_recommender, settings, data.num_items)
        else:
            encoder = frozen_recommender(config.id_recommender, settings, data, config.id_seed, job)
        collaborator = Collaborator(encoder)
    batcher = Batcher(config, data, instructions)
    return LaserModel(config, lm, instructions, batcher, data.num_items, collaborator, ColdItems(data)).to(job.device)


def prepare(config: LaserConfig, data: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone; train the ID-based recommender where it is wanted.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    opened = open_search(data, assets)
    refuse_untrainable(opened)
    check_decoder(config.backbone, assets, lambda: opened.sentences, whole=True)
    if config.has_former:
        prepare_frozen(config.id_recommender, recommender_settings(config), data, config.id_seed, assets)


def recommender_settings(config: LaserConfig) -> BackboneSettings:
    """RecBole's settings, 2 layers and 2 heads, at the width and for the length that are asked for."""
    asked: dict[str, Any] = {
        "epochs": config.id_epochs,
        "patience": config.id_patience,
        "batch_size": config.id_batch_size,
        "hidden_size": config.id_width,
        "inner_size": 4 * config.id_width,
    }
    if config.id_recommender == "sasrec":
        return SASRecSettings(**asked)
    return BERT4RecSettings(**asked, copies=config.id_copies)


def check_fit(config: LaserConfig, data: SearchData, lm: DecoderLM, instructions: Instructions) -> None:
    """Refuse settings that do not fit the loaded backbone or the data.

    Raises:
        InputError: With the setting, the rule, the value and a remedy.
    """
    if instructions.shortest_budget > config.max_tokens:
        raise InputError(
            f"max_tokens: must hold the longest item, {instructions.shortest_budget} tokens with its number, got "
            f"{config.max_tokens}; raise it or lower max_item_tokens",
            fields=("max_tokens", "max_item_tokens", "attributes", "template", "backbone"),
        )
    needed = instructions.most_tokens + config.prefix_tokens + config.suffix_tokens
    if needed > lm.max_positions:
        raise InputError(
            f"max_tokens: prefix, instruction and suffix need up to {needed} positions, but {config.backbone!r} has "
            f"{lm.max_positions}; lower max_tokens or prefix_length",
            fields=(
                "max_tokens",
                "max_items",
                "max_item_tokens",
                "prefix_length",
                "num_suffix",
                "variant",
                "backbone",
            ),
        )
    if config.variant == "eos" and lm.end_of_sequence is None and config.backbone not in RANDOM_DECODERS:
        raise InputError(
            f"variant: eos needs a backbone that names its end of sequence, which {config.backbone!r} does not; choose "
            "another variant",
            fields=("variant", "backbone"),
        )
    refuse_untrainable(data)
