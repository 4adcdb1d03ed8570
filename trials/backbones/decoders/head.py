"""The head of a frozen decoder: the row of weights by which each word is written."""

from __future__ import annotations

import torch
from torch import Tensor

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import DecoderLM
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.pretrained import NAMED_BY, read_config, read_tensor

HEAD = "lm_head.weight"
"""What causal models of transformers call it."""


@torch.no_grad()
def head_of(lm: DecoderLM, assets: AssetSource) -> Tensor:
    """`[V, D]` weights whose inner products with a state behind the final norm are the logits of the next token.

    The word embeddings, where the model shares both, as the random ones do; else read from its folder, frozen as the
    rest, on its device and of its type.

    Args:
        lm: With word embeddings: before its first layers have read anything ahead.
        assets: Where its weights come from.

    Raises:
        InputError: If there is no head of the layers' width.
    """
    words_VD: Tensor = lm.parts.model.get_input_embeddings().weight
    if lm.name not in RANDOM_DECODERS:
        folder = assets.fetch(lm.name)
        if not read_config(lm.name, folder, None).tie_word_embeddings:
            found_VD = read_tensor(lm.name, folder, HEAD)
            if found_VD is None:
                raise InputError(
                    f"{folder}: backbone {lm.name!r} needs a head of its own, which its config says it has, but the "
                    f"files hold no {HEAD}; fetch the whole causal language model",
                    fields=NAMED_BY,
                )
            words_VD = found_VD.to(words_VD.device, words_VD.dtype)
    if words_VD.shape[1] != lm.hidden_size:
        raise InputError(
            f"backbone {lm.name!r}: its head must be as wide as its layers, {lm.hidden_size}, got {words_VD.shape[1]}; "
            "choose another one",
            fields=NAMED_BY,
        )
    return words_VD
