"""Masked language models of the BERT family, taken apart for full fine-tuning, and tiny random ones for tests.

A method brings an embedding table of its own, with the words that it needs and tokens that are new; so a model comes
as word embeddings, the encoder without them, and the head's transform (what stands between the encoder's states and
the product with the embeddings).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from searchplat.contract import AssetSource
from searchplat.errors import InputError
from trials.backbones.names import RANDOM_MASKED
from trials.backbones.pretrained import (
    NAMED_BY,
    check_folder,
    read_config,
    read_tokenizer,
    read_weights,
    within_vocabulary,
)
from trials.backbones.words import WordTokenizer

Tokenize = Callable[[Sequence[str]], list[list[int]]]
"""Texts to token ids, without any special token."""


@dataclass(frozen=True)
class Stack:
    """The layers of a masked language model, and what stands between its words and them.

    Args:
        layers: Each takes states and an additive mask `[B, 1, L, L]` and gives states.
        norm: LayerNorm over the sum of a token's embeddings.
        dropout: Behind it, in [0, 1).
        type_D: `[D]` embedding of the token type that all tokens have in plain text.
        positions_PD: `[P, D]` embeddings of places.
    """

    layers: nn.ModuleList
    norm: nn.Module
    dropout: float
    type_D: Tensor
    positions_PD: Tensor


@dataclass(frozen=True)
class MaskedLM:
    """A pretrained masked language model in parts. Trials train copies; nobody may change the original.

    Args:
        name: Asset name, or `random-...`.
        encoder: The transformers model without its word embeddings: takes `inputs_embeds [B, L, D]` and
            `attention_mask [B, L]`, gives `last_hidden_state [B, L, D]`.
        transform: The head up to the product with the embeddings (linear, activation, LayerNorm), `[..., D]` to
            `[..., D]`; None where the checkpoint has no masked-LM head.
        words_VD: `[V, D]` word embeddings.
        tokenize: Its tokenizer; adds no special tokens.
        cls_id, sep_id, mask_id: Ids of `[CLS]`, `[SEP]` and `[MASK]`, whatever the model calls them.
        max_positions: Longest sequence, in tokens.
        layers: Attribute of the encoder that lists its layers, where each takes states and an additive mask
            `[B, 1, L, L]` and gives states, and nothing follows the last; None elsewhere.
        positions_PD: `[max_positions, D]` learned embeddings of places, where `layers` are given; else None.
    """

    name: str
    encoder: nn.Module
    transform: nn.Module | None
    words_VD: Tensor
    tokenize: Tokenize
    cls_id: int
    sep_id: int
    mask_id: int
    max_positions: int
    layers: str | None = None
    positions_PD: Tensor | None = None

    @property
    def hidden_size(self) -> int:
        """`D`."""
        return int(self.words_VD.shape[1])

    def copies(self) -> tuple[nn.Module, nn.Module | None]:
        """Encoder and transform, to be trained."""
        return copy.deepcopy(self.encoder), copy.deepcopy(self.transform)

    def stack(self) -> Stack:
        """Copies of what stands around and in the encoder's layers, for a model that embeds in its own way.

        Raises:
            InputError: If the layers cannot run alone.
        """
        if self.layers is None or self.positions_PD is None:
            raise InputError(
                f"backbone {self.name!r}: its layers cannot run alone, only those of BERT and RoBERTa can; choose one",
                fields=NAMED_BY,
            )
        embeddings: Any = self.encoder.embeddings
        return Stack(
            layers=copy.deepcopy(attrgetter(self.layers)(self.encoder)),
            norm=copy.deepcopy(embeddings.LayerNorm),
            dropout=float(embeddings.dropout.p),
            type_D=embeddings.token_type_embeddings.weight.detach()[0].clone(),
            positions_PD=self.positions_PD.clone(),
        )

    def split(self, first: int) -> tuple[nn.Module, nn.ModuleList]:
        """A frozen copy of the encoder with its `first` layers alone, and a copy of the later ones, to be trained.

        Raises:
            InputError: If the layers cannot run alone, or `first` leaves none.
        """
        if self.layers is None:
            raise InputError(
                f"statement_layers: the layers of backbone {self.name!r} cannot run alone, only those of BERT and "
                "RoBERTa can; set it to 0",
                fields=("statement_layers", "backbone"),
            )
        layers: nn.ModuleList = attrgetter(self.layers)(self.encoder)
        if not 1 <= first < len(layers):
            raise InputError(
                f"statement_layers: must be less than the {len(layers)} layers of {self.name!r}, got {first}; lower it",
                fields=("statement_layers", "num_layers", "backbone"),
            )
        later = copy.deepcopy(layers[first:])
        reader = copy.deepcopy(self.encoder)
        del attrgetter(self.layers)(reader)[first:]
        return reader.requires_grad_(False).eval(), later


@dataclass(frozen=True)
class _Family:
    """Where the parts are in an architecture's `...ForMaskedLM`.

    Args:
        encoder: Attribute of the encoder.
        layers: Attribute, from the encoder, of the list of layers.
        transform: The head up to the product with the embeddings.
        parameters: Prefixes of the transform's parameters in a checkpoint.
        padded_positions: Whether positions begin behind the padding's own.
        alone: Whether the layers can run alone; see `MaskedLM.layers`.
    """

    encoder: str
    layers: str
    transform: Callable[[Any], nn.Module]
    parameters: tuple[str, ...]
    padded_positions: bool = False
    alone: bool = False


_ROBERTA = _Family(
    "roberta",
    "encoder.layer",
    lambda model: nn.Sequential(model.lm_head.dense, nn.GELU(), model.lm_head.layer_norm),
    ("lm_head.dense.", "lm_head.layer_norm."),
    padded_positions=True,
    alone=True,
)

FAMILIES: dict[str, _Family] = {
    "bert": _Family(
        "bert",
        "encoder.layer",
        attrgetter("cls.predictions.transform"),
        ("cls.predictions.transform.",),
        alone=True,
    ),
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "distilbert": _Family(
        "distilbert",
        "transformer.layer",
        lambda model: nn.Sequential(model.vocab_transform, model.activation, model.vocab_layer_norm),
        ("vocab_transform.", "vocab_layer_norm."),
    ),
    "modernbert": _Family("model", "layers", attrgetter("head"), ("head.",)),
}
"""Supported architectures, by `model_type`."""

_HEADS = ("cls.", "lm_head.", "vocab_", "head.", "decoder.")
"""How the names of their heads' parameters begin."""


