"""What travels to a machine without a network: packed into parts that each fit one transfer, and unpacked there."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Any

PART_BYTES = 56 << 20
"""A transfer of 64 MiB has room for one of them beside this repository."""
PACKAGES = ("pydantic", "pydantic-core", "annotated-types", "typing-inspection", "typing-extensions")
"""Small, and on machines for training often missing; torch and what is large has to be there."""
_PREFIX = "searchplat-part-"
_CHUNK = 1 << 20


def pack(folder: Path, backbone: str, layers: int, python: str | None) -> None:
    """Write parts that hold Scientific, its hard items, the first layers of a backbone in BF16, and small packages.

    Args:
        folder: Emptied of older parts first.
        backbone: An asset or folder.
        python: Version of the interpreter there; None carries no packages.
    """
    from searchplat.assets import AssetStore
    from searchplat.errors import SearchplatError
    from trials.data.catalog import SCIENTIFIC

    assets = AssetStore()
    with tempfile.TemporaryDirectory() as name:
        content = Path(name)
        first_layers(assets.fetch(backbone), content / "backbone", layers, backbone)
        (content / "data" / "scientific").mkdir(parents=True)
        for path in SCIENTIFIC.files(SCIENTIFIC.parse({}), assets):
            shutil.copy(path, content / "data" / "scientific" / path.name)
        try:
            _hard_items(content, AssetStore(content / "cache"), assets)
        except SearchplatError as error:
            print(f"without hard items by a pretrained encoder, which cannot be had: {error}", file=sys.stderr)
        # What hard items were found by is not asked for again.
        shutil.rmtree(content / "cache" / "prepared" / "embeddings", ignore_errors=True)
        if python is not None:
            _download(content / "packages", python)
        for part in split(content, folder):
            print(f"{part}  {part.stat().st_size / 2**20:.1f} MiB")


def pack_rehearsal(folder: Path) -> None:
    """The same with a tiny random backbone, in parts of 20 KiB."""
    with tempfile.TemporaryDirectory() as name:
        content = Path(name)
        opt_shape(content / "whole", ["one word after another"], tiny=True)
        first_layers(content / "whole", content / "backbone", 2, "tiny random weights")
        shutil.rmtree(content / "whole")
        split(content, folder, 20 << 10)


def split(content: Path, folder: Path, size: int = PART_BYTES) -> list[Path]:
    """Archive a folder and cut the archive into parts."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{_PREFIX}*"):
        old.unlink()
    with tempfile.NamedTemporaryFile() as whole:
        with tarfile.open(fileobj=whole, mode="w:gz", compresslevel=1) as archive:
            archive.add(content, ".")
        total = -(-whole.tell() // size)
        whole.seek(0)
        made = [folder / f"{_PREFIX}{number:02}-of-{total:02}" for number in range(1, total + 1)]
        for part in made:
            part.write_bytes(whole.read(size))
    return made


def join(folder: Path, target: Path) -> None:
    """Unpack the parts of a folder.

    Raises:
        SystemExit: If some are missing.
    """
    parts = sorted(folder.glob(f"{_PREFIX}*"))
    total = int(parts[0].name.rpartition("-")[2]) if parts else 0
    if not parts or [part.name for part in parts] != [f"{_PREFIX}{n:02}-of-{total:02}" for n in range(1, total + 1)]:
        seen = ", ".join(part.name for part in parts) or "none"
        sys.exit(f"{folder} must hold all parts that `scripts/gpu pack` wrote, got {seen}; carry the others too")
    with tempfile.TemporaryFile() as whole:
        for part in parts:
            with part.open("rb") as file:
                shutil.copyfileobj(file, whole)
        whole.seek(0)
        with tarfile.open(fileobj=whole, mode="r:gz") as archive:
            archive.extractall(target, filter="data")


def unpack(folder: Path | None, work: Path, root: Path) -> dict[str, str]:
    """Unpack what was carried, see to packages, and return the environment that the parts run in."""
    carried, site = work / "carried", work / "site"
    if folder is not None:
        whole = work / "joined"
        join(folder, whole)
        shutil.rmtree(carried, ignore_errors=True)
        whole.rename(carried)
    site.mkdir(parents=True)
    wheels = [str(path) for path in sorted(carried.glob("packages/*.whl"))]
    if wheels and importlib.util.find_spec("pydantic") is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
        subprocess.run([*command, *wheels], check=True)
    if not entry_points(group="searchplat.methods"):
        _name_methods(site, root)
    cache = work / "cache"
    if (carried / "cache").is_dir():
        shutil.copytree(carried / "cache", cache)
    data = {"SEARCHPLAT_DATA_DIR": str(carried / "data")} if (carried / "data").is_dir() else {}
    return {
        **data,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(site), str(root), os.environ.get("PYTHONPATH")])),
        "SEARCHPLAT_CACHE": str(cache),
        "SEARCHPLAT_OFFLINE": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }


