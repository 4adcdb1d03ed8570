"""Folders of weights that are damaged in every way that somebody thought of: each is refused in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from by_hand import Folder
from model_folders import NO_IDS, save_tokenizer
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    BertConfig,
    BertModel,
    LlamaConfig,
    RobertaConfig,
    T5Config,
    ViTConfig,
)

from searchplat.errors import InputError
from trials.backbones.decoders.decoder_lm import check_decoder, load_decoder
from trials.backbones.encoders.masked_lm import check_masked_lm, load_masked_lm
from trials.backbones.encoders.text_encoder import load_text_encoder
from trials.backbones.pretrained import NAMED_BY, check_folder, read_weights, reading

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]", "red", "film"]
SIZES: dict[str, Any] = {
    "vocab_size": 7,
    "hidden_size": 8,
    "intermediate_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
}


DISK: Any = Folder()
TEXTS = ["red film", "a film"]


def _check_encoder(name: str) -> None:
    check_folder(name, Path(name), None, lambda: TEXTS)


LOADERS: dict[str, tuple[Callable[[str], Any], Callable[[str], Any]]] = {
    "decoder": (
        lambda name: load_decoder(name, DISK, num_layers=2).tokenize(TEXTS),
        lambda name: check_decoder(name, DISK, lambda: TEXTS),
    ),
    "masked": (
        lambda name: load_masked_lm(name, DISK).tokenize(TEXTS),
        lambda name: check_masked_lm(name, DISK, lambda: TEXTS),
    ),
    "encoder": (lambda name: load_text_encoder(name, DISK).encode(TEXTS), _check_encoder),
}


SPECIAL = {"pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}


def save_words(folder: Path, words: list[str] = WORDS) -> None:
    save_tokenizer(folder, words, "[UNK]", **SPECIAL)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that is well for each of the loaders, under the loader's name."""
    parent = tmp_path_factory.mktemp("pretrained")
    torch.manual_seed(0)
    for name in LOADERS:
        if name == "decoder":
            model = AutoModel.from_config(LlamaConfig(**SIZES, **NO_IDS))
        else:
            model = AutoModelForMaskedLM.from_config(BertConfig(**SIZES))
        model.save_pretrained(parent / name)
        save_words(parent / name)
    return parent


@pytest.fixture
def folder_of(whole: Path, tmp_path: Path) -> Callable[[str], Path]:
    return lambda kind: Path(shutil.copytree(whole / kind, tmp_path / kind))


Damage = Callable[[Path], object]


def config(**changes: Any) -> Damage:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def put(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def gone(pattern: str) -> Damage:
    def remove(folder: Path) -> None:
        for path in folder.glob(pattern):
            path.unlink()

    return remove


def cut(name: str, share: float, less: int = 0) -> Damage:
    def shorten(folder: Path) -> None:
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * share) - less])

    return shorten


def tensors(change: Callable[[dict[str, torch.Tensor]], None]) -> Damage:
    def rewrite(folder: Path) -> None:
        held = load_file(folder / "model.safetensors")
        change(held)
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})

    return rewrite


