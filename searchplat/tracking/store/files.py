"""Where the files of a SQLite store are: beside it. That of a project that was moved or copied says otherwise.

MLflow keeps absolute addresses of artifacts, and has no interface that would change them. What such a store says is
another project's folder, or none any more: files are read beside the store if they are there, and written nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from searchplat import hints
from searchplat.errors import InputError
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import ARTIFACTS_FOLDER, artifact_root


def moved(address: Address, experiment: Any, runs: Path | None = None) -> str | None:
    """Why no file may be written for an experiment: its store was moved. None where one may.

    Args:
        experiment: MLflow's.
        runs: The folder of all searches, for the command that mends it.

    Returns:
        A sentence that says how to mend it.
    """
    root, place = artifact_root(address), _local(experiment.artifact_location)
    if root is None or place is None or place.parent.name != ARTIFACTS_FOLDER:
        return None  # a server decides, or a person did
    old = place.parent
    if old.resolve() == root.resolve():
        return None
    name = experiment.name
    sync = hints.on_search("sync", name, runs, hints.TRACKING_URI, "sqlite:///NEW.db")
    return (
        f"{address.shown}: this store was moved: it records the files of {name!r} in {old}, not in {root} beside it, "
        f"so none were sent. Move it back, or fill a new store: {sync}"
    )


def found_here(address: Address, uri: str, what: str) -> Path | None:
    """The folder of an artifact of a SQLite store, beside it if it is there; None where only MLflow can fetch it.

    Args:
        uri: As MLflow has it.
        what: What it is, for errors.

    Raises:
        InputError: If it is neither beside the store nor where MLflow has it.
    """
    root, place = artifact_root(address), _local(uri)
    if root is None or place is None:
        return None
    for depth in (depth for depth, part in enumerate(place.parts) if part == ARTIFACTS_FOLDER):
        here = root.joinpath(*place.parts[depth + 1 :])
        if here.is_dir():
            return here
    if place.is_dir():
        return place
    raise InputError(
        f"{what}: {address.shown} says that it lies at {place}, but it is not there; copy that {ARTIFACTS_FOLDER}/ to "
        f"{root}, or name the final run's folder (in runs/SEARCH/promotions) instead of the model"
    )


def _local(uri: str) -> Path | None:
    """The path of a `file:` address, or of a path; None for any other address."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    return None if parts.scheme else Path(uri)
