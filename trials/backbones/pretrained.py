"""Folders of pretrained weights as transformers reads them; whatever is wrong with one is an `InputError`.

`check_folder` says before any trial starts what can be known without loading weights, the loaders in `decoder_lm.py`,
`masked_lm.py` and `text_encoder.py` say the rest.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from searchplat.errors import InputError, SearchplatError, disk_full, out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

NAMED_BY = ("backbone", "encoder", "text_encoder")
"""What methods call the field that names a folder: in a search over several, one that is no good spares the others."""

_WHOLE, _INDEX = "model.safetensors", "model.safetensors.index.json"


@contextmanager
def reading(folder: Path, rule: str, remedy: str) -> Iterator[None]:
    """Within it, what a library raises is an `InputError`: over a damaged file they raise what they happen to hit.

    Args:
        folder: Of the weights.
        rule: What must hold, with the name of the weights.
        remedy: What to do.
    """
    try:
        yield
    except SearchplatError:
        raise
    except Exception as error:
        if out_of_memory(error) or disk_full(error):
            raise
        what = f"{type(error).__name__}: {shorten(str(error), 160, placeholder=' ...')}"
        raise InputError(f"{folder}: {rule} ({what}); {remedy}", fields=NAMED_BY) from error


def read_config(name: str, folder: Path, kinds: Collection[str] | None) -> Any:
    """The config of transformers.

    Args:
        name: Of the backbone, for messages.
        folder: Its folder.
        kinds: The architectures that can be used, by `model_type`; None for any.

    Raises:
        InputError: If there is none that can be read, or it is of another architecture.
    """
    from transformers import AutoConfig

    path = folder / "config.json"
    rule, remedy = f"backbone {name!r} needs a readable config.json", "fetch it again"
    with reading(path, rule, remedy):
        content = json.loads(path.read_text(encoding="utf-8"))
    kind = content.get("model_type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise InputError(f"{path}: {rule}, an object with a model_type, got {kind!r}; {remedy}", fields=NAMED_BY)
    if kinds is not None and kind not in kinds:
        raise InputError(
            f"{path}: backbone {name!r} has the architecture {kind!r}, supported are {', '.join(kinds)}; "
            "choose a model of one of these",
            fields=NAMED_BY,
        )
    with reading(path, rule, remedy):
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def read_tokenizer(name: str, folder: Path) -> Any:
    """The tokenizer of transformers.

    Raises:
        InputError: If there is none that can be read.
    """
    from transformers import AutoTokenizer

    rule, remedy = f"backbone {name!r} needs its tokenizer files", "fetch it again"
    with reading(folder, rule, remedy):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # Without any of them some kinds come out of it that know no word; byte-level ones have no files at all.
    files = tuple(tokenizer.vocab_files_names.values())
    if files and not any((folder / file).is_file() for file in files):
        raise InputError(f"{folder}: {rule}, one of {', '.join(files)}; {remedy}", fields=NAMED_BY)
    return tokenizer


def read_weights(
    kind: Any, name: str, folder: Path, config: Any, dtype: Any, optional: tuple[str, ...] = ()
) -> tuple[Any, set[str]]:
    """A model with its weights; layers beyond the config's stay on disk.

    Args:
        kind: An `AutoModel...` of transformers.
        name: Of the backbone, for messages.
        folder: Its folder.
        config: The model's.
        dtype: Of its matrices.
        optional: How the names of parameters begin that may be missing. transformers draws a missing one at random.

    Returns:
        The model, and the names of parameters that are missing.

    Raises:
        InputError: If there are no safetensors, or not those of this config.
    """
    import torch

    from trials.training.seeds import own_generators

    rule = f"backbone {name!r} needs its weights as safetensors"
    remedy = "convert them with transformers' save_pretrained and name that folder"
    with quietly(), reading(folder, rule, remedy), own_generators():
        torch.manual_seed(0)  # what is missing is drawn alike, whichever trial of a process loads it
        model, info = kind.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    missing = set(info["missing_keys"])
    if lacking := sorted(key for key in missing if not key.startswith(optional)):
        raise InputError(
            f"{folder}: {rule}, which must hold every parameter, but {len(lacking)} are missing, {lacking[0]} the "
            "first; fetch it again",
            fields=NAMED_BY,
        )
    return model, missing


def read_tensor(name: str, folder: Path, key: str) -> Tensor | None:
    """One tensor of the weights, on the CPU; None if there is none of this name.

    Raises:
        InputError: If the files cannot be read.
    """
    for path in _weight_files(name, folder):
        with reading(path, f"backbone {name!r} needs whole files of weights", "fetch it again"), _open(path) as file:
            if key in set(file.keys()):
                tensor: Tensor = file.get_tensor(key)
                return tensor
    return None


def within_vocabulary(name: str, rows: list[list[int]], size: int) -> list[list[int]]:
    """The token ids, if the model has an embedding for each.

    Raises:
        InputError: If it has not.
    """
    if (largest := max((max(row) for row in rows if row), default=-1)) >= size:
        raise InputError(
            f"backbone {name!r}: every token must have one of the model's {size} embeddings, but its tokenizer "
            f"gives the id {largest}; take tokenizer and weights of the same model",
            fields=NAMED_BY,
        )
    return rows


def check_folder(name: str, folder: Path, kinds: Collection[str] | None, texts: Callable[[], Sequence[str]]) -> None:
    """Check config, tokenizer and whether the files of weights are whole, without loading weights.

    Args:
        name: Of the backbone, for messages.
        folder: Its folder.
        kinds: The architectures that can be used; None for any.
        texts: Asked for texts to be tokenised if the tokenizer has more tokens than the model has embeddings, which
            does no harm as long as they are not met.

    Raises:
        InputError: If something is wrong with them.
    """
    config = read_config(name, folder, kinds)
    tokenizer = read_tokenizer(name, folder)
    size = getattr(config, "vocab_size", None)
    if isinstance(size, int) and len(tokenizer) > size and (given := list(texts())):
        within_vocabulary(name, tokenizer(given, add_special_tokens=False)["input_ids"], size)
    rule = f"backbone {name!r} needs whole files of weights"
    for path in _weight_files(name, folder):
        with reading(path, rule, "fetch it again"), _open(path):
            pass


def _weight_files(name: str, folder: Path) -> list[Path]:
    index = folder / _INDEX
    if (folder / _WHOLE).exists() or not index.exists():
        return [folder / _WHOLE]
    with reading(index, f"backbone {name!r} needs a readable index of its weights", "fetch it again"):
        return [folder / part for part in sorted(set(json.loads(index.read_text())["weight_map"].values()))]


def _open(path: Path) -> Any:
    """Read the header, and compare the file's size with it."""
    from safetensors import safe_open

    return safe_open(path, framework="pt")


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, transformers lists no parameters that we leave out on purpose, and draws no bars."""
    from transformers.utils import logging

    shown, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(shown)
        if bars:
            logging.enable_progress_bar()
