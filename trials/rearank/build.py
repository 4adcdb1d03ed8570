"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoders.candidate_prompts import Prompts, texts, tokenised
from trials.backbones.decoders.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.decoders.head import head_of
from trials.backbones.decoders.item_states import read_ahead, stored_item_states
from trials.backbones.recommenders.frozen import blank_recommender, prepare_frozen
from trials.backbones.recommenders.retrieved import Retrieval
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.nn.ragged import Ragged, spread
from trials.rearank.config import RearankConfig
from trials.rearank.model import RearankModel
from trials.rearank.policy import Policy
from trials.rearank.prompts import BETWEEN, CLOSING, REQUEST, Script, script_of, template
from trials.training.rows.windows import refuse_untrainable

WHITEN_ON = 512
"""Examples, evenly spread, whose states a verbaliser of ours is whitened on."""


def build(config: RearankConfig, data: SearchData, job: TrialJob, *, blank: bool = False) -> RearankModel:
    """Make the model of a trial; frozen parts come from, or go into, `job.warm`.

    Args:
        config: Settings.
        data: Training sequences, items and their titles, requests.
        job: For assets, what is kept warm, and the device.
        blank: Leave out what is learnt or looked for in the data: weights will be loaded, the retriever's among them.

    Raises:
        InputError: If settings do not fit the backbone or the data, or there is nothing to train on.
    """
    lm, prompts, script, head_VD, words_KD = _frozen(config, data, job)
    check_fit(config, lm, prompts, script)
    policy = Policy(config, lm, script, words_KD, head_VD)
    if blank:
        retriever = blank_recommender(config.retriever, config.retriever_settings(config.retriever), data.num_items)
        return RearankModel(config, policy, prompts, lm.tokenize, retriever, None, rank_met=data.rank_met).to(
            job.device
        )
    if config.request == "data" and not len(data.requests):
        raise InputError(
            f"request: data set {data.name!r} has no requests of its own, got request=data; set request: history",
            fields=("request",),
        )
    refuse_untrainable(data)
    retriever = _retrieval(config, 0).encoder(data, job)
    examples = None
    if config.learns:
        examples = _retrieval(config, _holdout(config)).examples(data, config.targets_per_user, job)
    model = RearankModel(
        config, policy, prompts, lm.tokenize, retriever, examples, data.requests, rank_met=data.rank_met
    ).to(job.device)
    if examples is not None and config.verbaliser != "words":
        model.condition(spread(np.arange(len(examples)), WHITEN_ON), np.random.default_rng(job.seed))
    return model


def prepare(config: RearankConfig, data: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone, train the retriever, and the one for held-out targets; read the items if asked to.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    opened = open_search(data, assets)
    refuse_untrainable(opened)
    check_decoder(config.backbone, assets, lambda: _texts(config, opened))
    if config.item_layers:
        lm = _load(config, opened, assets, "cuda" if torch.cuda.is_available() else "cpu")
        stored_item_states(lm, _pieces(config, lm, opened), config.item_layers, config.item_pooling, assets)
    for holdout in {0, _holdout(config)}:
        refuse_untrainable(opened.without_latest(holdout))
        settings = config.retriever_settings(config.retriever, holdout)
        prepare_frozen(config.retriever, settings, data, config.retriever_seed, assets)


def check_fit(config: RearankConfig, lm: DecoderLM, prompts: Prompts, script: Script) -> None:
    """Refuse settings whose prompts and answers do not fit the loaded backbone.

    Raises:
        InputError: With the setting, the rule, the value and a remedy.
    """
    once, item = prompts.longest
    request = config.max_request_tokens + len(lm.tokenize([REQUEST])[0]) if config.reads_requests else 0
    needed = once + (config.max_items + config.window) * item + request + config.reasoning_tokens + script.longest
    if needed > lm.max_positions:
        raise InputError(
            f"max_items: the longest prompt, of {config.max_items} items and {config.window} candidates of up to "
            f"{item} tokens, and what answers it need {needed} positions, but {config.backbone!r} has "
            f"{lm.max_positions}; lower one of max_items, window, max_item_tokens, max_request_tokens and "
            "reasoning_tokens",
            fields=("max_items", "window", "max_item_tokens", "max_request_tokens", "reasoning_tokens", "backbone"),
        )


def _holdout(config: RearankConfig) -> int:
    """Latest items of each user that the training lists' retriever has not been trained on."""
    return (config.targets_per_user or 0) if config.learns and config.training_candidates == "held-out" else 0


def _retrieval(config: RearankConfig, holdout: int) -> Retrieval:
    settings = config.retriever_settings(config.retriever, holdout)
    return Retrieval(config.retriever, settings, config.retriever_seed, config.num_candidates, "num_candidates")


def _frozen(
    config: RearankConfig, data: SearchData, job: TrialJob
) -> tuple[DecoderLM, Prompts, Script, Tensor | None, Tensor]:
    """The frozen layers that a trial runs, prompts and script as tokens of them, the head, and its rows of letters."""
    depth = (config.num_layers, config.item_layers, config.item_pooling)
    told = (config.backbone, config.max_item_tokens, config.window, config.reasoning_tokens > 0)

    def load() -> tuple[DecoderLM, Prompts, Script, Tensor | None, Tensor]:
        lm = _load(config, data, job.assets, job.device)
        script = script_of(lm.tokenize, config.window, config.backbone, reasoning=config.reasoning_tokens > 0)
        head_VD, pieces = head_of(lm, job.assets), _pieces(config, lm, data)
        words_KD = head_VD[torch.from_numpy(script.letters_K).to(head_VD.device)].float()
        if config.item_layers:
            lm, pieces = read_ahead(lm, pieces, config.item_layers, config.item_pooling, job.assets)
        return lm, Prompts(pieces), script, head_VD if config.reasoning_tokens else None, words_KD

    return job.warm.get(
        ("rearank-frozen", *told, *depth, digest_texts(data.titles), job.device, config.precision), load
    )


def _load(config: RearankConfig, data: SearchData, assets: AssetSource, device: str) -> DecoderLM:
    return load_decoder(
        config.backbone,
        assets,
        num_layers=config.loaded_layers,
        device=device,
        dtype=config.precision,
        texts=_texts(config, data),
    )


def _texts(config: RearankConfig, data: SearchData) -> list[str]:
    return [*texts(template(reasoning=config.reasoning_tokens > 0), data.titles), REQUEST, CLOSING, BETWEEN]


def _pieces(config: RearankConfig, lm: DecoderLM, data: SearchData) -> Ragged:
    told = template(reasoning=config.reasoning_tokens > 0)
    return tokenised(lm.tokenize, told, data.titles, config.max_item_tokens, lines=not config.item_layers)
