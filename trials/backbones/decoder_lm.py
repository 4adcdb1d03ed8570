"""Frozen decoder-only language models: loading, tokenising, and tiny random ones for tests.

`load_decoder` is what methods call; `decoder_parts.py` has what happens inside a layer. The weights are frozen,
in evaluation mode and shared by all trials of a process: nobody may change them, and a `DecoderLM` is not an
`nn.Module`, so that no trial moves, trains or checkpoints them by accident.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.decoder_parts import ARCHITECTURES, DecoderParts
from trials.backbones.decoder_whole import WholeDecoder, refuse_unless_causal
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.words import WordTokenizer

Tokenize = Callable[[Sequence[str]], list[list[int]]]
"""Texts to token ids, without any special token."""


@dataclass(frozen=True)
class DecoderLM:
    """A frozen language model without its head.

    Args:
        name: Asset name, or `random-...`.
        parts: The model in pieces.
        tokenize: Its tokenizer; adds no special tokens.
        hidden_size: Width `D` of the hidden states.
        vocab_size: Number of token ids.
        max_positions: Longest sequence, in tokens.
        device: Where the weights are.
    """

    name: str
    parts: DecoderParts
    tokenize: Tokenize
    hidden_size: int
    vocab_size: int
    max_positions: int
    device: torch.device

    @property
    def num_layers(self) -> int:
        """Number of layers loaded; 0 of a `WholeDecoder`, which is not taken apart."""
        return len(self.parts.layers)

    @property
    def end_of_sequence(self) -> int | None:
        """The token that ends a text, the first if there are several; None if the model's config names none."""
        end = self.parts.model.config.eos_token_id
        first = end[0] if isinstance(end, list) else end
        return None if first is None else int(first)


def load_decoder(
    name: str,
    assets: AssetSource,
    *,
    num_layers: int | None = None,
    device: str = "cpu",
    dtype: Literal["float32", "bfloat16"] = "float32",
    texts: Sequence[str] = (),
    whole: bool = False,
) -> DecoderLM:
    """Load the first `num_layers` layers of a decoder-only language model, frozen.

    Args:
        name: Asset name (`smollm2-135m`), hub name (`facebook/opt-125m`), local folder, or one of
            `random-llama`, `random-opt`, `random-gpt2`: tiny models with fixed random weights and a tokenizer of
            the words in `texts`.
        assets: Where weights come from.
        num_layers: Layers to keep, counted from the input; None for all.
        device: A torch device name.
        dtype: Type of the frozen matrices; with `bfloat16` run them under autocast. Norms and biases stay float32.
        texts: Words for a random model's tokenizer.
        whole: Take any causal architecture of transformers: one that is not in `ARCHITECTURES` comes as a
            `WholeDecoder`, for methods that leave the inside of the layers alone.

    Raises:
        InputError: If the architecture is not supported, the layers are fewer than asked for, or the folder
            holds no safetensors weights.
        AssetError: If the weights cannot be had.
    """
    if name in RANDOM_DECODERS:
        return _random_decoder(name, num_layers, device, dtype, texts)
    folder = assets.fetch(name)
    config = _read_config(name, folder, num_layers, whole)
    model = _load_weights(name, folder, config, dtype)
    lm = _wrap(name, model, _load_tokenizer(name, folder), device)
    if isinstance(lm.parts, WholeDecoder):
        refuse_unless_causal(name, lm.parts, lm.vocab_size)
    return lm


def _read_config(name: str, folder: Path, num_layers: int | None, whole: bool) -> Any:
    """The model's config, cut to `num_layers`."""
    from transformers import AutoConfig

    path = folder / "config.json"
    try:
        kind = json.loads(path.read_text(encoding="utf-8")).get("model_type")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: backbone {name!r} needs a readable config.json ({error}); fetch it again") from error
    if kind not in ARCHITECTURES and not whole:
        raise InputError(
            f"{path}: backbone {name!r} has the architecture {kind!r}, supported are {', '.join(ARCHITECTURES)}; "
            f"choose a model of one of these"
        )
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if num_layers is not None:
        if num_layers > config.num_hidden_layers:
            raise InputError(
                f"num_layers: backbone {name!r} has {config.num_hidden_layers} layers, got num_layers={num_layers}; "
                f"ask for at most {config.num_hidden_layers}"
            )
        config.num_hidden_layers = num_layers
    return config


def _load_weights(name: str, folder: Path, config: Any, dtype: str) -> Any:
    """The base model; layers beyond the config's and the head stay on disk."""
    from transformers import AutoModel
    from transformers.utils import logging

    shown, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # it lists every layer that we leave out on purpose
    logging.disable_progress_bar()
    try:
        return AutoModel.from_pretrained(
            folder,
            config=config,
            dtype=getattr(torch, dtype),
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
    except OSError as error:
        raise InputError(
            f"{folder}: backbone {name!r} needs its weights as safetensors ({error}); "
            f"convert them with transformers' save_pretrained and name that folder"
        ) from error
    finally:
        logging.set_verbosity(shown)
        if bars:
            logging.enable_progress_bar()


def _load_tokenizer(name: str, folder: Path) -> Tokenize:
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: backbone {name!r} needs its tokenizer files ({error}); fetch it again") from error

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return ids

    return tokenize


def _wrap(name: str, model: Any, tokenize: Tokenize, device: str) -> DecoderLM:
    model = model.to(device).eval().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.dim() == 1:  # norms and biases: no speed to gain, and norms of mixed types do not run on a CPU
            parameter.data = parameter.data.float()
    config = model.config
    return DecoderLM(
        name=name,
        parts=ARCHITECTURES.get(config.model_type, WholeDecoder)(model),
        tokenize=tokenize,
        hidden_size=int(config.hidden_size),
        vocab_size=int(config.vocab_size),
        # Models without a limit (ALiBi) name none.
        max_positions=int(getattr(config, "max_position_embeddings", None) or 2**31 - 1),
        device=torch.device(device),
    )


def _random_decoder(name: str, num_layers: int | None, device: str, dtype: str, texts: Sequence[str]) -> DecoderLM:
    """A tiny model of the architecture; equal names and texts give equal weights, whatever was drawn before."""
    from transformers import AutoModel

    tokenizer = WordTokenizer(texts)
    config = _random_config(name, num_layers or RANDOM_DECODERS[name], max(tokenizer.size, 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModel.from_config(config, dtype=torch.float32)
    return _wrap(name, model.to(getattr(torch, dtype)), tokenizer, device)


def _random_config(name: str, num_layers: int, vocab_size: int) -> Any:
    """32 wide, 4 heads (2 key/value heads for Llama), 1,024 positions; weights large enough to matter (std 0.1)."""
    from transformers import GPT2Config, LlamaConfig, OPTConfig

    common: dict[str, Any] = {"vocab_size": vocab_size, "max_position_embeddings": 1024}
    common |= {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}  # the defaults exceed the vocabulary
    if name == "random-llama":
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}
        return LlamaConfig(**common, **sizes, num_hidden_layers=num_layers, initializer_range=0.1)
    if name == "random-opt":
        sizes = {"hidden_size": 32, "ffn_dim": 64, "num_attention_heads": 4, "word_embed_proj_dim": 32}
        return OPTConfig(**common, **sizes, num_hidden_layers=num_layers, init_std=0.1)
    return GPT2Config(**common, n_embd=32, n_inner=64, n_head=4, n_layer=num_layers, initializer_range=0.1)
