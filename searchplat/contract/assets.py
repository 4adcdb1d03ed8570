"""Where weights and data come from, and what a process keeps of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class AssetName:
    """Marks a text field of a `Config` that `AssetSource.fetch` is asked for: `Annotated[str, AssetName()]`.

    Where such a field, or one of type `Path`, names a folder of this machine, it is made absolute when a space is
    read, because trials work in folders of their own. So are options of data sets.

    Args:
        known: Names that the method itself knows, whatever folders there are.
    """

    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class BesideSpace:
    """Marks a field of type `Path` whose relative paths begin at the folder of the space file that holds them.

    In a `--set`, and without the mark, they begin at the working folder.
    """


class AssetSource(Protocol):
    """Where data and weights come from; `searchplat.assets.AssetStore` is the real one."""

    def fetch(self, name: str) -> Path:
        """Return the local folder of an asset, fetching it first if need be.

        Args:
            name: A catalogue name (`smollm2-135m`), a hub name (`facebook/opt-125m`), or a local folder.

        Raises:
            AssetError: If it cannot be had; the text names every way to get it.
        """
        ...

    def cached(self, name: str) -> bool:
        """Whether `fetch` would find it on this machine, without asking the network."""
        ...

    def folder(self, *parts: str) -> Path:
        """Return (and make) a folder of the cache for prepared data, e.g. `folder("prepared", digest)`."""
        ...


def asset_source() -> AssetSource:
    """The real source, on this machine's cache: for commands that a method brings along."""
    from searchplat.assets import AssetStore

    return AssetStore()


class WarmCache:
    """What one trial process keeps between trials: backbones, tokenised data, text embeddings.

    Keys must name everything that the value depends on, e.g. `("decoder", "smollm2-135m", 4, "cpu")`.
    Values must not be changed by a trial: frozen weights only.
    """

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the value under `key`, making it on first use."""
        if key not in self._values:
            self._values[key] = make()
        value: T = self._values[key]
        return value

    def clear(self) -> None:
        """Forget everything, e.g. after running out of memory."""
        self._values.clear()