def load_masked_lm(
    name: str, assets: AssetSource, *, num_layers: int | None = None, texts: Sequence[str] = ()
) -> MaskedLM:
    """Load the first `num_layers` layers of a masked language model, on the CPU in float32, ready to be copied.

    Args:
        name: Asset name (`minilm-l6-v2`), hub name (`google-bert/bert-base-uncased`), local folder, or one of
            `RANDOM_MASKED`: tiny models with fixed random weights and a tokenizer of the words in `texts`.
        assets: Where weights come from.
        num_layers: Layers to keep, counted from the input; None for all.
        texts: Words for a random model's tokenizer.

    Raises:
        InputError: If the architecture is not supported, the layers are fewer than asked for, the folder holds no
            safetensors weights, or the tokenizer lacks `[CLS]`, `[SEP]` or `[MASK]`.
        AssetError: If the weights cannot be had.
    """
    if name in RANDOM_MASKED:
        return _random_masked_lm(name, num_layers, texts)
    from transformers import AutoModelForMaskedLM

    folder = assets.fetch(name)
    config = read_config(name, folder, FAMILIES)
    # A sentence encoder has no head; its bias and its product with the embeddings are the method's own anyhow.
    model, missing = read_weights(AutoModelForMaskedLM, name, folder, config, torch.float32, _HEADS)
    tokenizer, size = read_tokenizer(name, folder), int(config.vocab_size)

    def tokenize(texts: Sequence[str]) -> list[list[int]]:
        return within_vocabulary(
            name, tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else [], size
        )

    special = _special(name, folder, tokenizer)
    within_vocabulary(name, [list(special)], size)
    prefixes = FAMILIES[config.model_type].parameters
    has_head = not any(key.startswith(prefixes) for key in missing)
    return _take_apart(name, model, num_layers, tokenize, special, has_head=has_head)


