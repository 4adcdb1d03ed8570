"""Takes named members out of a zip archive that came from elsewhere: nothing is written outside the folder."""

from __future__ import annotations

import errno
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from searchplat.errors import AssetError

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises on a damaged archive."""


def safe_relative(text: str) -> PurePosixPath:
    """Return `text` as a path that stays inside the folder it is joined to.

    Raises:
        AssetError: If it is absolute, climbs out, or holds a backslash, a colon or a NUL.
    """
    path = PurePosixPath(text)
    if not text or path.is_absolute() or ".." in path.parts or any(c in text for c in "\\:\0") or str(path) == ".":
        raise AssetError(f"path {text!r} must be relative and stay inside its folder; nothing was written.")
    return path


def extract(archive: Path, members: Mapping[str, str], folder: Path, max_bytes: int) -> None:
    """Write `members` (path in the archive -> path in `folder`) of a zip file.

    Sizes are counted while unpacking, because a header may lie about them.

    Raises:
        AssetError: If the archive is no zip file, lacks a member, a member is no plain file, or all of them
            together exceed `max_bytes`.
    """
    left = max_bytes
    try:
        with zipfile.ZipFile(archive) as zipped:
            for inside, outside in members.items():
                target = folder / safe_relative(outside)
                try:
                    info = zipped.getinfo(inside)
                except KeyError:
                    raise AssetError(f"{archive.name} has no member {inside!r}; it is not the file expected.") from None
                kind = stat.S_IFMT(info.external_attr >> 16)
                if info.is_dir() or kind not in (0, stat.S_IFREG):
                    raise AssetError(f"{archive.name}: member {inside!r} must be a plain file.")
                target.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(info) as source, target.open("wb") as sink:
                    left = _copy(source, sink, left, archive.name, max_bytes)
    except _DAMAGED as error:
        raise AssetError(f"{archive.name} cannot be read as a zip archive: {error}.") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # that one comes of a seek to where a damaged header points
            raise
        raise AssetError(f"{archive.name} cannot be read as a zip archive: it points outside itself.") from error


def _copy(source: IO[bytes], sink: IO[bytes], left: int, name: str, max_bytes: int) -> int:
    while chunk := source.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise AssetError(f"{name} unpacks to more than the allowed {max_bytes} bytes; it is not the file expected.")
        sink.write(chunk)
    return left
