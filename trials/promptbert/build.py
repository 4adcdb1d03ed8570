"""Puts a trial's model together from what the process keeps warm; `prepare` fetches what that needs."""

from __future__ import annotations

import json

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import MaskedLM, check_masked_lm, load_masked_lm
from trials.backbones.names import RANDOM_MASKED
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.nn.ragged import spread
from trials.promptbert.config import PromptBERTConfig
from trials.promptbert.model import PromptBERTModel
from trials.promptbert.prompts import (
    TEMPLATES,
    PromptTokens,
    Template,
    genres_of,
    template_of,
    tokenise,
    vocabulary_texts,
)
from trials.promptbert.segments import Segments
from trials.promptbert.shared import SharedPromptModel
from trials.promptbert.statements import read_statements
from trials.promptbert.windows import Windows
from trials.training.rows.windows import refuse_untrainable

CONDITION_ON = 512
"""Users, evenly spread, whose states the head is fitted to."""


def build(
    config: PromptBERTConfig, data: SearchData, job: TrialJob, *, blank: bool = False
) -> PromptBERTModel | SharedPromptModel:
    """Make the model of a trial; the backbone as it was loaded and the pieces of prompts are kept in `job.warm`.

    Args:
        config: Settings.
        data: Training sequences.
        job: For assets and what is kept warm.
        blank: Fit nothing to the sequences: trained weights will be loaded, which hold what fits.

    Raises:
        InputError: If lengths, heads or layers do not fit the backbone, or no user has two training items.
    """
    template = template_of(data.name) if config.template == "auto" else TEMPLATES[config.template]
    texts = digest_texts([json.dumps([template.doing, template.verb]), *genres_of(data), "", *data.titles])
    words = texts if config.backbone in RANDOM_MASKED else None  # a random model's vocabulary is the data's
    key = ("masked-lm", config.backbone, config.num_layers, words)
    lm = job.warm.get(key, lambda: _load(config, data, template, job.assets))
    if config.statement_layers:
        return _shared(config, data, job, lm, template, (*key, texts), blank=blank)
    tokens = job.warm.get(
        ("promptbert-tokens", *key, texts, config.max_genre_tokens),
        lambda: tokenise(lm, data, template, config.max_genre_tokens),
    )
    check_fit(config, data, lm, tokens)
    windows = Windows(
        data,
        tokens,
        max_tokens=config.max_tokens,
        stride=config.stride,
        most=config.max_windows,
        batch_size=config.batch_size,
        unrated_share=config.unrated_share,
    )
    return PromptBERTModel(config, lm, tokens, windows, item_bias(config, data))


def _shared(
    config: PromptBERTConfig,
    data: SearchData,
    job: TrialJob,
    lm: MaskedLM,
    template: Template,
    key: tuple[object, ...],
    *,
    blank: bool,
) -> SharedPromptModel:
    """The model over statements that were read ahead; these are kept warm."""
    check_heads(config, lm)
    if config.max_tokens > lm.max_positions:
        raise InputError(
            f"max_tokens: backbone {config.backbone!r} has {lm.max_positions} places, "
            f"got {config.max_tokens}; lower it",
            fields=("max_tokens", "backbone"),
        )
    refuse_untrainable(data)
    layers = config.statement_layers
    statements = job.warm.get(
        ("promptbert-statements", *key, layers), lambda: read_statements(lm, data, template, layers)
    )
    most = config.max_tokens - 2
    segments = Segments(
        data, max_statements=most, stride=config.stride, most=config.max_windows, batch_size=config.batch_size
    )
    model = SharedPromptModel(config, statements, lm.transform, segments, item_bias(config, data))
    if not blank:
        histories = [data.history(int(user))[-most:] for user in spread(segments.users_U, CONDITION_ON)]
        # Of all lengths, as in training: otherwise whitening would enlarge what the number of statements changes.
        rng = np.random.default_rng(0)
        model.condition([history[: rng.integers(1, len(history), endpoint=True)] for history in histories])
    return model


def check_heads(config: PromptBERTConfig, lm: MaskedLM) -> None:
    """Refuse heads that do not fit.

    Raises:
        InputError: If they do not divide the width.
    """
    if lm.hidden_size % config.attention_heads:
        raise InputError(
            f"attention_heads: must divide the width {lm.hidden_size} of {config.backbone!r}, "
            f"got {config.attention_heads}; choose a divisor",
            fields=("attention_heads", "backbone"),
        )


def prepare(config: PromptBERTConfig, request: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    data = open_search(request, assets)
    refuse_untrainable(data)
    check_masked_lm(config.backbone, assets, lambda: data.titles)


def item_bias(config: PromptBERTConfig, data: SearchData) -> Tensor:
    """Initial bias `[N]`: zeros, or `log((n_i + 1) / (E + N))`, where the 1 keeps unseen items finite."""
    if config.item_bias == "zero":
        return torch.zeros(data.num_items)
    share_N = (data.popularity_N() + 1) / (len(data.train_items) + data.num_items)
    return torch.from_numpy(np.log(share_N)).float()


def check_fit(config: PromptBERTConfig, data: SearchData, lm: MaskedLM, tokens: PromptTokens) -> None:
    """Refuse settings that do not fit the loaded backbone or the data.

    Raises:
        InputError: With the setting, the rule, the value and a remedy.
    """
    if config.max_tokens > lm.max_positions:
        raise InputError(
            f"max_tokens: backbone {config.backbone!r} reads at most {lm.max_positions} tokens, "
            f"got {config.max_tokens}; lower it",
            fields=("max_tokens", "backbone"),
        )
    if (needed := tokens.frame + tokens.longest) > config.max_tokens:
        raise InputError(
            f"max_tokens: a prompt with the longest statement of data {data.name!r} has {needed} tokens, "
            f"got max_tokens={config.max_tokens}; raise it, or set max_genre_tokens",
            fields=("max_tokens", "max_genre_tokens", "template", "backbone"),
        )
    check_heads(config, lm)
    refuse_untrainable(data)


def _load(config: PromptBERTConfig, data: SearchData, template: Template, assets: AssetSource) -> MaskedLM:
    random = config.backbone in RANDOM_MASKED
    texts = vocabulary_texts(data, template) if random else ()
    return load_masked_lm(config.backbone, assets, num_layers=config.num_layers, texts=texts)