def check_masked_lm(name: str, assets: AssetSource, texts: Callable[[], Sequence[str]]) -> None:
    """Check what a model's folder holds before anything is trained on it; a random one needs none.

    Args:
        name: As for `load_masked_lm`.
        assets: Where weights come from; what is not here yet is fetched.
        texts: What will be tokenised, if it is asked for.

    Raises:
        InputError: If it cannot be used.
        AssetError: If it cannot be had.
    """
    if name not in RANDOM_MASKED:
        folder = assets.fetch(name)
        check_folder(name, folder, FAMILIES, texts)
        _special(name, folder, read_tokenizer(name, folder))


def _special(name: str, folder: Path, tokenizer: Any) -> tuple[int, int, int]:
    special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.mask_token_id)
    if None in special:
        raise InputError(
            f"{folder}: backbone {name!r} needs a tokenizer with [CLS], [SEP] and [MASK], got the ids {special}; "
            "choose a masked language model",
            fields=NAMED_BY,
        )
    return special


def _take_apart(
    name: str, model: Any, num_layers: int | None, tokenize: Tokenize, special: tuple[int, int, int], *, has_head: bool
) -> MaskedLM:
    config = model.config
    family = FAMILIES[config.model_type]
    encoder: Any = getattr(model, family.encoder)
    layers: nn.ModuleList = attrgetter(family.layers)(encoder)
    if num_layers is not None:
        if num_layers > len(layers):
            raise InputError(
                f"num_layers: backbone {name!r} has {len(layers)} layers, got num_layers={num_layers}; "
                f"ask for at most {len(layers)}",
                fields=("num_layers", "backbone"),
            )
        del layers[num_layers:]
    words_VD = encoder.get_input_embeddings().weight.detach().clone()
    encoder.set_input_embeddings(nn.Identity())  # never used: the caller embeds
    longest = int(config.max_position_embeddings)
    if family.padded_positions:
        longest -= int(config.pad_token_id) + 1
    return MaskedLM(
        name=name,
        encoder=encoder.eval(),
        transform=family.transform(model).eval() if has_head else None,
        words_VD=words_VD,
        tokenize=tokenize,
        cls_id=special[0],
        sep_id=special[1],
        mask_id=special[2],
        max_positions=longest,
        layers=family.layers if family.alone else None,
        positions_PD=encoder.embeddings.position_embeddings.weight.detach()[-longest:] if family.alone else None,
    )


def _random_masked_lm(name: str, num_layers: int | None, texts: Sequence[str]) -> MaskedLM:
    """A tiny model of the architecture; equal names and texts give equal weights, whatever was drawn before."""
    from transformers import AutoModelForMaskedLM

    tokenizer = WordTokenizer(texts)
    config = _random_config(name, num_layers or 2, tokenizer.size + 3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AutoModelForMaskedLM.from_config(config, dtype=torch.float32)
    special = (tokenizer.size, tokenizer.size + 1, tokenizer.size + 2)
    return _take_apart(name, model, None, tokenizer, special, has_head=name != "random-minilm")


def _random_config(name: str, num_layers: int, vocab_size: int) -> Any:
    """32 wide, 2 heads, 512 positions, no dropout; weights large enough to matter (std 0.1)."""
    from transformers import BertConfig, DistilBertConfig, ModernBertConfig, RobertaConfig

    common: dict[str, Any] = {"vocab_size": vocab_size, "initializer_range": 0.1, "pad_token_id": 0}
    none = {"bos_token_id": None, "eos_token_id": None}  # the defaults exceed the vocabulary
    sizes = {"hidden_size": 32, "num_hidden_layers": num_layers, "num_attention_heads": 2, "intermediate_size": 64}
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    if name == "random-roberta":
        common |= {"pad_token_id": 1, "max_position_embeddings": 514}  # positions begin behind the padding's
        return RobertaConfig(**common, **none, **sizes, **quiet)
    common["max_position_embeddings"] = 512
    if name == "random-distilbert":
        sizes = {"dim": 32, "n_layers": num_layers, "n_heads": 2, "hidden_dim": 64}
        return DistilBertConfig(**common, **sizes, dropout=0.0, attention_dropout=0.0)
    if name == "random-modernbert":
        special = {"cls_token_id": None, "sep_token_id": None}
        return ModernBertConfig(**common, **none, **special, **sizes, local_attention=16)
    return BertConfig(**common, **sizes, **quiet)
