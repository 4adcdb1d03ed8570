"""What a data set must say of itself, so that `prepared.py` can do the rest; `catalog.py` has ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from searchplat.contract import AssetSource, PublishedSize
from searchplat.errors import AssetError, InputError
from searchplat.paths import from_environment, resolve
from trials.data.preparing.options import DataOptions, parse_options
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import looked_over

GROUP = "searchplat.datasets"

Reader = Callable[[tuple[Path, ...], DataOptions], Interactions]


@dataclass(frozen=True)
class Source:
    """A data set; a `searchplat.contract.DataSource` for the entry-point group `searchplat.datasets`.

    Args:
        name: As in `data: {name: ...}`.
        summary: One line.
        where: How a person gets it, and its terms.
        file_names: The published files, in the order in which `reader` takes them; none for generated data.
        packed: Whether `reader` takes them packed too, with `.gz` behind their names.
        reader: From the files to interactions.
        attributes: What goes into an item's sentence by default, in order.
        asset: The catalogue name of the asset that holds the files; None if a person must fetch them.
        options: The typed options.
        defaults: Options that this data set sets where a space does not: the filters of the paper that uses it.
        rank_met: Whether what a user has met already is ranked as well, where a space does not say: as in the tables of
            the papers that use it.
        published: How large papers say that it is.
        version: Raise it when `reader` reads the same files in another way.
        tells_leak: Whether its warnings say how much of the training is later than what is tested.
    """

    name: str
    summary: str
    where: str
    file_names: tuple[str, ...]
    reader: Reader
    attributes: tuple[str, ...]
    asset: str | None = None
    options: type[DataOptions] = DataOptions
    defaults: Mapping[str, Any] = field(default_factory=dict)
    rank_met: bool = True
    published: tuple[PublishedSize, ...] = ()
    packed: bool = False
    version: int = 1
    tells_leak: bool = False

    def parse(self, options: Mapping[str, Any]) -> DataOptions:
        """Check options.

        Raises:
            InputError: Naming every wrong key.
        """
        return parse_options(self.options, self.name, {"rank_met": self.rank_met, **self.defaults, **options})

    def files(self, options: DataOptions, assets: AssetSource) -> tuple[Path, ...]:
        """Paths of the published files, fetched first if they come as an asset.

        Raises:
            AssetError: If they cannot be had.
        """
        if not self.file_names:
            return ()
        folder = self._given_folder(options)
        if folder is None and self.asset is not None:
            folder = assets.fetch(self.asset)
        if folder is None:
            raise AssetError(
                f"data {self.name} is not on this machine: give its folder as data option folder, or set "
                f"SEARCHPLAT_DATA_DIR to a folder that holds {self.name}/{self.file_names[0]}. {self.where}"
            )
        paths = self._paths(folder)
        missing = [path.name for path in paths if not path.is_file()]
        if missing:
            raise AssetError(f"data {self.name}: {folder} must hold {', '.join(missing)}. {self.where}")
        return paths

    def read(self, files: tuple[Path, ...], options: DataOptions) -> Interactions:
        """All interactions, unfiltered, with what was let pass.

        Raises:
            DataError: If a file breaks its format, or the files do not fit together.
        """
        return looked_over(self.reader(files, options), files)

    def sentence_keys(self, options: DataOptions, found: Interactions) -> tuple[str, ...]:
        """The attributes in an item's sentence."""
        return options.attributes or self.attributes

    def available(self, assets: AssetSource) -> bool:
        """Whether it is on this machine already (no network asked)."""
        if not self.file_names:
            return True
        folder = self._given_folder(self.options())
        if folder is not None:
            return all(path.is_file() for path in self._paths(folder))
        return self.asset is not None and assets.cached(self.asset)

    def statistics(self, assets: AssetSource, options: Mapping[str, Any]) -> dict[str, Any]:
        """Users, items, interactions, lengths and density after filtering; fetches if need be.

        Raises:
            InputError: If an option is wrong or the data cannot be had or read.
        """
        from trials.data.preparing.prepared import statistics

        return statistics(self.name, assets, options)

    def warnings(self, assets: AssetSource, options: Mapping[str, Any]) -> list[str]:
        """What was let pass in its files, with counts, a sentence each.

        Raises:
            InputError: If an option is wrong or the data cannot be had or read.
        """
        from trials.data.preparing.prepared import warnings

        return warnings(self.name, assets, options)

    def fingerprint(self, assets: AssetSource, options: Mapping[str, Any]) -> str:
        """Equal for equal files and options, different otherwise; covers all users and all splits.

        Raises:
            InputError: If an option is wrong or the data cannot be had or read.
        """
        from trials.data.preparing.prepared import fingerprint

        return fingerprint(self.name, assets, options)

    def _paths(self, folder: Path) -> tuple[Path, ...]:
        """The files in a folder: plain, or packed where only that is there."""
        plain = [folder / name for name in self.file_names]
        packed = [path.with_name(f"{path.name}.gz") for path in plain]
        return tuple(
            two if self.packed and two.is_file() and not one.is_file() else one
            for one, two in zip(plain, packed, strict=True)
        )

    def _given_folder(self, options: DataOptions) -> Path | None:
        """The option's folder, else the data set's in SEARCHPLAT_DATA_DIR if it is there."""
        if options.folder is not None:
            return resolve(options.folder, f"data {self.name}: folder")
        base = from_environment("SEARCHPLAT_DATA_DIR")
        return base / self.name if base is not None and (base / self.name).is_dir() else None


def find_source(name: str) -> Source:
    """The data set that an installed package offers under `name`.

    Raises:
        InputError: If none does, or it is of another kind.
    """
    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    if name not in found:
        raise InputError(f"data {name!r} must be one of {', '.join(sorted(found)) or '(none installed)'}.")
    source = found[name].load()
    if not isinstance(source, Source):
        raise InputError(f"data {name!r} ({found[name].value}) must be a trials.data.Source to be prepared.")
    return source
