"""Where an agent may look: the project's folder, its spaces and its searches. Links do not lead out of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from searchplat import paths
from searchplat.errors import InputError
from searchplat.ledger.folder import NAME_RULE, SearchFolder, list_searches
from searchplat.mcp.rules import Rules
from searchplat.spec import load, load_text
from searchplat.spec.document.strict_yaml import MAX_BYTES, decode
from searchplat.spec.find import find_space
from searchplat.spec.model import SearchSpec

TEXT = "the text"
"""How errors name a space that is no file."""

_ENDINGS = (".yaml", ".yml")
_MOST_FILES = 200
_MOST_LOOKS = 2000
"""Folders and files that are looked at for spaces."""
_DEPTH = 4
_SPACE = re.compile(rb"""^ {0,2}"?(method|search|stages)"?\s*:""", re.MULTILINE)
_PASSED_OVER = {"runs", "mlruns", "node_modules", "site-packages", "__pycache__"}


class Project:
    """What a server's tools look at. Spaces are kept in the folder wherever they are read, see `paths.WITHIN`.

    Args:
        rules: The server's.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules

    def search(self, name: str) -> SearchFolder:
        """A search's folder, whether or not it was started.

        Raises:
            InputError: If the name is none, or a link leads elsewhere.
        """
        folder = SearchFolder(self.rules.runs, name)
        for path in (folder.path, folder.ledger_path):
            if path.is_symlink():
                raise InputError(f"search {name!r}: {path} is a link, and links are not followed here; move it there")
        return folder

    def searches(self) -> list[SearchFolder]:
        """All that were started, by name; links are left out."""
        found = [SearchFolder(self.rules.runs, name) for name in list_searches(self.rules.runs)]
        return [one for one in found if not (one.path.is_symlink() or one.ledger_path.is_symlink())]

    def at_work(self) -> set[str]:
        """Names of searches that a process holds now, also before they have a ledger."""
        if not self.rules.runs.is_dir():
            return set()
        names = [path.name for path in self.rules.runs.iterdir() if NAME_RULE.fullmatch(path.name)]
        return {name for name in names if SearchFolder(self.rules.runs, name).running()}

    def read(
        self,
        space: str | None,
        text: str | None,
        scale: str | None = None,
        overrides: Sequence[str] = (),
        name: str | None = None,
    ) -> SearchSpec:
        """Read a space, a file or a text.

        Raises:
            InputError: If it is wrong in any way, or neither or both are given.
        """
        if (space is None) == (text is None):
            raise InputError("give either space, a file of the project or a shipped name, or text, a space's YAML")
        if space is not None:
            return load(self.space(space), scale=scale, overrides=overrides, name=name)
        return load_text(self.text(text or ""), TEXT, scale=scale, overrides=overrides, name=name or "text")

    def text(self, text: str) -> str:
        """A space's text, if it could stand in a file."""
        return decode(text.encode("utf-8", "surrogatepass"), TEXT)

    def space(self, argument: str) -> Path:
        """The whole path of a space file, which no command takes for an option.

        Raises:
            InputError: If there is none, or it is another kind of file: those may hold what an agent is not to see.
        """
        path = paths.resolve(find_space(argument), "space")
        if path.suffix not in _ENDINGS or not _keys(path):
            raise InputError(
                f"space: must be a file with the ending {' or '.join(_ENDINGS)} and a key method, search or stages, "
                f"got {argument!r}"
            )
        return path

    def content(self, space: str) -> tuple[Path, str]:
        """A space file and its text, as it is."""
        path = self.space(space)
        with path.open("rb") as file:
            return path, decode(file.read(MAX_BYTES + 1), str(path))

    def spaces(self) -> list[str]:
        """Files of the project that look like spaces, by their paths in it, at most 200."""
        return sorted(path.relative_to(self.rules.folder).as_posix() for path in self._found())[:_MOST_FILES]

    def _found(self) -> Iterator[Path]:
        root = self.rules.folder
        looks = 0
        for here, folders, files in os.walk(root):
            deep = len(Path(here).relative_to(root).parts)
            folders[:] = sorted(f for f in folders if f not in _PASSED_OVER and f[0] != "." and deep < _DEPTH)
            for path in (Path(here, name) for name in sorted(files)):
                if path.suffix in _ENDINGS and not path.is_symlink():
                    looks += 1
                    if len(_keys(path)) > 1:
                        yield path
            looks += 1
            if looks > _MOST_LOOKS:
                return


def _keys(path: Path) -> set[bytes]:
    """By which a space is known, those that a file has."""
    try:
        with path.open("rb") as file:
            return set(_SPACE.findall(file.read(MAX_BYTES)))
    except OSError:
        return set()
