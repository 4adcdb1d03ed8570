"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.decoders.item_states import read_ahead, stored_item_states
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.words import digest_texts
from trials.data.popularity import popularity_bias
from trials.data.preparing.dataset import SearchData
from trials.dual.batches import Batcher
from trials.dual.config import DualConfig
from trials.dual.hard_items import load_hard_items
from trials.dual.inputs import PROMPT, SentenceTokens
from trials.dual.layout import parse_layout
from trials.dual.model import DualModel
from trials.nn.cf import CFModel, FrozenVectors, Interactions, make_cf_model, train_cf
from trials.nn.ragged import Ragged, spread
from trials.training.rows.windows import refuse_untrainable

CONDITION_ON = {"centre": (16, 64), "whiten": (512, 256)}
"""Users and items, evenly spread, whose states condition the item projection: enough for a mean, and quickly done; of a
covariance of 576 channels, which takes more states than channels, about as much as is needed."""


def build(
    config: DualConfig, data: SearchData, job: TrialJob, kind: type[DualModel], *, blank: bool = False
) -> DualModel:
    """Make the model of a trial, a `kind`; frozen parts come from, or go into, `job.warm`.

    What is kept there depends on no method, so that trials of both share it.

    Args:
        config: Settings.
        data: Training sequences.
        job: For assets, the device and what is kept warm.
        kind: The method's model.
        blank: Leave the item projection as it is made: trained weights will be loaded, which hold what fits it.

    Raises:
        InputError: If layout, layers or lengths do not fit the backbone, or no user has two training items.
    """
    lm, sentences = _frozen(config, data, job)
    if config.join_special:
        sentences = SentenceTokens(sentences.sentences, sentences.prompt, join=True)
    check_fit(config, data, lm, sentences)
    hard = None
    if config.composition.coarse and config.lambda_cl > 0:
        key = ("dual-hard", data.fingerprint, config.text_encoder, config.hard_fraction, config.hard_mf_width)
        hard = job.warm.get(key, lambda: load_hard_items(config, data, job.assets))
    cf, interactions = _collaborative(config, data, job)
    batcher = Batcher(
        config,
        data,
        sentences.sentences.lengths(),
        hard=hard,
        interactions=interactions,
        align=config.composition.coarse and config.lambda_align > 0,
    )
    model = kind(config, lm, sentences, batcher, cf, item_bias(config, data)).to(job.device)
    if not blank and config.condition_states != "none":
        num_users, num_items = CONDITION_ON[config.condition_states]
        users = spread(batcher.users, num_users)
        histories = Ragged.of([data.history(user)[-config.max_items :] for user in users])
        model.condition(users, histories, spread(np.arange(data.num_items), num_items))
    if not blank and config.item_start == "text" and config.head != "collaborative":
        model.start_from_texts()
    return model


