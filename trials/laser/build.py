"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.decoders.item_states import read_ahead, stored_item_states
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.recommenders.frozen import (
    BackboneSettings,
    BERT4RecSettings,
    SASRecSettings,
    blank_recommender,
    frozen_recommender,
    prepare_frozen,
)
from trials.backbones.words import digest_texts
from trials.data.popularity import popularity_bias
from trials.data.preparing.dataset import SearchData
from trials.laser.batches import Batcher
from trials.laser.collaborative import Collaborator
from trials.laser.config import LaserConfig
from trials.laser.instructions import HEADS, NUMBER, Instructions, item_texts
from trials.laser.model import LaserModel
from trials.nn.ragged import spread
from trials.training.rows.windows import refuse_untrainable

WHITEN_ON = 512
"""Users, evenly spread, whose outputs are whitened along with those of all items."""


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
    texts = checked_texts(config, data)
    lm, instructions = _frozen(config, texts, job)
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
    bias_N = popularity_bias(data) if config.item_bias == "popularity" else None
    weights_N = vector_weights(config, data) if config.item_vectors else None
    model = LaserModel(config, lm, instructions, batcher, data.num_items, collaborator, bias_N, weights_N)
    model = model.to(job.device)
    if config.whiten_states and not blank:
        users = spread(batcher.users, WHITEN_ON)
        model.condition([instructions.kept(data.history(user)) for user in users])
    return model


def vector_weights(config: LaserConfig, data: SearchData) -> Tensor:
    """`n / (n + k)` of each item with n training interactions, `[N]`; 1 where k is 0."""
    if not config.vector_shrinkage:
        return torch.ones(data.num_items)
    counts_N = torch.from_numpy(data.popularity_N()).float()
    return counts_N / (counts_N + config.vector_shrinkage)


def checked_texts(config: LaserConfig, data: SearchData) -> list[str]:
    """One text an item; see `item_texts`.

    Raises:
        InputError: If an attribute is not one of the data set's.
    """
    try:
        return item_texts(data, config.attributes)
    except ValueError as error:
        raise InputError(str(error), fields=("attributes",)) from error


def _frozen(config: LaserConfig, texts: list[str], job: TrialJob) -> tuple[DecoderLM, Instructions]:
    """The frozen layers that a trial runs, and the instructions as tokens of them; kept warm."""
    digest = digest_texts(texts)
    random = config.backbone in RANDOM_DECODERS  # a random model's vocabulary is that of its words
    limits = {
        "max_items": config.max_items,
        "max_tokens": config.max_tokens,
        "max_item_tokens": config.max_item_tokens,
    }
    depth, place = (config.item_layers, config.num_layers), (job.device, config.precision)
    told = (config.backbone, config.template, digest, *limits.values())

    def load() -> DecoderLM:
        return load_frozen(config, texts, job.assets, job.device)

    if not config.item_layers:
        lm = job.warm.get(("decoder-whole", config.backbone, depth, place, digest if random else None), load)
        instructions = job.warm.get(("laser-instructions", *told), lambda: instructions_of(config, lm, texts))
        return lm, instructions

    def read() -> tuple[DecoderLM, Instructions]:
        lm = load()
        words = instructions_of(config, lm, texts)
        later, rows = read_ahead(lm, words.texts(), config.item_layers, config.item_pooling, job.assets)
        return later, words.read(rows)

    return job.warm.get(("laser-items", *told, *depth, *place, config.item_pooling), read)


def load_frozen(config: LaserConfig, texts: list[str], assets: AssetSource, device: str) -> DecoderLM:
    """All layers that are wanted, those that read items among them."""
    words = [heads for pair in HEADS.values() for heads in (pair.user, pair.item)]
    return load_decoder(
        config.backbone,
        assets,
        num_layers=config.loaded_layers,
        device=device,
        dtype=config.precision,
        texts=[*words, *(NUMBER.format(n=n) for n in range(100)), *texts],
        whole=True,
    )


def instructions_of(config: LaserConfig, lm: DecoderLM, texts: list[str]) -> Instructions:
    """The instructions in words."""
    return Instructions(
        lm.tokenize,
        texts,
        config.template,
        max_items=config.max_items,
        max_tokens=config.max_tokens,
        max_item_tokens=config.max_item_tokens,
        end=lm.end_of_sequence or 0,  # random models for tests have none, and 0 is their unknown word
    )


def prepare(config: LaserConfig, data: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone; train the ID-based recommender where it is wanted.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    opened = open_search(data, assets)
    refuse_untrainable(opened)
    check_decoder(config.backbone, assets, lambda: opened.sentences, whole=True)
    if config.item_layers:
        texts = checked_texts(config, opened)
        lm = load_frozen(config, texts, assets, "cuda" if torch.cuda.is_available() else "cpu")
        words = instructions_of(config, lm, texts).texts()
        stored_item_states(lm, words, config.item_layers, config.item_pooling, assets)
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
    if config.passes == "windows":
        longest = config.max_items * (int(instructions.words_N.max(initial=0)) + len(instructions.numbers[-1]))
        if longest > config.max_tokens:
            raise InputError(
                f"max_tokens: must hold max_items of the longest item with passes=windows, {longest} tokens, got "
                f"{config.max_tokens}; raise it, or lower max_items or max_item_tokens",
                fields=("max_tokens", "max_items", "max_item_tokens", "passes"),
            )
        if not lm.num_layers:
            raise InputError(
                f"passes: windows need a backbone that is taken apart into layers, which {config.backbone!r} is not; "
                "set passes to single",
                fields=("passes", "backbone"),
            )
    if config.variant == "eos" and lm.end_of_sequence is None and config.backbone not in RANDOM_DECODERS:
        raise InputError(
            f"variant: eos needs a backbone that names its end of sequence, which {config.backbone!r} does not; choose "
            "another variant",
            fields=("variant", "backbone"),
        )
    refuse_untrainable(data)
