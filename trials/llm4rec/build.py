"""Puts a trial's model together from what the process keeps warm; `prepare` fetches what that needs."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM, check_decoder, load_decoder
from trials.backbones.words import digest_texts
from trials.data.preparing.dataset import SearchData
from trials.llm4rec.config import LLM4RecConfig
from trials.llm4rec.documents import PHRASES, Documents
from trials.llm4rec.model import LLM4RecModel
from trials.nn.ragged import Ragged
from trials.training.rows.windows import refuse_untrainable


def build(config: LLM4RecConfig, data: SearchData, job: TrialJob, *, blank: bool = False) -> LLM4RecModel:
    """Make the model of a trial; the language model and the texts as its tokens are kept in `job.warm`.

    Args:
        config: Settings.
        data: Training sequences, and items with their texts.
        job: For assets, what is kept warm, and the device.
        blank: The weights will be loaded, and the sequences are stand-ins.

    Raises:
        InputError: If settings do not fit the backbone, or there is nothing to train on.
    """
    if not blank:
        refuse_untrainable(data)
    told = (config.backbone, config.num_layers, config.max_text_tokens, config.precision)
    key = ("llm4rec", *told, job.device, digest_texts([*data.sentences, *data.titles]))
    lm, words_RD, phrases, texts, titles = job.warm.get(key, lambda: _frozen(config, data, job))
    documents = Documents(phrases, texts, len(words_RD), data.num_users)
    longest = documents.longest_phrases + max(config.max_items, int(texts.lengths().max(initial=0)))
    if longest > lm.max_positions:
        raise InputError(
            f"max_items: the longest prompt, of {config.max_items} items, needs {longest} positions, but "
            f"{config.backbone!r} has {lm.max_positions}; lower max_items or max_text_tokens",
            fields=("max_items", "max_text_tokens", "backbone"),
        )
    model = LLM4RecModel(config, lm, words_RD, documents, titles, data).to(job.device)
    if config.whiten_states and not blank:
        model.condition(np.random.default_rng(job.seed))
    return model


def prepare(config: LLM4RecConfig, request: DataRequest, assets: AssetSource) -> None:
    """Fetch and check the backbone.

    Raises:
        InputError: If it cannot be used, or no user has two training items.
    """
    from trials.data import open_search

    data = open_search(request, assets)
    refuse_untrainable(data)
    check_decoder(config.backbone, assets, lambda: all_texts(data))


def all_texts(data: SearchData) -> list[str]:
    """All that is tokenised, for a random model's vocabulary."""
    return [*PHRASES, *data.sentences, *data.titles]


def word_rows(lm: DecoderLM, data: SearchData, max_text_tokens: int) -> tuple[Tensor, Ragged, Ragged, Ragged]:
    """The embeddings `[R, D]` of the words that occur; phrases, items' texts and titles as rows of them.

    A text has one word at least, or its document would teach nothing.
    """
    parts = [list(PHRASES), [f" {text}" for text in data.sentences], [f" {title}" for title in data.titles]]
    tokens = [lm.tokenize(part) for part in parts]
    cut = [tokens[0], *([row[:max_text_tokens] or [0] for row in rows] for rows in tokens[1:])]
    flat = Ragged.of([row for rows in cut for row in rows])
    ids_R, places = np.unique(flat.values, return_inverse=True)
    found = Ragged(places.reshape(-1).astype(np.int64), flat.offsets)
    with torch.no_grad():
        words_RD = lm.parts.embed(torch.from_numpy(ids_R).to(lm.device)).float()
    stops = np.cumsum([len(rows) for rows in cut])
    phrases, texts, titles = (
        found.take(np.arange(stop - len(rows), stop)) for stop, rows in zip(stops, cut, strict=True)
    )
    return words_RD, phrases, texts, titles


def _frozen(config: LLM4RecConfig, data: SearchData, job: TrialJob) -> tuple[DecoderLM, Tensor, Ragged, Ragged, Ragged]:
    lm = load_decoder(
        config.backbone,
        job.assets,
        num_layers=config.num_layers,
        device=job.device,
        dtype=config.precision,
        texts=all_texts(data),
    )
    return (lm, *word_rows(lm, data, config.max_text_tokens))