def prepare(config: DualConfig, data: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone, read the items with it and, where L_cl needs them, find hard items.

    Items are read on the GPU where there is one. A CPU's states and a GPU's differ by rounding: who is first decides.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    opened = open_search(data, assets)
    refuse_untrainable(opened)
    check_decoder(config.backbone, assets, lambda: [PROMPT, *opened.sentences])
    if config.item_layers:
        lm = _load(config, opened, assets, "cuda" if torch.cuda.is_available() else "cpu")
        texts = _texts(tokenise(lm, opened, config.max_sentence_tokens))
        stored_item_states(lm, texts, config.item_layers, config.item_pooling, assets)
    if config.composition.coarse and config.lambda_cl > 0:
        load_hard_items(config, opened, assets)


def _frozen(config: DualConfig, data: SearchData, job: TrialJob) -> tuple[DecoderLM, SentenceTokens]:
    """The frozen layers that a trial runs, and the items as tokens of them; kept warm."""
    texts = digest_texts(data.sentences)
    words = texts if config.backbone in RANDOM_DECODERS else None  # a random model's vocabulary is the data's
    if not config.item_layers:
        lm = job.warm.get(
            ("decoder", config.backbone, config.num_layers, job.device, config.precision, words),
            lambda: _load(config, data, job.assets, job.device),
        )
        sentences = job.warm.get(
            ("dual-sentences", config.backbone, config.max_sentence_tokens, texts),
            lambda: tokenise(lm, data, config.max_sentence_tokens),
        )
        return lm, sentences

    def read() -> tuple[DecoderLM, SentenceTokens]:
        lm = _load(config, data, job.assets, job.device)
        texts = _texts(tokenise(lm, data, config.max_sentence_tokens))
        later, rows = read_ahead(lm, texts, config.item_layers, config.item_pooling, job.assets)
        items = np.arange(data.num_items)
        return later, SentenceTokens(rows.take(items), rows.row(data.num_items))

    shape = (config.num_layers, config.item_layers, config.item_pooling, config.max_sentence_tokens)
    return job.warm.get(("dual-items", config.backbone, *shape, job.device, config.precision, texts), read)


def _load(config: DualConfig, data: SearchData, assets: AssetSource, device: str) -> DecoderLM:
    return load_decoder(
        config.backbone,
        assets,
        num_layers=config.loaded_layers,
        device=device,
        dtype=config.precision,
        texts=[PROMPT, *data.sentences],
    )


def _texts(sentences: SentenceTokens) -> Ragged:
    """What the first layers read: every item and, behind them, the prompt of L_align, read alone like an item."""
    return Ragged.of([*map(sentences.sentences.row, range(len(sentences.sentences))), sentences.prompt])


def tokenise(lm: DecoderLM, data: SearchData, max_tokens: int) -> SentenceTokens:
    """Token ids of every item's sentence, cut to `max_tokens`, and of the alignment prompt."""
    rows = [ids[:max_tokens] for ids in lm.tokenize(list(data.sentences))]
    return SentenceTokens(Ragged.of(rows), np.asarray(lm.tokenize([PROMPT])[0], dtype=np.int64))


def item_bias(config: DualConfig, data: SearchData) -> Tensor:
    """Initial `b_item [N]`: zeros, or what popularity says."""
    return torch.zeros(data.num_items) if config.item_bias == "zero" else popularity_bias(data)


def check_fit(config: DualConfig, data: SearchData, lm: DecoderLM, sentences: SentenceTokens) -> None:
    """Refuse settings that do not fit the loaded backbone or the data.

    Raises:
        InputError: With the setting, the rule, the value and a remedy.
    """
    if config.replace_every > lm.num_layers:
        raise InputError(
            f"replace_every: must not exceed the {lm.num_layers} layers of {config.backbone!r}, "
            f"got {config.replace_every}; lower it",
            fields=("replace_every", "num_layers", "backbone"),
        )
    try:
        parse_layout(config.layout, lm.num_layers // config.replace_every)
    except ValueError as error:
        raise InputError(f"layout: {error}", fields=("layout", "replace_every", "num_layers", "backbone")) from error
    longest = int(sentences.sentences.lengths().max(initial=0))
    needed = max(config.max_items * (longest + 1), len(sentences.prompt) + longest + 1)
    if needed > lm.max_positions:
        raise InputError(
            f"max_items: {config.max_items} items of up to {longest} + 1 tokens need {needed} positions, but "
            f"{config.backbone!r} has {lm.max_positions}; lower max_items or max_sentence_tokens",
            fields=("max_items", "max_sentence_tokens", "backbone"),
        )
    refuse_untrainable(data)


def _collaborative(
    config: DualConfig, data: SearchData, job: TrialJob
) -> tuple[CFModel | FrozenVectors | None, Interactions | None]:
    """The CF model and, if it is trained along, its interactions."""
    if not config.composition.collaborative:
        return None, None
    interactions = Interactions(data.train_items, data.train_offsets, data.num_items)

    def fresh() -> CFModel:
        return make_cf_model(config.cf_model, data.num_users, data.num_items, config.cf_width)

    if config.cf_training == "joint":
        return fresh(), interactions if config.lambda_cf > 0 else None

    def train() -> FrozenVectors:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(job.seed)
            return train_cf(
                fresh(),
                interactions,
                epochs=config.cf_epochs,
                learning_rate=config.cf_learning_rate,
                negatives=config.cf_negatives,
                rng=np.random.default_rng(job.seed),
            )

    settings = (config.cf_model, config.cf_width, config.cf_epochs, config.cf_learning_rate, config.cf_negatives)
    kept = job.warm.get(("dual-frozen-cf", data.fingerprint, job.seed, *settings), train)
    return FrozenVectors(kept.users_UW.clone(), kept.items_NW.clone()), None
