"""Tiny language models of transformers: their sizes, and a tokenizer to save beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

NO_IDS: dict[str, Any] = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
"""The defaults lie outside of a small vocabulary."""

_MOST: dict[str, Any] = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}

USUAL: dict[str, Any] = {**_MOST, "intermediate_size": 40, "initializer_range": 0.2, **NO_IDS}
"""What most architectures call their sizes; weights large enough to matter."""

OPT: dict[str, Any] = {**_MOST, "ffn_dim": 40, "word_embed_proj_dim": 24, "init_std": 0.2, **NO_IDS}

_GPT2S = {"vocab_size": 50, "n_embd": 24, "n_layer": 3, "n_head": 4, "n_positions": 64}
GPT2: dict[str, Any] = {**_GPT2S, "initializer_range": 0.2, **NO_IDS}


def save_tokenizer(
    folder: Path, words: Sequence[str] = ("<unk>", "red", "film"), unknown: str = "<unk>", **special: str | None
) -> None:
    """A tokenizer of these words, one of which stands for all others."""
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token=unknown, **special).save_pretrained(folder)
