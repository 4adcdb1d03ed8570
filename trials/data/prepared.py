"""Prepared data: read and filtered once, then memory-mapped by every trial.

A prepared folder is named by a hash of the source files' content, the options and the format version. It holds
training and validation in some files and the test targets in a file of their own, `test.npy`, which only
`open_final` opens: what a search is given has no way to the test items.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from searchplat.contract import TEST_FILE, AssetSource, DataRequest, TestPermit, refuse_if_sealed
from searchplat.errors import DataError, TestSplitError, TryAgainError
from trials.data.dataset import FinalData, SearchData
from trials.data.filters import filtered
from trials.data.interactions import Interactions
from trials.data.options import DataOptions
from trials.data.selection import LeftOut, leave_one_out, rows_of, select_users
from trials.data.sentences import item_sentences, item_titles
from trials.data.source import Source, find_source
from trials.data.texts import TextColumn

FORMAT_VERSION = 2
"""Raise it when the same source files and options would give another prepared folder."""

META = "meta.json"


def prepare(request: DataRequest, assets: AssetSource) -> Path:
    """Return the prepared folder of a data set, making it first if need be.

    Fraction and seed of the request do not matter here: one folder serves all of them.

    Raises:
        InputError: If an option is wrong.
        AssetError: If the data cannot be had; the text says how to get it.
        DataError: If a file breaks its format.
    """
    source = find_source(request.name)
    options = source.parse(request.options)
    files = source.files(options, assets)
    key = _key(source, options, files)
    parent = assets.folder("prepared", source.name)
    place = parent / key
    if (place / META).is_file():
        return place
    with FileLock(parent / f"{key}.lock"):
        if (place / META).is_file():  # another process was faster
            return place
        for leftover in parent.glob(f".{key}.*"):  # of a killed process: the lock is ours
            shutil.rmtree(leftover, ignore_errors=True)
        work = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=parent))
        try:
            work.chmod(0o755)
            interactions = filtered(source.read(files, options), options, source.name)
            _write(work, source, options, interactions)
            if place.exists():  # without its last file: not to be trusted
                shutil.rmtree(place)
            work.rename(place)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise TryAgainError(f"the disk of {parent} is full; free some space and run it again.") from error
            raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return place


def open_search(request: DataRequest, assets: AssetSource) -> SearchData:
    """Training and validation data of the requested share of the users, memory-mapped.

    Raises:
        InputError: As `prepare`.
    """
    return _open(prepare(request, assets), request)


def open_final(request: DataRequest, assets: AssetSource, permit: TestPermit) -> FinalData:
    """The same with the test targets. For promotion only, which alone can make a permit.

    Raises:
        InputError: As `prepare`.
        TestSplitError: If a trial's code is running in this process, or there is no permit.
    """
    refuse_if_sealed("open the test split")
    if not isinstance(permit, TestPermit):
        raise TestSplitError(f"the test split is opened with promotion's permit, got {permit!r}")
    folder = prepare(request, assets)
    search = _open(folder, request)
    test_U = _array(folder, Path(TEST_FILE).stem)
    return FinalData(search, test_U if search.num_users == len(test_U) else test_U[search.users_U], permit)


def fingerprint(name: str, assets: AssetSource, options: Mapping[str, Any]) -> str:
    """Names a data set by its files' content, its options and how they are read; all users, all splits.

    Raises:
        InputError: As `prepare`.
    """
    return prepare(DataRequest(name, options), assets).name


def statistics(name: str, assets: AssetSource, options: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of the filtered data set: users, items, interactions, lengths, density.

    Raises:
        InputError: As `prepare`.
    """
    found: dict[str, Any] = _meta(prepare(DataRequest(name, options), assets))["statistics"]
    return found


def _open(folder: Path, request: DataRequest) -> SearchData:
    meta = _meta(folder)
    train_items, train_offsets, valid_U = (_array(folder, name) for name in ("train_items", "train_offsets", "valid"))
    users_U = select_users(len(valid_U), request.fraction, request.seed)
    if len(users_U) < len(valid_U):
        train_items, train_offsets = rows_of(train_items, train_offsets, users_U)
        valid_U = valid_U[users_U]
    fingerprint = hashlib.sha256(f"{meta['content']}\n".encode() + users_U.tobytes()).hexdigest()
    return SearchData(
        name=request.name,
        train_items=train_items,
        train_offsets=train_offsets,
        valid_target_U=valid_U,
        users_U=users_U,
        num_items=int(meta["statistics"]["items"]),
        sentences=TextColumn.open(folder / "sentences"),
        titles=TextColumn.open(folder / "titles"),
        keys=TextColumn.open(folder / "keys"),
        fingerprint=fingerprint,
    )


def _array(folder: Path, name: str) -> Any:
    path = folder / f"{name}.npy"
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); delete the folder {folder}, it is made anew.") from error


def _meta(folder: Path) -> dict[str, Any]:
    try:
        meta: dict[str, Any] = json.loads((folder / META).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / META} cannot be read ({error}); delete the folder, it is made anew.") from error
    return meta


def _key(source: Source, options: DataOptions, files: tuple[Path, ...]) -> str:
    """Names a prepared folder by all that it depends on; where the files lie does not matter."""
    depends = {
        "format": FORMAT_VERSION,
        "source": source.name,
        "version": source.version,
        "options": options.model_dump(mode="json", exclude={"folder"}),
        "files": [(path.name, _sha256_of(path)) for path in files],
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:32]


def _sha256_of(path: Path) -> str:
    try:
        stat = path.stat()
        return _sha256_of_version(path, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


@functools.lru_cache(maxsize=64)
def _sha256_of_version(path: Path, size: int, mtime_ns: int) -> str:
    """A file's SHA-256, computed once a process for each size and time of change."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(folder: Path, source: Source, options: DataOptions, interactions: Interactions) -> None:
    cut = leave_one_out(interactions.users_E, interactions.items_E)
    sentences = item_sentences(interactions, options.attributes or source.attributes, source.name)
    titles = item_titles(interactions)
    np.save(folder / "train_items.npy", cut.train_items)
    np.save(folder / "train_offsets.npy", cut.train_offsets)
    np.save(folder / "valid.npy", cut.valid_U)
    np.save(folder / TEST_FILE, cut.test_U)
    TextColumn.write(sentences, folder / "sentences")
    TextColumn.write(titles, folder / "titles")
    TextColumn.write(interactions.item_keys, folder / "keys")
    meta = {
        "name": source.name,
        "format": FORMAT_VERSION,
        "options": options.model_dump(mode="json", exclude={"folder"}),
        "content": _content_digest(source.name, cut, sentences, titles),
        "statistics": _statistics(interactions),
    }
    (folder / META).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _content_digest(name: str, cut: LeftOut, sentences: list[str], titles: list[str]) -> str:
    """Hex digest of all that `SearchData` may show; the test targets are not in it."""
    digest = hashlib.sha256(f"{name}\n".encode())
    for array in (cut.train_items, cut.train_offsets, cut.valid_U):
        digest.update(f"{array.dtype.str} {array.shape}\n".encode() + array.tobytes())
    digest.update(json.dumps([sentences, titles]).encode())
    return digest.hexdigest()


def _statistics(interactions: Interactions) -> dict[str, Any]:
    lengths_U = np.bincount(interactions.users_E)
    users, items, count = interactions.num_users, interactions.num_items, len(interactions)
    return {
        "users": users,
        "items": items,
        "interactions": count,
        "average_length": round(count / users, 2),
        "shortest": int(lengths_U.min()),
        "longest": int(lengths_U.max()),
        "density": round(count / (users * items), 6),
    }