def index(content: bytes) -> Damage:
    def replace(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_bytes(content)

    return replace


def as_folder(name: str) -> Damage:
    def replace(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return replace


def drop_a_layer(held: dict[str, torch.Tensor]) -> None:
    for key in [key for key in held if ".1." in key]:
        del held[key]


def narrow(held: dict[str, torch.Tensor]) -> None:
    for key, tensor in held.items():
        held[key] = tensor[..., :4].contiguous()


EARLY: dict[str, Damage] = {
    "no config": gone("config.json"),
    "an empty config": put("config.json", b""),
    "a config cut short": cut("config.json", 0.5),
    "a list for a config": put("config.json", b"[1, 2]"),
    "null for a config": put("config.json", b"null"),
    "a config too deep": put("config.json", b"[" * 100_000),
    "a config in UTF-16": put("config.json", '{"model_type": "llama"}'.encode("utf-16")),
    "a config with NUL": put("config.json", b"\0" * 40),
    "no architecture": config(model_type=None),
    "an architecture that is a number": config(model_type=3),
    "an unknown architecture": config(model_type="abacus"),
    "a width in words": config(hidden_size="wide"),
    "no tokenizer": gone("tokenizer*"),
    "a tokenizer cut short": cut("tokenizer.json", 0.6),
    "an empty tokenizer": put("tokenizer.json", b""),
    "a list for a tokenizer": put("tokenizer.json", b"[]"),
    "a tokenizer's config that is no JSON": put("tokenizer_config.json", b"{"),
    "more tokens than embeddings": lambda folder: save_words(folder, [*WORDS[:5], "x", "y", "red", "film"]),
    "no weights": gone("*.safetensors"),
    "empty weights": put("model.safetensors", b""),
    "weights less a byte": cut("model.safetensors", 1.0, less=1),
    "half the weights": cut("model.safetensors", 0.5),
    "a header cut short": cut("model.safetensors", 0.0, less=-20),
    "a header longer than the file": put("model.safetensors", (1 << 60).to_bytes(8, "little") + b"{}"),
    "a header that is no JSON": put("model.safetensors", (4).to_bytes(8, "little") + b"abcd"),
    "a page instead of weights": put("model.safetensors", b"<!DOCTYPE html><html>not found</html>"),
    "a pointer of Git LFS instead of weights": put(
        "model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"
    ),
    "a folder instead of weights": as_folder("model.safetensors"),
    "an index of shards that are not there": index(b'{"metadata": {}, "weight_map": {"a": "one.safetensors"}}'),
    "an index that is no JSON": index(b"{"),
    "an index that is a list": index(b"[]"),
    "an index without a map": index(b"{}"),
}
"""What is said before anything is trained, without loading weights."""

LATE: dict[str, Damage] = {
    "more layers than there are weights of": config(num_hidden_layers=3),
    "a layer is missing": tensors(drop_a_layer),
    "other widths than the config's": tensors(narrow),
    "another width than the weights'": config(hidden_size=16),
    "no tensors at all": tensors(lambda held: held.clear()),
}
"""What only loading shows."""


@pytest.mark.parametrize("kind", LOADERS)
def test_whole_folders_are_taken(kind: str, folder_of: Callable[[str], Path]) -> None:
    load, check = LOADERS[kind]
    folder = folder_of(kind)
    check(str(folder))
    load(str(folder))


@pytest.mark.parametrize(
    "kind", ["decoder", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("masked", "encoder"))]
)
@pytest.mark.parametrize("damage", [*EARLY, *LATE])
def test_a_damaged_folder_is_refused_in_a_sentence(kind: str, damage: str, folder_of: Callable[[str], Path]) -> None:
    load, check = LOADERS[kind]
    folder = folder_of(kind)
    {**EARLY, **LATE}[damage](folder)
    if damage == "more layers than there are weights of" and kind == "decoder":
        load = lambda name: load_decoder(name, DISK)  # noqa: E731
    for asked in (check, load) if damage in EARLY else (load,):
        with pytest.raises(InputError) as caught:
            asked(str(folder))
        said = str(caught.value)
        assert str(folder) in said
        assert "\n" not in said
        assert caught.value.fields == NAMED_BY


@pytest.mark.parametrize(
    ("kind", "other"),
    [
        ("decoder", BertConfig(**SIZES)),
        ("masked", LlamaConfig(**SIZES, **NO_IDS)),
        *((kind, T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2, vocab_size=7)) for kind in LOADERS),
        *((kind, ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2)) for kind in LOADERS),
        # Its positions begin behind the padding's own, so that it cannot read as many tokens as it says.
        ("encoder", RobertaConfig(**SIZES, pad_token_id=1, bos_token_id=None, eos_token_id=None)),
    ],
)
def test_a_model_of_another_kind_is_refused(kind: str, other: Any, tmp_path: Path) -> None:
    AutoModel.from_config(other).save_pretrained(tmp_path)
    save_words(tmp_path)
    with pytest.raises(InputError, match=r"supported are|choose an encoder"):
        LOADERS[kind][0](str(tmp_path))


@pytest.mark.parametrize(
    "other",
    [
        BertConfig(**SIZES, initializer_range=0.5),
        T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=2, num_heads=2, vocab_size=7),
        ViTConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2),
    ],
)
def test_what_is_no_decoder_is_refused_before_anything_is_trained(other: Any, tmp_path: Path) -> None:
    torch.manual_seed(0)
    AutoModel.from_config(other).save_pretrained(tmp_path)
    save_words(tmp_path)
    with pytest.raises(InputError, match="decoder"):
        check_decoder(str(tmp_path), DISK, lambda: TEXTS, whole=True)


def test_tokens_beyond_the_embeddings_do_no_harm_while_no_text_has_them(folder_of: Callable[[str], Path]) -> None:
    folder = folder_of("decoder")
    save_words(folder, [*WORDS, "never", "met"])
    check_decoder(str(folder), DISK, lambda: TEXTS)
    lm = load_decoder(str(folder), DISK)
    assert lm.tokenize(["red film"]) == [[5, 6]]
    with pytest.raises(InputError, match="its tokenizer gives the id 8; take tokenizer and weights of the same model"):
        lm.tokenize(["red", "met"])


@pytest.mark.parametrize("error", [MemoryError("full"), OSError(28, "No space left on device")])
def test_what_is_no_fault_of_the_files_stays_what_it_is(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)), reading(tmp_path, "a rule", "a remedy"):
        raise error


def test_what_is_drawn_for_want_of_weights_is_drawn_alike_and_takes_no_chance_from_others(tmp_path: Path) -> None:
    config = BertConfig(**SIZES)
    BertModel(config).save_pretrained(tmp_path)  # without the head that fills in words
    drawn = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model, missing = read_weights(AutoModelForMaskedLM, "m", tmp_path, config, torch.float32, ("cls.",))
        assert missing
        drawn.append((model.cls.predictions.transform.dense.weight, torch.rand(1)))
        torch.manual_seed(seed)
        assert torch.equal(drawn[-1][1], torch.rand(1))
    assert torch.equal(drawn[0][0], drawn[1][0])
