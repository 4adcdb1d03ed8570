"""Text vectors of items, whole and with words left out."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from searchplat.contract import AssetSource
from trials.backbones.encoders.text_encoder import text_embeddings
from trials.data.preparing.dataset import SearchData
from trials.unisrec.config import UniSRecConfig

Vectors = tuple[Tensor, Tensor | None]
"""`[N, W]` of whole sentences and of those with words left out; None where nothing asks for these."""


def item_vectors(config: UniSRecConfig, data: SearchData, assets: AssetSource) -> Vectors:
    """The vectors that a config needs, encoded once for these texts and this encoder."""
    whole = torch.from_numpy(text_embeddings(config.text_encoder, data.sentences, assets))
    if not (config.pretrain_epochs and config.lambda_seq):
        return whole, None
    fewer = [without_words(text, config.word_drop) for text in data.sentences]
    return whole, torch.from_numpy(text_embeddings(config.text_encoder, fewer, assets))


def without_words(text: str, share: float) -> str:
    """A text without a share of its words, one at least left, drawn by the text itself: the same every time.

    Source: Hou et al., KDD 2022, section 2.2.2: words are dropped once, ahead of training.
    """
    words = text.split()
    if not words:
        return text
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
    kept = rng.random(len(words)) >= share
    kept[rng.integers(len(words))] = True
    return " ".join(word for word, stays in zip(words, kept, strict=True) if stays)
