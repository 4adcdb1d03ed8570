"""The Hugging Face hub: safetensors, JSON and text files only, never anything that needs unpickling."""

from __future__ import annotations

import errno
import fnmatch
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from searchplat.assets.catalog import WEIGHT_FILES
from searchplat.assets.network import unreachable
from searchplat.assets.progress import say, watching

HUB_NAME = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(@(?P<revision>[\w./-]+))?")
"""`owner/name`, or `owner/name@revision`."""

IGNORED = ("onnx/*", "openvino/*", "*.onnx.json", "original/*")
"""Copies of the weights for other programs."""

CONVERTER = "SFconvertbot"
"""The hub's own service, which proposes a safetensors copy to repositories that have none."""


class HubError(Exception):
    """The hub cannot give it; the text says why."""


def endpoint() -> str:
    """Where the hub is; `HF_ENDPOINT` names a mirror."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def cached_snapshot(repo: str, revision: str | None, files: Sequence[str]) -> Path | None:
    """The folder of a revision in the Hugging Face cache, perhaps not whole; None if it is not there."""
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(
            repo, revision=revision, local_files_only=True, allow_patterns=list(files), ignore_patterns=list(IGNORED)
        )
    except (OSError, ValueError):  # the library's errors derive from these: not there, or not whole
        return None
    return Path(found)


def has_weights(folder: Path) -> bool:
    """Whether a snapshot has its config and every safetensors file."""
    if not (folder / "config.json").is_file():
        return False
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        try:
            names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        except (ValueError, KeyError, AttributeError, TypeError):
            return False
        return all((folder / str(name)).is_file() for name in names)
    return any(folder.glob("*.safetensors"))


def download(
    repo: str,
    revision: str | None,
    files: Sequence[str],
    folder: Path | None = None,
    download_bytes: int | None = None,
) -> Path:
    """Download a revision's files, into `folder` or, if that is None, into the Hugging Face cache.

    Raises:
        HubError: If the hub cannot be reached, does not know it, or asks for a login.
    """
    if reason := unreachable(f"{endpoint()}/{repo}/resolve/{revision or 'main'}/config.json"):
        raise HubError(reason)
    _refuse_too_much(repo, revision, files)
    from huggingface_hub import constants, snapshot_download

    watched = folder or Path(constants.HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}"
    with _errors(repo), _without_bars(), watching(f"{repo}: fetching from the hub", watched, download_bytes):
        found = snapshot_download(
            repo,
            revision=revision,
            local_dir=folder,
            allow_patterns=list(files),
            ignore_patterns=list(IGNORED),
            endpoint=endpoint(),
        )
    if folder is not None:
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's own bookkeeping
    return Path(found)


def fetch(name: str, offline: bool) -> Path:
    """The snapshot folder of `owner/name[@revision]`, from the Hugging Face cache or the hub.

    What is in the cache is used as it is, without asking whether the hub has a newer revision: a search keeps
    its weights. A repository without safetensors (such as facebook/opt-125m) is taken from the pull request in
    which the hub's own service offers them, as transformers does.

    Raises:
        HubError: If it cannot be had.
    """
    match = HUB_NAME.fullmatch(name)
    assert match, name
    repo, revision = match["repo"], match["revision"]
    cached = cached_snapshot(repo, revision, WEIGHT_FILES)
    if cached is not None and has_weights(cached):
        return cached
    if offline:
        raise HubError("it is not in the Hugging Face cache, and the network is switched off")
    folder = download(repo, revision, WEIGHT_FILES)
    if has_weights(folder):
        return folder
    if revision is None and (proposed := _conversion(repo)):
        say(f"{repo} has no safetensors; taking those that {CONVERTER} proposes in {proposed}")
        folder = download(repo, proposed, WEIGHT_FILES)
        if has_weights(folder):
            return folder
    raise HubError("the repository has no config.json with safetensors, and weights are never unpickled")


def most_bytes() -> int:
    """What a repository's files may have in all; `SEARCHPLAT_MAX_DOWNLOAD_GB` says otherwise."""
    text = os.environ.get("SEARCHPLAT_MAX_DOWNLOAD_GB") or "40"
    try:
        return int(float(text) * 1e9)
    except (ValueError, OverflowError):
        raise HubError(f"SEARCHPLAT_MAX_DOWNLOAD_GB must be a number of gigabytes, got {text!r}") from None


def _refuse_too_much(repo: str, revision: str | None, files: Sequence[str]) -> None:
    """Ask how large the files are before any of them is fetched: a space may name any repository."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    most = most_bytes()
    with _errors(repo):
        tree = HfApi(endpoint=endpoint()).list_repo_tree(repo, revision=revision, recursive=True)
        found = [entry for entry in tree if isinstance(entry, RepoFile)]
    size = sum(entry.size for entry in found if _fits(entry.path, files) and not _fits(entry.path, IGNORED))
    if size > most:
        raise HubError(
            f"its files have {size / 1e9:.1f} GB, and {most / 1e9:g} GB are allowed; raise SEARCHPLAT_MAX_DOWNLOAD_GB "
            "if that is what you want"
        )


def _fits(path: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)


def _conversion(repo: str) -> str | None:
    """`refs/pr/<n>` of the newest safetensors copy that the hub's service proposes."""
    from huggingface_hub import HfApi

    with _errors(repo):
        found = HfApi(endpoint=endpoint()).get_repo_discussions(
            repo, author=CONVERTER, discussion_type="pull_request", discussion_status="open"
        )
        numbers = [d.num for d in found if d.author == CONVERTER and "safetensors" in d.title.lower()]
    return f"refs/pr/{max(numbers)}" if numbers else None


@contextmanager
def _without_bars() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    before = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not before:
            enable_progress_bars()


@contextmanager
def _errors(repo: str) -> Iterator[None]:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        yield
    except GatedRepoError as error:
        raise HubError(f"{repo} asks for consent and a login first (hf auth login)") from error
    except RepositoryNotFoundError as error:
        raise HubError(f"the hub knows no {repo}, or it asks for a login (hf auth login)") from error
    except RevisionNotFoundError as error:
        raise HubError(f"{repo} has no such revision") from error
    except Exception as error:  # whatever else the library and its HTTP client raise, this route does not work
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
            raise
        reason = (str(error) or "no reason given").splitlines()[0]
        raise HubError(f"{type(error).__name__}: {reason}") from error
