"""Prepared data: read and filtered once, then memory-mapped by every trial.

A prepared folder is named by a hash of the source files' content, the options and the format version. It holds
training and validation in some files and what belongs to the test interactions in files of their own, which only
`open_final` opens: what a search is given has no way to the test items. `stored.py` says what lies in a folder.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from searchplat.contract import AssetSource, DataRequest, TestPermit, refuse_if_sealed
from searchplat.errors import DataError, InputError, TestSplitError, TryAgainError
from trials.data.preparing import splits, stored
from trials.data.preparing.dataset import FinalData, SearchData
from trials.data.preparing.filters import filtered
from trials.data.preparing.options import DataOptions
from trials.data.preparing.selection import count_users, select_users
from trials.data.preparing.stored import META, open_test, open_users, read_meta, write_folder
from trials.data.reading.requests import with_requests
from trials.data.source import Source, find_source

FORMAT_VERSION = 4
"""Raise it when the same source files and options would give another prepared folder."""


def prepare(request: DataRequest, assets: AssetSource) -> Path:
    """Return the prepared folder of a data set, making it first if need be.

    One folder serves all fractions and seeds.

    Raises:
        InputError: If an option is wrong, or the fraction is of no user.
        AssetError: If the data cannot be had; the text says how to get it.
        DataError: If a file breaks its format.
    """
    folder = _folder(request, assets)
    count_users(int(read_meta(folder)["statistics"]["users"]), request.fraction)
    return folder


def _folder(request: DataRequest, assets: AssetSource) -> Path:
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
            keys = source.sentence_keys(options, interactions)
            if options.requests_from_previous:
                interactions = with_requests(interactions, keys, options.requests_from_previous, source.name)
            about = {"format": FORMAT_VERSION, "options": options.content()}
            interactions, cut = splits.cut(interactions, options.split, source.name)
            told = splits.leak(interactions, cut) if source.tells_leak else None
            if told is not None:
                interactions = replace(interactions, warnings=(*interactions.warnings, told))
            facts = {} if options.split is None else splits.facts(interactions, cut)
            write_folder(work, source.name, interactions, cut, keys, about, facts)
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


def open_user_keys(name: str, options: Mapping[str, Any], assets: AssetSource) -> Sequence[str]:
    """What the data set's files call its users, by their rows in the whole data set.

    Raises:
        InputError: As `prepare`, or if its reader does not tell.
    """
    folder = prepare(DataRequest(name, options), assets)
    if (found := stored.open_user_keys(folder)) is not None:
        return found
    source = find_source(name)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        if (found := stored.open_user_keys(folder)) is None:  # prepared before users' names were kept
            parsed = source.parse(options)
            read = source.read(source.files(parsed, assets), parsed)
            whole, _ = splits.cut(filtered(read, parsed, name), parsed.split, name)
            if not whole.user_keys:
                raise InputError(f"data {name}: its reader does not tell what users are called; let it give user_keys.")
            stored.write_user_keys(folder, whole.user_keys)
            found = stored.open_user_keys(folder)
    assert found is not None
    return found


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
    test, test_requests_U = open_test(folder, np.asarray(search.users_U, dtype=np.int64))
    test_UT = test if test.ndim == 2 else test[:, None]
    final = FinalData(search, test_UT[:, 0], permit, test_requests_U, test_UT[:, 1:])
    if not len(final.test_rows):
        raise DataError(
            f"data {request.name}: none of {search.num_users:,} users has an interaction to test with after the split; "
            "raise the share of users."
        )
    return final


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
    found: dict[str, Any] = read_meta(prepare(DataRequest(name, options), assets))["statistics"]
    return found


def warnings(name: str, assets: AssetSource, options: Mapping[str, Any]) -> list[str]:
    """What was let pass in the files when they were read, with counts, a sentence each.

    Raises:
        InputError: As `prepare`.
    """
    found: list[str] = read_meta(prepare(DataRequest(name, options), assets))["warnings"]
    return found


def _open(folder: Path, request: DataRequest) -> SearchData:
    users_U = select_users(int(read_meta(folder)["statistics"]["users"]), request.fraction, request.seed)
    rank_met = find_source(request.name).parse(request.options).rank_met
    found = replace(open_users(folder, request.name, users_U), rank_met=rank_met)
    if not len(found.valid_rows):
        raise DataError(
            f"data {request.name}: none of {len(users_U):,} users has an interaction to validate with after the split; "
            "raise the share of users."
        )
    return found


def _key(source: Source, options: DataOptions, files: tuple[Path, ...]) -> str:
    """Names a prepared folder by all that it depends on; where the files lie does not matter."""
    depends = {
        "format": FORMAT_VERSION,
        "source": source.name,
        "version": source.version,
        "options": options.content(),
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