def first_layers(source: Path, target: Path, layers: int, name: str) -> None:
    """Write the first layers of a decoder in BF16, its embeddings, its config and its tokenizer."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file

    target.mkdir(parents=True)
    config = json.loads((source / "config.json").read_text())
    layers = min(layers, int(config["num_hidden_layers"]))
    tensors: dict[str, Any] = {}
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118
                if _layer(key) is None or _layer(key) < layers:  # type: ignore[operator]
                    tensors[key] = file.get_tensor(key).to(torch.bfloat16)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    kept = {**config, "num_hidden_layers": layers, "dtype": "bfloat16"}
    if "layer_types" in kept:
        kept["layer_types"] = kept["layer_types"][:layers]
    (target / "config.json").write_text(json.dumps(kept, indent=1))
    for path in source.iterdir():
        others = ("config.json", "manifest.json", "model.safetensors.index.json")
        if path.suffix in (".json", ".txt") and path.name not in others:
            shutil.copy(path, target / path.name)
    words = f"first {layers} of {config['num_hidden_layers']} layers of {name}, BF16"
    (target / "about.json").write_text(json.dumps({"words": words}))


def opt_shape(folder: Path, sentences: list[str], tiny: bool = False) -> None:
    """Write random weights in the shape of OPT-125M, with a tokenizer of the sentences' words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import OPTConfig, OPTModel, PreTrainedTokenizerFast
    from transformers.utils import logging

    logging.disable_progress_bar()
    found = sorted({word for text in sentences for word, _ in pre_tokenizers.BertPreTokenizer().pre_tokenize_str(text)})
    vocabulary = {"<unk>": 0, **{word: number for number, word in enumerate(found, start=1)}}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>").save_pretrained(folder)
    sizes: dict[str, Any] = {}
    if tiny:
        sizes = {"hidden_size": 32, "ffn_dim": 64, "num_attention_heads": 4, "num_hidden_layers": 2}
        sizes |= {"word_embed_proj_dim": 32, "max_position_embeddings": 1024}
    torch.manual_seed(0)
    size = max(len(vocabulary), 8 if tiny else 50272)
    OPTModel(OPTConfig(vocab_size=size, **sizes)).to(torch.bfloat16).save_pretrained(folder)
    words = "random weights in the shape of OPT-125M" if not tiny else "tiny random weights"
    (folder / "about.json").write_text(json.dumps({"words": words}))


def _layer(key: str) -> int | None:
    """Which layer a tensor belongs to; None if to none."""
    _, found, after = key.partition("layers.")
    return int(after.partition(".")[0]) if found else None


def _hard_items(content: Path, cache: Any, assets: Any) -> None:
    """Find the hard items of what the parts train on, with an encoder that need not travel then."""
    import settings

    from searchplat.methods import load_method
    from trials.data import open_search
    from trials.dual.hard_items import load_hard_items

    spec = settings.space(str(content / "backbone"), "minilm-l6-v2", False)
    config = load_method(spec.method).Config(**spec.fixed)

    class Both:
        """Weights from this machine's cache, what is made into the one that travels."""

        fetch, folder, digest = staticmethod(assets.fetch), staticmethod(cache.folder), staticmethod(assets.digest)

    for request in settings.requests(spec):
        load_hard_items(config, open_search(request, assets), Both())  # type: ignore[arg-type]


def _download(folder: Path, python: str) -> None:
    platforms = [f"manylinux{name}_x86_64" for name in ("_2_28", "_2_17", "2014", "1")]
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:",
            "--python-version", python, "--implementation", "cp", "--dest", str(folder),
            *(word for platform in platforms for word in ("--platform", platform)),
            *(f"{name}=={version(name)}" for name in PACKAGES),
        ],
        check=True,
    )  # fmt: skip


def _name_methods(site: Path, root: Path) -> None:
    """Say which methods and data sets there are, as installing the package would."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    info = site / "searchplat-0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: searchplat\nVersion: 0\n")
    (info / "entry_points.txt").write_text("\n".join(_lines(project["entry-points"])) + "\n")


def _lines(groups: dict[str, dict[str, str]]) -> Iterator[str]:
    for group, entries in groups.items():
        yield f"[{group}]"
        yield from (f"{name} = {value}" for name, value in entries.items())
