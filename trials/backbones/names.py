"""Names and depths of backbones, for configs: loads no torch."""

from __future__ import annotations

import json
from typing import Annotated

from searchplat.contract import AssetName
from searchplat.errors import InputError
from searchplat.paths import resolve

RANDOM_DECODERS = {"random-llama": 2, "random-opt": 2, "random-gpt2": 2}
"""Tiny randomly initialised decoders, with their number of layers unless told otherwise."""

RANDOM_MASKED = ("random-bert", "random-minilm", "random-roberta", "random-distilbert", "random-modernbert")
"""Tiny randomly initialised masked language models; `random-minilm` is a BERT without a masked-LM head."""

RANDOM_ENCODER = "random-bert"
"""A tiny randomly initialised encoder whose tokenizer knows the words of the texts it is loaded with."""

Decoder = Annotated[str, AssetName(frozenset(RANDOM_DECODERS))]
MaskedModel = Annotated[str, AssetName(frozenset(RANDOM_MASKED))]
Encoder = Annotated[str, AssetName(frozenset({RANDOM_ENCODER}))]
"""A field of a config: an asset's name, a hub name, a local folder, or one of ours."""

DECODER_LAYERS = {
    "smollm2-135m": 30,
    "facebook/opt-125m": 12,
    "facebook/opt-350m": 24,
    "facebook/opt-1.3b": 24,
    "openai-community/gpt2": 12,
    "openai-community/gpt2-medium": 24,
    "openai-community/gpt2-large": 36,
    "meta-llama/Llama-2-7b-hf": 32,
    **RANDOM_DECODERS,
}
"""Layers of well-known decoders, so that a space can be checked before anything is fetched."""


def decoder_layers(name: str) -> int:
    """Number of layers of a decoder, without fetching it.

    Args:
        name: A name of `DECODER_LAYERS` (a revision after `@` is ignored), or a local folder with a config.json.

    Raises:
        InputError: If it is neither.
    """
    if (known := DECODER_LAYERS.get(name.partition("@")[0])) is not None:
        return known
    try:
        path = resolve(name, "backbone") / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        return int(config.get("num_hidden_layers", config.get("n_layer")))
    except (OSError, ValueError, TypeError, InputError) as error:
        raise InputError(
            f"num_layers: the depth of backbone {name!r} is not known before it is fetched; set num_layers "
            f"(known depths: {', '.join(DECODER_LAYERS)})"
        ) from error
