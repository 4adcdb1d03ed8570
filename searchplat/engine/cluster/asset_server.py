"""Assets from the driver's cache: a host that lacks one is given it through Ray, and needs no network of its own.

Only catalogue assets travel, whose manifests say what every file must be. What hubs and people brought stays.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from searchplat.assets import AssetStore
from searchplat.assets.archive import safe_relative
from searchplat.assets.manifest import FILE_NAME
from searchplat.errors import AssetError

_PART_BYTES = 16 << 20


class AssetServer:
    """Hands out what one machine's cache holds. An actor on that machine.

    Args:
        cache: The cache folder.
    """

    def __init__(self, cache: Path) -> None:
        self._store = AssetStore(cache)

    def files(self, name: str) -> dict[str, int] | None:
        """Sizes in bytes by path of a catalogue asset, its manifest among them; None if it is not cached."""
        try:
            files = {path: entry.size_bytes for path, entry in self._store.manifest(name).files.items()}
        except AssetError:
            return None
        return {**files, FILE_NAME: (self._store.fetch(name) / FILE_NAME).stat().st_size}

    def part(self, name: str, path: str, offset: int) -> bytes:
        """At most 16 MiB of a file, from `offset` on."""
        if path not in (self.files(name) or {}):
            raise AssetError(f"asset {name!r} has no file {path!r}")
        with (self._store.fetch(name) / path).open("rb") as file:
            file.seek(offset)
            return file.read(_PART_BYTES)


class HostStore(AssetStore):
    """A host's own cache, then what the driver's machine has, then the network.

    Args:
        asset_server: The actor, an `AssetServer`.
    """

    def __init__(self, asset_server: Any) -> None:
        super().__init__()
        self._asset_server = asset_server

    def fetch(self, name: str) -> Path:
        """As of any store; all hosts get the very bytes that the driver has, if it has them."""
        if name in self._catalog and not self.cached(name):
            with suppress(RayError):
                files = ray.get(self._asset_server.files.remote(name))
                if files is not None:
                    self.take_in(name, lambda folder: self._copy(name, files, folder))
        return super().fetch(name)

    def _copy(self, name: str, files: dict[str, int], folder: Path) -> None:
        for path, size in files.items():
            target = folder / safe_relative(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as file:
                while file.tell() < size:
                    part = ray.get(self._asset_server.part.remote(name, path, file.tell()))
                    if not part:  # it has become shorter, which its checksum will tell
                        break
                    file.write(part)
