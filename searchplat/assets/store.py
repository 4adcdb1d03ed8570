"""The checksummed cache: fetch once, also when several processes ask at the same time, and never show a part.

Layout of the cache folder: `assets/<name>/` with a `manifest.json` each, `locks/`, and whatever others ask for by
`folder` (prepared data). A folder under `assets/` is written beside its place and renamed when it is complete.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from searchplat.assets import hub
from searchplat.assets.archive import safe_relative
from searchplat.assets.catalog import CATALOG, Asset, Hub, Route
from searchplat.assets.manifest import FILE_NAME, Manifest, digest_of, hash_folder
from searchplat.assets.progress import say
from searchplat.assets.routes import RouteError, take
from searchplat.errors import AssetError, TryAgainError
from searchplat.paths import from_environment, is_address, resolve


@dataclass(frozen=True)
class AssetState:
    """One line of `searchplat assets`. `route`, `source` and `folder` are None while it is not cached."""

    name: str
    summary: str
    licence: str
    size_bytes: int
    cached: bool
    route: str | None
    source: str | None
    folder: Path | None


class AssetStore:
    """Data and weights by name; the real `searchplat.contract.AssetSource`.

    Environment, read at each call: `SEARCHPLAT_CACHE` (the folder), `SEARCHPLAT_OFFLINE=1` (no network at all),
    `HF_HUB_OFFLINE=1` (not the hub), `SEARCHPLAT_ROUTES` (the only routes to take, e.g. `wheel,publisher`).

    Args:
        cache: The cache folder; else `SEARCHPLAT_CACHE`, else the user's cache folder.
        catalog: Assets with a short name.
    """

    def __init__(self, cache: Path | None = None, catalog: Mapping[str, Asset] = CATALOG) -> None:
        self.cache = _default_cache() if cache is None else resolve(cache, "cache")
        self._catalog = catalog

    def fetch(self, name: str) -> Path:
        """Return the local folder of an asset, fetching it first if need be.

        Args:
            name: A catalogue name, a hub name (`facebook/opt-125m`, `owner/name@revision`), or an existing local
                folder. A catalogue name wins over a folder of the same name: write `./ml-100k` for that.

        Raises:
            AssetError: If it cannot be had; the text names every way to get it.
            TryAgainError: If the disk is full.
        """
        if name in self._catalog:
            return self._fetch_catalogued(self._catalog[name])
        if (folder := local_folder(name, self._catalog)) is not None:
            return folder
        if hub.HUB_NAME.fullmatch(name) is None:
            known = ", ".join(self._catalog)
            raise AssetError(
                f"asset {name!r} must be one of {known}, a hub name such as facebook/opt-125m, or an existing folder."
            )
        try:
            with _storing(self.cache):
                return hub.fetch(name, offline=_set("SEARCHPLAT_OFFLINE") or _set("HF_HUB_OFFLINE"))
        except hub.HubError as error:
            raise AssetError(
                f"asset {name!r} cannot be had: {error}. Ways to get it: with internet access, the hub repository "
                f"{name}; without, copy a folder with its config, tokenizer and safetensors files here and give that "
                f"folder's path instead of the name."
            ) from error

    def folder(self, *parts: str) -> Path:
        """Return (and make) a folder of the cache, e.g. `folder("prepared", digest)`.

        Raises:
            AssetError: If a part would lead out of the cache, or the cache cannot be written.
        """
        path = self.cache.joinpath(*(safe_relative(part) for part in parts))
        with _storing(self.cache):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def cached(self, name: str) -> bool:
        """Whether `fetch` would need no network."""
        if name in self._catalog:
            return (self._place(name) / FILE_NAME).is_file()
        return self._present(name) is not None

    def digest(self, name: str) -> str:
        """Hex SHA-256 over the names and contents of a cached asset's files.

        Equal digests mean equal bytes; the same name fetched by different routes may have different ones.

        Raises:
            AssetError: If the asset is not cached.
        """
        if name in self._catalog:
            return self.manifest(name).digest()
        folder = self._present(name)
        if folder is None:
            raise AssetError(f"asset {name!r} is not on this machine; fetch it first.")
        return digest_of({path: entry.sha256 for path, entry in hash_folder(folder).items()})

    def manifest(self, name: str) -> Manifest:
        """The manifest of a cached catalogue asset.

        Raises:
            AssetError: If it is not cached.
        """
        if not self.cached(name) or name not in self._catalog:
            raise AssetError(f"asset {name!r} is not in the cache {self.cache}; fetch it first.")
        return Manifest.read(self._place(name))

    def verify(self, name: str) -> tuple[str, ...]:
        """Read every file of a cached catalogue asset again; return what is wrong, one sentence a file.

        Raises:
            AssetError: If it is not cached.
        """
        expected, found = self.manifest(name).files, hash_folder(self._place(name))
        problems = [f"{path} is missing" for path in expected.keys() - found.keys()]
        problems += [f"{path} was added later" for path in found.keys() - expected.keys()]
        problems += [
            f"{path} must have SHA-256 {entry.sha256}, got {found[path].sha256}"
            for path, entry in expected.items()
            if path in found and found[path].sha256 != entry.sha256
        ]
        return tuple(sorted(problems))

    def remove(self, name: str) -> bool:
        """Delete a catalogue asset from the cache; return whether it was there.

        Raises:
            AssetError: If it is no catalogue asset (the hub's own cache is managed by `hf cache`).
        """
        if name not in self._catalog:
            raise AssetError(f"only catalogue assets can be removed ({', '.join(self._catalog)}), got {name!r}.")
        place = self._place(name)
        with self._locked(name):
            if not place.exists():
                return False
            gone = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place.parent))
            place.rename(gone / name)  # first out of sight, so that nobody sees half of it
            shutil.rmtree(gone)
        return True

    def list(self) -> tuple[AssetState, ...]:
        """Every catalogue asset and whether it is cached, in the catalogue's order."""
        return tuple(self._state(asset) for asset in self._catalog.values())

    def _state(self, asset: Asset) -> AssetState:
        manifest = self.manifest(asset.name) if self.cached(asset.name) else None
        return AssetState(
            name=asset.name,
            summary=asset.summary,
            licence=asset.licence,
            size_bytes=sum(e.size_bytes for e in manifest.files.values()) if manifest else asset.size_bytes,
            cached=manifest is not None,
            route=manifest.route if manifest else None,
            source=manifest.source if manifest else None,
            folder=self._place(asset.name) if manifest else None,
        )

    def _place(self, name: str) -> Path:
        return self.cache / "assets" / name

    def _present(self, name: str) -> Path | None:
        """A local folder, or a snapshot in the Hugging Face cache."""
        if (folder := local_folder(name, self._catalog)) is not None:
            return folder
        if hub.HUB_NAME.fullmatch(name) is None:
            return None
        try:
            return hub.fetch(name, offline=True)
        except hub.HubError:
            return None

    def _fetch_catalogued(self, asset: Asset) -> Path:
        place = self._place(asset.name)
        if (place / FILE_NAME).is_file():
            return place
        with self._locked(asset.name), _storing(self.cache):
            if (place / FILE_NAME).is_file():  # another process was faster
                return place
            self._clear_leftovers(asset.name)
            reasons = []
            for route in asset.routes:
                reason = _forbidden(route) or self._try(asset, route)
                if reason is None:
                    return place
                say(f"{asset.name}: not by {route.kind}: {reason}")
                reasons.append(f"{route.kind} {_label(route)} ({reason})")
        raise AssetError(
            f"asset {asset.name!r} cannot be had. Tried: {'; '.join(reasons)}. Remedy: make one of these reachable "
            f"(pip uses the index that you configure), or give the path of a local folder that holds it; the cache is "
            f"{self.cache} (SEARCHPLAT_CACHE)."
        )

    def _try(self, asset: Asset, route: Route) -> str | None:
        """Bring the asset into its place by one route; return why not, or None."""
        place = self._place(asset.name)
        work = Path(tempfile.mkdtemp(prefix=f".{asset.name}.", dir=place.parent))
        try:
            files, scratch = work / "files", work / "scratch"
            files.mkdir()
            scratch.mkdir()
            take(asset.name, route, files, asset.pins, scratch)
            Manifest(asset.name, route.kind, route.source, asset.licence, hash_folder(files)).write(files)
            _fsync_tree(files)
            if place.exists():  # without a manifest: not ours to trust
                place.rename(work / "distrusted")
            files.rename(place)
            _fsync(place.parent)
        except RouteError as error:
            return str(error)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return None

    def take_in(self, name: str, write: Callable[[Path], object]) -> Path:
        """Store a catalogue asset that another machine's cache has, unless it is cached here.

        Args:
            write: Fills an empty folder with the asset's files and their manifest.

        Returns:
            The asset's folder.

        Raises:
            AssetError: If what was written is not what its manifest says; nothing is kept then.
            TryAgainError: If the disk is full.
        """
        place = self._place(name)
        with self._locked(name), _storing(self.cache):
            if self.cached(name):
                return place
            work = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=place.parent))
            try:
                files = work / "files"
                files.mkdir()
                write(files)
                if Manifest.read(files).files != hash_folder(files):
                    raise AssetError(f"asset {name!r} came damaged from another machine; run the same command again.")
                _fsync_tree(files)
                if place.exists():  # without a manifest: not ours to trust
                    place.rename(work / "distrusted")
                files.rename(place)
                _fsync(place.parent)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return place

    def _clear_leftovers(self, name: str) -> None:
        """Remove what killed processes left; the caller holds the lock, so nobody is at work there."""
        for path in self._place(name).parent.glob(f".{name}.*"):
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        self.folder("assets")
        lock = FileLock(self.folder("locks") / f"{name}.lock")
        try:
            lock.acquire(timeout=0.1)
        except Timeout:
            say(f"{name}: waiting for another process that is fetching it")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()


