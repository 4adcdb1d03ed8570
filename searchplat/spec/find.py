"""Finds a space file by its path, or a shipped one by its bare name."""

from __future__ import annotations

import os
import re
from pathlib import Path

from searchplat import paths
from searchplat.errors import InputError
from searchplat.spec.errors import suggest
from searchplat.spec.grammar import NAME

_PACKAGE = Path(__file__).resolve().parents[1]


def find_space(argument: Path | str) -> Path:
    """Return the path of a space file.

    Args:
        argument: An existing file, or the bare name of a shipped space: `darec`.

    Raises:
        InputError: If there is neither, and the text lists the shipped ones; or if it may not be read from where it
            is, see `paths.keep_within`.
    """
    if not isinstance(argument, str | Path):
        raise InputError(
            f"space: must be a space file's path, the name of a shipped one, or a dictionary, got {argument!r}"
        )
    # Named as it was given, so that errors are short; only a home folder is written out.
    path = Path(os.path.expanduser(argument))
    try:
        if path not in shipped_spaces().values() and (os.path.lexists(path) or not _shipped(str(argument))):
            paths.keep_within(path, "the space file")
        if path.is_file():
            return path
        if path.is_dir() and not _shipped(str(argument)):
            raise InputError(f"{path}: is a folder; give a space file in it, such as {path / 'space.yaml'}")
        if path.exists() and not _shipped(str(argument)):
            raise InputError(f"{path}: is no regular file; give a space file")
    except (OSError, ValueError) as error:  # too long, or with a null byte
        raise InputError(f"{str(argument)[:80]!r} is not a path: {error}") from error
    if found := _shipped(str(argument)):
        return found
    raise InputError(
        f"{argument}: there is no such file, and no shipped space of this name; "
        f"{suggest(path.stem, shipped_spaces(), 'shipped are')}"
    )


def shipped_spaces() -> dict[str, Path]:
    """The shipped space files by name, sorted."""
    return {path.stem: path for path in sorted(_folder().glob("*.yaml"))}


def grammar() -> Path:
    """The page on what a space file may say."""
    return _folder() / "README.md"


def _shipped(name: str) -> Path | None:
    return shipped_spaces().get(name) if re.fullmatch(NAME, name) else None


def _folder() -> Path:
    """`searchplat/_spaces` of an installed wheel, else `spaces` of the repository (an editable install)."""
    installed = _PACKAGE / "_spaces"
    return installed if installed.is_dir() else _PACKAGE.parent / "spaces"
