"""What a cached folder holds: every file's SHA-256 and size, and the route they came by (`manifest.json`)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from searchplat.errors import AssetError

FILE_NAME = "manifest.json"


@dataclass(frozen=True)
class FileEntry:
    """One file: hex SHA-256 and size."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class Manifest:
    """The content of `manifest.json`.

    Args:
        name: The asset.
        route: `hub`, `publisher` or `wheel`.
        source: Where exactly from, with commit or SHA-256.
        licence: Of the content.
        files: Path in the folder -> entry; the manifest itself is not among them.
    """

    name: str
    route: str
    source: str
    licence: str
    files: Mapping[str, FileEntry]

    def digest(self) -> str:
        """Hex SHA-256 of the files' names and contents: equal bytes have equal digests, whatever the route."""
        return digest_of({path: entry.sha256 for path, entry in self.files.items()})

    def write(self, folder: Path) -> None:
        """Write `manifest.json`, durably."""
        content = {
            "name": self.name,
            "route": self.route,
            "source": self.source,
            "licence": self.licence,
            "digest": self.digest(),
            "files": {p: {"sha256": e.sha256, "bytes": e.size_bytes} for p, e in sorted(self.files.items())},
        }
        with (folder / FILE_NAME).open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a cached folder.

        Raises:
            AssetError: If it is missing or malformed.
        """
        path = folder / FILE_NAME
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            files = {p: FileEntry(str(e["sha256"]), int(e["bytes"])) for p, e in raw["files"].items()}
            return cls(str(raw["name"]), str(raw["route"]), str(raw["source"]), str(raw["licence"]), files)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise AssetError(
                f"{path}: cannot be read as a manifest ({error!r}); remove the asset and fetch it again."
            ) from error


def hash_file(path: Path) -> FileEntry:
    """SHA-256 and size of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileEntry(digest, path.stat().st_size)


def hash_folder(folder: Path) -> dict[str, FileEntry]:
    """Every file under `folder` but its manifest, by posix path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in paths
        if path.relative_to(folder).as_posix() != FILE_NAME
    }


def digest_of(hashes: Mapping[str, str]) -> str:
    """One hex SHA-256 over named hashes."""
    text = "".join(f"{name}\0{sha256}\n" for name, sha256 in sorted(hashes.items()))
    return hashlib.sha256(text.encode()).hexdigest()
