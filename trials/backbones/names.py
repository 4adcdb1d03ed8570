"""Names and depths of backbones, for configs: loads no torch."""

from __future__ import annotations

import json
from pathlib import Path

from searchplat.errors import InputError

RANDOM_DECODERS = {"random-llama": 2, "random-opt": 2, "random-gpt2": 2}
"""Tiny randomly initialised decoders, with their number of layers unless told otherwise."""

RANDOM_MASKED = ("random-bert", "random-minilm", "random-roberta", "random-distilbert", "random-modernbert")
"""Tiny randomly initialised masked language models; `random-minilm` is a BERT without a masked-LM head."""

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
        path = Path(name).expanduser() / "config.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        return int(config.get("num_hidden_layers", config.get("n_layer")))
    except (OSError, ValueError, TypeError, RuntimeError) as error:  # RuntimeError: ~ of an unknown user
        raise InputError(
            f"num_layers: the depth of backbone {name!r} is not known before it is fetched; set num_layers "
            f"(known depths: {', '.join(DECODER_LAYERS)})"
        ) from error
