"""Frozen decoder-only language models: loading, tokenising, and tiny random ones for tests.

`load_decoder` is what methods call; `parts.py` has what happens inside a layer. The weights are frozen,
in evaluation mode and shared by all trials of a process: nobody may change them, and a `DecoderLM` is not an
`nn.Module`, so that no trial moves, trains or checkpoints them by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.decoders.parts import ARCHITECTURES, DecoderParts
from trials.backbones.decoders.whole_run import WholeDecoder, refuse_unless_causal
from trials.backbones.names import RANDOM_DECODERS
from trials.backbones.pretrained import (
    check_folder,
    read_config,
    read_tokenizer,
    read_weights,
    reading,
    within_vocabulary,
)
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

    @torch.no_grad()
    def vocabulary(self) -> tuple[Tensor, Tensor]:
        """Mean and spread of the embeddings' channels, `[D]` each, on the CPU: where virtual tokens start, as words do.

        Of about a thousand tokens, evenly spread.
        """
        step = max(1, self.vocab_size // 1024)
        sample_VD = self.parts.embed(torch.arange(0, self.vocab_size, step, device=self.device)).float().cpu()
        return sample_VD.mean(0), sample_VD.std(0)


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
        InputError: If the architecture is not supported, the layers are fewer than asked for, the model is no decoder,
            or the folder holds no safetensors weights of it, or no tokenizer.
        AssetError: If the weights cannot be had.
    """
    if name in RANDOM_DECODERS:
        return _random_decoder(name, num_layers, device, dtype, texts)
    from transformers import AutoModel

    folder = assets.fetch(name)
    config = _load_config(name, folder, num_layers, whole)
    model, _ = read_weights(AutoModel, name, folder, config, getattr(torch, dtype))
    with reading(folder, f"backbone {name!r} must be a decoder of tokens", "choose a decoder-only language model"):
        lm = _wrap(name, model, _tokenize_of(name, folder, int(config.vocab_size)), device)
    if isinstance(lm.parts, WholeDecoder):
        refuse_unless_causal(name, lm.parts, lm.vocab_size)
    return lm


def check_decoder(name: str, assets: AssetSource, texts: Callable[[], Sequence[str]], *, whole: bool = False) -> None:
    """Check what a decoder's folder holds before anything is trained on it; a random one needs none.

    Args:
        name: As for `load_decoder`.
        assets: Where weights come from; what is not here yet is fetched.
        texts: What will be tokenised, if it is asked for.
        whole: As for `load_decoder`. An architecture that is not in `ARCHITECTURES` is loaded with one layer, to see
            whether it is a decoder at all.

    Raises:
        InputError: If it cannot be used.
        AssetError: If it cannot be had.
    """
    if name in RANDOM_DECODERS:
        return
    folder = assets.fetch(name)
    check_folder(name, folder, None if whole else ARCHITECTURES, texts)
    if whole and read_config(name, folder, None).model_type not in ARCHITECTURES:
        load_decoder(name, assets, num_layers=1, whole=True)


def _load_config(name: str, folder: Path, num_layers: int | None, whole: bool) -> Any:
    """The model's config, cut to `num_layers`."""
    config = read_config(name, folder, None if whole else ARCHITECTURES)
    if num_layers is not None:
        with reading(folder, f"backbone {name!r} must be a language model of layers", "choose a decoder"):
            deepest = int(config.num_hidden_layers)
        if num_layers > deepest:
            raise InputError(
                f"num_layers: backbone {name!r} has {deepest} layers, got num_layers={num_layers}; "
                f"ask for at most {deepest}",
                fields=("num_layers", "backbone"),
            )
        config.num_hidden_layers = num_layers
    return config


def _tokenize_of(name: str, folder: Path, vocab_size: int) -> Tokenize:
    tokenizer = read_tokenizer(name, folder)

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        return within_vocabulary(name, tokenizer(list(texts), add_special_tokens=False)["input_ids"], vocab_size)

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
