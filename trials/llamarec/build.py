"""Puts a trial's model together from what the process keeps warm; `prepare` does the same ahead of all trials."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoders.candidate_prompts import Prompts, letter_tokens, texts, tokenised
from trials.backbones.decoders.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.decoders.head import head_of
from trials.backbones.decoders.item_states import read_ahead, stored_item_states
from trials.backbones.recommenders.frozen import blank_recommender, prepare_frozen
from trials.backbones.recommenders.retrieved import Examples, Retrieval, examples_of
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.llamarec.config import LlamaRecConfig
from trials.llamarec.model import LlamaRecModel
from trials.llamarec.prompts import TEMPLATE
from trials.nn.ragged import Ragged, spread
from trials.training.rows.windows import refuse_untrainable

WHITEN_ON = 512
"""Examples, evenly spread, whose states a verbaliser of ours is whitened on."""


def build(config: LlamaRecConfig, data: SearchData, job: TrialJob, *, blank: bool = False) -> LlamaRecModel:
    """Make the model of a trial; frozen parts come from, or go into, `job.warm`.

    Args:
        config: Settings.
        data: Training sequences, items and their titles.
        job: For assets, what is kept warm, and the device.
        blank: Leave out what is learnt or looked for in the data: weights will be loaded, the retriever's among them.

    Raises:
        InputError: If settings do not fit the backbone or the data, or there is nothing to train on.
    """
    lm, prompts, words_KD = _frozen(config, data, job)
    check_fit(config, lm, prompts)
    if blank:
        retriever = blank_recommender("sasrec", config.retriever_settings(), data.num_items)
        model = LlamaRecModel(config, lm, prompts, words_KD, retriever, None, rank_met=data.rank_met)
        return model.to(job.device)
    refuse_untrainable(data)
    retriever = _retrieval(config, 0).encoder(data, job)
    examples = _examples(config, data, job)
    model = LlamaRecModel(config, lm, prompts, words_KD, retriever, examples, rank_met=data.rank_met).to(job.device)
    if config.verbaliser != "words":
        model.condition(spread(np.arange(len(examples)), WHITEN_ON), np.random.default_rng(job.seed))
    return model


def prepare(config: LlamaRecConfig, data: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone, train the retriever, and the one for held-out targets; read the items if asked to.

    Raises:
        InputError: If the backbone cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    opened = open_search(data, assets)
    refuse_untrainable(opened)
    check_decoder(config.backbone, assets, lambda: texts(TEMPLATE, opened.titles))
    if config.item_layers:
        lm = _load(config, opened, assets, "cuda" if torch.cuda.is_available() else "cpu")
        stored_item_states(lm, _pieces(config, lm, opened), config.item_layers, config.item_pooling, assets)
    for holdout in {0, _holdout(config)}:
        refuse_untrainable(opened.without_latest(holdout))
        prepare_frozen("sasrec", config.retriever_settings(holdout=holdout), data, config.retriever_seed, assets)


def check_fit(config: LlamaRecConfig, lm: DecoderLM, prompts: Prompts) -> None:
    """Refuse settings whose prompts do not fit the loaded backbone.

    Raises:
        InputError: With the setting, the rule, the value and a remedy.
    """
    once, item = prompts.longest
    needed = once + (config.max_items + config.candidates) * item
    if needed > lm.max_positions:
        raise InputError(
            f"max_items: the longest prompt, of {config.max_items} items and {config.candidates} candidates of up to "
            f"{item} tokens, needs {needed} positions, but {config.backbone!r} has {lm.max_positions}; lower one of "
            "max_items, candidates and max_item_tokens",
            fields=("max_items", "candidates", "max_item_tokens", "backbone"),
        )


def _holdout(config: LlamaRecConfig) -> int:
    """Latest items of each user that the training candidates' retriever has not been trained on."""
    return (config.targets_per_user or 0) if config.training_candidates == "held-out" else 0


def _retrieval(config: LlamaRecConfig, holdout: int) -> Retrieval:
    return Retrieval(
        "sasrec", config.retriever_settings(holdout=holdout), config.retriever_seed, config.candidates, "candidates"
    )


def _examples(config: LlamaRecConfig, data: SearchData, job: TrialJob) -> Examples:
    """What the ranking is trained on.

    Raises:
        InputError: If no target is retrieved.
    """
    if config.training_candidates == "random":
        return examples_of(data, config.targets_per_user)
    return _retrieval(config, _holdout(config)).examples(data, config.targets_per_user, job)


def _frozen(config: LlamaRecConfig, data: SearchData, job: TrialJob) -> tuple[DecoderLM, Prompts, Tensor]:
    """The frozen layers that a trial runs, its prompts as tokens of them, and the head's rows of the letters."""
    digest = digest_texts(data.titles)
    depth = (config.num_layers, config.item_layers, config.item_pooling)
    by_words = config.verbaliser == "words"
    told = (config.backbone, config.max_item_tokens, config.candidates, by_words, digest)

    def load() -> tuple[DecoderLM, Prompts, Tensor]:
        lm = _load(config, data, job.assets, job.device)
        letters = letter_tokens(lm.tokenize, config.candidates, config.backbone)
        # Other verbalisers ask only how wide and how many they are, and a folder may lack the head.
        head_VD = head_of(lm, job.assets) if by_words else lm.parts.embed(torch.arange(lm.vocab_size, device=lm.device))
        words_KD = head_VD[torch.from_numpy(letters).to(head_VD.device)].detach().float()
        pieces = _pieces(config, lm, data)
        if config.item_layers:
            lm, pieces = read_ahead(lm, pieces, config.item_layers, config.item_pooling, job.assets)
        return lm, Prompts(pieces), words_KD

    return job.warm.get(("llamarec-frozen", *told, *depth, job.device, config.precision), load)


def _load(config: LlamaRecConfig, data: SearchData, assets: AssetSource, device: str) -> DecoderLM:
    return load_decoder(
        config.backbone,
        assets,
        num_layers=config.loaded_layers,
        device=device,
        dtype=config.precision,
        texts=texts(TEMPLATE, data.titles),
    )


def _pieces(config: LlamaRecConfig, lm: DecoderLM, data: SearchData) -> Ragged:
    return tokenised(lm.tokenize, TEMPLATE, data.titles, config.max_item_tokens, lines=not config.item_layers)
