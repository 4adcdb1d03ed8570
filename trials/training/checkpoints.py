"""Checkpoints that survive a crash at any instant, and are never unpickled.

One checkpoint is a folder `epoch-0003/` of `model.safetensors` (trained parameters and persistent
buffers), `optimizer.safetensors`, `state.json` (everything that is not a tensor) and `manifest.json`
(size and SHA-256 of the other three). It is written under another name, flushed to the disk and then
renamed, so a folder under its final name is whole; the manifest finds what happens to it afterwards.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from searchplat.errors import TryAgainError

KEEP = 2
"""Checkpoints kept: should the newest be damaged, the one before it is left to fall back on."""

FORMAT = 1
_FILES = ("model.safetensors", "optimizer.safetensors", "state.json")
_MANIFEST = "manifest.json"
_NAME = re.compile(r"epoch-([0-9]{4,})")


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint holds.

    Args:
        epoch: Epochs completed.
        model: Trained parameters and persistent buffers by name, on the CPU.
        optimizer: The optimiser's tensors by name, on the CPU.
        state: Everything else: JSON values.
    """

    epoch: int
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Tensor]
    state: Mapping[str, Any]


def write(folder: Path, snapshot: Snapshot, keep: int = KEEP) -> Path:
    """Write a checkpoint durably, then remove all but the newest `keep` of those not newer than it.

    Returns:
        The checkpoint's folder.

    Raises:
        TryAgainError: If the disk is full; the checkpoints already there are untouched.
    """
    final = folder / f"epoch-{snapshot.epoch:04d}"
    temporary = folder / f".{final.name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        temporary.mkdir()
        contents = {
            "model.safetensors": safetensors.torch.save(_plain(snapshot.model)),
            "optimizer.safetensors": safetensors.torch.save(_plain(snapshot.optimizer)),
            "state.json": _json({"epoch": snapshot.epoch, **snapshot.state}),
        }
        files = {name: {"bytes": len(data), "sha256": _digest(data)} for name, data in contents.items()}
        for name, data in contents.items():
            _write_file(temporary / name, data)
        _write_file(temporary / _MANIFEST, _json({"format": FORMAT, "files": files}))
        _flush_folder(temporary)
        if final.exists():  # the epoch was run again; a crash right here falls back to the checkpoint before
            final.rename(folder / f".{final.name}.{os.getpid()}.old")
        temporary.rename(final)
        _flush_folder(folder)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryAgainError(
                f"{final}: no space is left to write this checkpoint; free some and run the same command again"
            ) from error
        raise
    _remove_leftovers(folder)
    older = [path for epoch, path in _found(folder) if epoch <= snapshot.epoch]
    for path in older[keep:]:
        shutil.rmtree(path, ignore_errors=True)
    return final


def newest_valid(folder: Path) -> Path | None:
    """Folder of the newest checkpoint whose every file agrees with its manifest; None if there is none."""
    return next((path for _, path in _found(folder) if _contents(path) is not None), None)


def read_newest(folder: Path) -> Snapshot | None:
    """The newest valid checkpoint's contents; None if there is none.

    A damaged one (cut, altered, incomplete) is skipped for the one before it. What is parsed are the very
    bytes that were checked.
    """
    for epoch, path in _found(folder):
        if contents := _contents(path):
            state = json.loads(contents["state.json"])
            if state.pop("epoch") != epoch:  # a folder that somebody renamed
                continue
            model = safetensors.torch.load(contents["model.safetensors"])
            optimizer = safetensors.torch.load(contents["optimizer.safetensors"])
            return Snapshot(epoch, model, optimizer, state)
    return None


def _found(folder: Path) -> list[tuple[int, Path]]:
    """Checkpoints in `folder`, newest first, checked for nothing but their name."""
    if not folder.is_dir():
        return []
    matches = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted(((int(match[1]), path) for match, path in matches if match), reverse=True)


def _contents(path: Path) -> dict[str, bytes] | None:
    """Bytes of every file but the manifest, or None if any of them is not what the manifest says."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        if manifest["format"] != FORMAT or sorted(manifest["files"]) != sorted(_FILES):
            return None
        contents = {name: (path / name).read_bytes() for name in _FILES}
        for name, data in contents.items():
            entry = manifest["files"][name]
            if entry["bytes"] != len(data) or entry["sha256"] != _digest(data):
                return None
    except (OSError, ValueError, LookupError, TypeError):  # gone, not JSON, not of the manifest's form
        return None
    return contents


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous copies on the CPU that share no memory, as safetensors wants them."""
    return {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_file(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make renames and new names in `folder` durable, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows cannot open a folder
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    """Remove what an interrupted `write` left behind. One process at a time writes into a trial's folder."""
    for path in folder.glob(".epoch-*"):
        shutil.rmtree(path, ignore_errors=True)