def local_folder(name: str, catalog: Container[str] = CATALOG) -> Path | None:
    """The folder of this machine that an asset's name stands for; None where it names something to fetch, or nothing.

    A catalogue name wins over a folder of the same name, a folder over a hub name.
    """
    if name in catalog or not name.strip() or is_address(name):
        return None
    folder = resolve(name, f"asset {name!r}")
    return folder if folder.is_dir() else None


def _default_cache() -> Path:
    if (folder := from_environment("SEARCHPLAT_CACHE")) is not None:
        return folder
    import platformdirs

    return resolve(platformdirs.user_cache_dir("searchplat"), "the user's cache folder")


def _set(variable: str) -> bool:
    return os.environ.get(variable, "").lower() in ("1", "true", "yes", "on")


def _forbidden(route: Route) -> str | None:
    """Why the environment forbids this route, or None."""
    allowed = [kind.strip() for kind in os.environ.get("SEARCHPLAT_ROUTES", "").split(",") if kind.strip()]
    if allowed and route.kind not in allowed:
        return f"SEARCHPLAT_ROUTES allows only {', '.join(allowed)}"
    if _set("SEARCHPLAT_OFFLINE"):
        return "SEARCHPLAT_OFFLINE is set"
    if isinstance(route, Hub) and _set("HF_HUB_OFFLINE"):
        cached = hub.cached_snapshot(route.repo, route.revision, route.files)
        return None if cached is not None else "HF_HUB_OFFLINE is set"
    return None


def _label(route: Route) -> str:
    """A route's source as a person would type it."""
    return route.source.split(" ", maxsplit=1)[0]


@contextmanager
def _storing(cache: Path) -> Iterator[None]:
    """Turn what a full or read-only disk raises into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TryAgainError(f"the disk of the cache {cache} is full; free some space and run it again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise AssetError(f"the cache {cache} cannot be written ({error}); set SEARCHPLAT_CACHE.") from error
        raise


def _fsync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(0o644)  # some writers make private files, and a cache may be shared
        _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
