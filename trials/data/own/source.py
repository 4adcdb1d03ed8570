"""A file of one's own as a data set: `data: {file: my.csv, user: ..., item: ...}`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from searchplat.contract import FILE, AssetSource, FileReport
from searchplat.errors import AssetError, InputError
from searchplat.paths import resolve
from trials.data.own.findings import nearest
from trials.data.own.options import FileOptions
from trials.data.preparing.options import DataOptions
from trials.data.reading.interactions import Interactions
from trials.data.source import Source


def _read(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.own.reading import read_own

    return read_own(files[0], cast(FileOptions, options), *files[1:])


@dataclass(frozen=True)
class FileSource(Source):
    """A data set whose files its options name; each content is another data set."""

    def files(self, options: DataOptions, assets: AssetSource) -> tuple[Path, ...]:
        """The interactions, then the items if there is a file of them.

        Raises:
            AssetError: If one is not there; the text names files that are.
        """
        return self.paths(options)

    def paths(self, options: DataOptions) -> tuple[Path, ...]:
        """As `files`, which needs no assets here."""
        assert isinstance(options, FileOptions)
        if options.file is None:
            raise InputError(
                "data: file must name a file of interactions, as {file: my.csv, user: customer, item: sku}."
            )
        return tuple(
            _there(resolve(path, f"data: {key}"), key)
            for key, path in (("file", options.file), ("items", options.items))
            if path is not None
        )

    def check(self, options: Mapping[str, Any]) -> None:
        """See that the files are there; nothing is read.

        Raises:
            InputError: If an option is wrong.
            AssetError: If a file is not there.
        """
        self.paths(self.parse(options))

    def available(self, assets: AssetSource) -> bool:
        """Never by its name alone."""
        return False

    def sentence_keys(self, options: DataOptions, found: Interactions) -> tuple[str, ...]:
        """All that is known of the items, unless a space says what of it."""
        return options.attributes or tuple(found.attributes)

    def report(self, options: Mapping[str, Any]) -> FileReport:
        """What is wrong with a file, and what is in it; nothing is prepared.

        Raises:
            InputError: If an option is wrong, or a file cannot be opened.
        """
        from trials.data.own.report import report

        found = self.parse(options)
        return report(self, cast(FileOptions, found), self.paths(found))


def _there(path: Path, key: str) -> Path:
    if path.is_file():
        return path
    if path.is_dir():
        raise AssetError(f"data: {key} must be a file, and {path} is a folder.")
    others = [each.name for each in path.parent.iterdir() if each.is_file()] if path.parent.is_dir() else []
    near = nearest(path.name, others)
    meant = f" Did you mean {', '.join(near)}?" if near else ""
    raise AssetError(
        f"data: {key} {path} is not on this machine.{meant} A relative path begins at the folder of the space file, "
        "in a --set at the working folder."
    )


OWN_FILE = FileSource(
    name=FILE,
    summary="a file of your own: CSV, TSV, Parquet, RecBole's .inter or JSON lines",
    where=(
        "Say the file and its columns: data: {file: my.csv, user: customer, item: sku, time: bought_at}. "
        "`searchplat data --check my.csv --user customer --item sku` tells what is wrong with it."
    ),
    file_names=(),
    reader=_read,
    attributes=(),
    options=FileOptions,
    tells_leak=True,
)
