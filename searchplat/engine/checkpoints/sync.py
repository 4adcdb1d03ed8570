"""Keeps a training's folder of checkpoints in a storage, so that any machine can take the training up.

    <training>/epoch-0003/manifest.json    which files the folder held after epoch 3, with their sizes and SHA-256
    <training>/files/<sha256>              what is in them, by content: what two epochs share is there once
    <training>/timeout.txt                 where a training was that was silent for too long

An object store has no rename: a manifest is written after all its files, so one that is there and whose files are all
there and what it says is whole, whenever the writer died. The newest two are kept. Methods know nothing of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from searchplat.engine.checkpoints.private_folder import PrivateFolder
from searchplat.engine.checkpoints.storage import Storage

KEEP = 2
"""Epochs kept: should the newest be damaged, the one before it is left to fall back on."""

RESULTS = "results"
"""In place of an epoch: what a final training leaves once it was tested."""

FORMAT = 1
_FILES = "files"
_MANIFEST = "manifest.json"
_EPOCH = re.compile(r"epoch-([0-9]{4,})/manifest\.json")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class File:
    """One file of a folder, as a manifest has it."""

    bytes: int
    sha256: str


Files = dict[str, File]
"""By name: paths from the folder, with `/`."""


class SyncedFolder:
    """One training's place in a storage, and a folder of this machine in which it trains.

    One process at a time writes for a training. What one that was taken for dead still writes does no harm: it never
    removes files that it does not know, and what it writes is what the training gives.

    Args:
        storage: The training's own.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._private = PrivateFolder()
        self.folder = self._private.path / "training"
        """Where the method saves."""
        self.folder.mkdir()
        self._hashed: dict[tuple[str, int, int, int], str] = {}
        self._kept: Files | None = None
        self._manifests: dict[int, Files] = {}

    def close(self) -> None:
        """Remove the folder of this machine; the storage is left alone."""
        self._private.close()

    def download(self) -> int:
        """Make the folder what it was after the newest epoch that is whole in the storage; return that, 0 for none.

        Raises:
            TryAgainError: If the storage fails.
        """
        objects = self._storage.list()
        for epoch in _epochs(objects):
            files = read_manifest(self._storage, f"epoch-{epoch:04d}", objects)
            if files is not None:
                self._empty()
                if fetch(self._storage, files, self.folder):
                    self._kept = self._manifests[epoch] = files
                    return epoch
        self._empty()
        return 0

    def upload(self, epoch: int) -> None:
        """Keep the folder as it is after an epoch, then remove what belongs to none of the newest two.

        Nothing happens if the folder is as it was when it was kept last, e.g. after an epoch that was not saved.

        Raises:
            TryAgainError: If the storage fails; what it had of earlier epochs is still there.
        """
        files = self._files(recursive=True)
        if files == self._kept:
            return
        objects = self._write(f"epoch-{epoch:04d}", files)
        self._kept = self._manifests[epoch] = files
        self._forget_old(epoch, objects)

    def upload_results(self) -> None:
        """Keep the files that lie in the folder itself, none below it: what a final training leaves."""
        self._write(RESULTS, self._files(recursive=False))

    def tell_timeout(self, trace: Path) -> None:
        """Leave the place at which a training hangs for whoever takes it up."""
        self._storage.upload(trace, trace.name)

    def timeout(self, trace: Path) -> None:
        """Fetch such a place, if there is one."""
        if content := self._storage.read(trace.name):
            trace.write_bytes(content)

    # ------------------------------------------------------------------ inside

    def _write(self, label: str, files: Files) -> dict[str, int]:
        objects = self._storage.list()
        for name, file in files.items():
            # One of another size was cut while it was written.
            if objects.get(f"{_FILES}/{file.sha256}") != file.bytes:
                self._storage.upload(self.folder / name, f"{_FILES}/{file.sha256}")
        manifest = {
            "format": FORMAT,
            "files": {name: {"bytes": file.bytes, "sha256": file.sha256} for name, file in files.items()},
        }
        self._storage.write(f"{label}/{_MANIFEST}", json.dumps(manifest, indent=1, sort_keys=True).encode())
        return objects

    def _forget_old(self, newest: int, objects: dict[str, int]) -> None:
        """Remove epochs before the newest two, and the files of none that is left.

        Args:
            objects: What was there before the newest was written: what another process adds meanwhile stays.
        """
        older = [epoch for epoch in _epochs(objects) if epoch < newest]
        if len(older) < KEEP:
            return
        wanted = {f"{_FILES}/{file.sha256}" for file in self._manifests[newest].values()}
        for epoch in older[: KEEP - 1]:
            files = self._manifests.get(epoch) or read_manifest(self._storage, f"epoch-{epoch:04d}", objects) or {}
            wanted |= {f"{_FILES}/{file.sha256}" for file in files.values()}
        for epoch in older[KEEP - 1 :]:
            self._storage.remove(f"epoch-{epoch:04d}/{_MANIFEST}")
            self._manifests.pop(epoch, None)
        for name in objects:
            if name.startswith(f"{_FILES}/") and name not in wanted:
                self._storage.remove(name)

    def _empty(self) -> None:
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        self._kept = None

    def _files(self, *, recursive: bool) -> Files:
        """What lies in the folder, but for what begins with a dot: that is being written, or on its way out."""
        found: Files = {}
        for path in sorted(self.folder.rglob("*") if recursive else self.folder.iterdir()):
            name = path.relative_to(self.folder)
            if path.is_file() and not path.is_symlink() and not any(part.startswith(".") for part in name.parts):
                found[name.as_posix()] = self._hash(path)
        return found

    def _hash(self, path: Path) -> File:
        about = path.stat()
        key = (str(path), about.st_ino, about.st_mtime_ns, about.st_size)
        if key not in self._hashed:
            with path.open("rb") as file:
                self._hashed[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return File(about.st_size, self._hashed[key])


def read_manifest(storage: Storage, label: str, objects: dict[str, int]) -> Files | None:
    """The manifest of an epoch or of results; None if there is none, it is damaged, or files of it are missing.

    Args:
        objects: What `storage` lists.
    """
    content = storage.read(f"{label}/{_MANIFEST}")
    try:
        manifest: Any = json.loads(content or b"")
        if manifest["format"] != FORMAT:
            return None
        files = {str(name): File(int(of["bytes"]), str(of["sha256"])) for name, of in manifest["files"].items()}
    except (ValueError, LookupError, TypeError, AttributeError):  # cut, not JSON, not of the manifest's form
        return None
    for name, file in files.items():
        path = PurePosixPath(name)
        # A storage that strangers write to shall not write elsewhere on this machine.
        if path.is_absolute() or ".." in path.parts or "\\" in name or not _DIGEST.fullmatch(file.sha256):
            return None
        if objects.get(f"{_FILES}/{file.sha256}") != file.bytes:
            return None
    return files


def fetch(storage: Storage, files: Files, folder: Path) -> bool:
    """Download files into a folder; whether every one of them is what the manifest says.

    A file appears under its name only once it was found to be right.
    """
    for name, file in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        if storage.download(f"{_FILES}/{file.sha256}", part) != file.sha256:
            part.unlink(missing_ok=True)
            return False
        part.replace(target)
    return True


def fetch_results(storage: Storage, folder: Path) -> bool:
    """Download what a final training left into a folder; whether all of it was there."""
    files = read_manifest(storage, RESULTS, storage.list())
    if files is None:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    return fetch(storage, files, folder)


def _epochs(objects: dict[str, int]) -> list[int]:
    """Epochs with a manifest, newest first."""
    return sorted((int(match[1]) for name in objects if (match := _EPOCH.fullmatch(name))), reverse=True)
