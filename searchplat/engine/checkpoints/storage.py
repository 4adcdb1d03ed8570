"""Where checkpoints are kept besides the machine that writes them: an object store, or a folder that all share.

A `Storage` is an address below which objects are written, listed, read and removed, through pyarrow's file systems.
What is said of whether it works is said in one sentence without secrets; what it needs to be let in comes from the
environment or the machine, never from the address, for that is stored and shown.
"""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, unquote, urlencode

from searchplat import paths
from searchplat.environment import is_secret
from searchplat.errors import InputError, TryAgainError, disk_full
from searchplat.redaction import redact

T = TypeVar("T")

VARIABLE = "SEARCHPLAT_STORAGE"
"""Environment variable: the storage of new searches and promotions."""

SCHEMES = ("s3", "gs", "gcs")
PATIENCE_S = 60.0
"""Seconds for which a storage may fail before who needs it gives up; pyarrow's own attempts come on top."""

_FIRST_PAUSE_S = 0.5
_CHUNK = 8 << 20
_URI = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?", re.IGNORECASE)
_SECRET_OPTION = re.compile(r"key|secret|token|password|credential|signature", re.IGNORECASE)
_ACCESS = (
    "the storage must be there, and the driver and its workers must be let in: by the machine's role, or by variables "
    "such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, whose names SEARCHPLAT_TRIAL_ENV must list for workers"
)


@dataclass(frozen=True)
class Storage:
    """An address below which objects lie. Make one with `parse`.

    Args:
        base: `s3://bucket/prefix`, or an absolute path; without a slash at the end.
        options: What pyarrow reads after the `?`, such as `region=eu-west-1`; empty for a path.
    """

    base: str
    options: str = ""

    @classmethod
    def parse(cls, text: str) -> Storage:
        """Read an address; a relative path is taken from the working directory, now and for ever.

        Raises:
            InputError: If it is none of `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` and a path, or holds a secret.
        """
        shown = redact(text)
        match = _URI.fullmatch(text)
        if match is None or match["scheme"].lower() == "file":
            path = unquote(match["path"]) if match else text
            if "://" in path or not path.strip():
                raise InputError(f"--storage {shown!r}: must be s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or a path")
            return cls(str(paths.resolve(path, "--storage")))
        scheme, path, query = match["scheme"].lower(), match["path"].strip("/"), match["query"] or ""
        if scheme not in SCHEMES:
            raise InputError(f"--storage {shown!r}: must begin with s3:// or gs://, or be a path, got {scheme}://")
        bucket = path.partition("/")[0]
        named = [name for name, _ in parse_qsl(query, keep_blank_values=True)]
        if "@" in bucket or any(is_secret(name) or _SECRET_OPTION.search(name) for name in named):
            raise InputError(
                f"--storage {_without_secrets(scheme, path)!r}: must hold no keys or passwords, for it is stored with "
                "the search; leave them to the environment or to the machine's role"
            )
        if not bucket:
            raise InputError(f"--storage {shown!r}: must name a bucket, as in {scheme}://BUCKET/PREFIX")
        storage = cls(f"{scheme}://{path}", query)
        try:
            storage._file_system  # noqa: B018  # its options are checked now
        except (ValueError, NotImplementedError, OSError) as error:
            raise InputError(f"--storage {storage}: {_sentence(error)}; {_ACCESS}") from error
        return storage

    @classmethod
    def of(cls, uri: str) -> Storage:
        """The storage of an address that was parsed before, possibly elsewhere; nothing is asked."""
        base, _, options = uri.partition("?") if "://" in uri else (uri, "", "")
        return cls(base, options)

    @property
    def uri(self) -> str:
        """What `parse` reads; holds no secrets."""
        return f"{self.base}?{self.options}" if self.options else self.base

    def __str__(self) -> str:
        return self.uri

    def child(self, *parts: str) -> Storage:
        """The storage below this one."""
        return Storage("/".join((self.base, *parts)), self.options)

    # ------------------------------------------------------------------ objects

    def list(self) -> dict[str, int]:
        """Size in bytes of every object below, by its name from here; empty if there are none."""
        from pyarrow.fs import FileSelector, FileType

        def ask() -> dict[str, int]:
            selector = FileSelector(self._path, recursive=True, allow_not_found=True)
            found = self._file_system[0].get_file_info(selector)
            return {
                info.path.removeprefix(self._path).lstrip("/"): info.size
                for info in found
                if info.type == FileType.File and not info.path.endswith("/")
            }

        return self.patiently("listed", ask)

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""

        def put() -> None:
            with self._output(name) as stream:
                stream.write(content)

        self.patiently("written", put)

    def upload(self, source: Path, name: str) -> None:
        """Copy a file into an object."""

        def put() -> None:
            with source.open("rb") as file, self._output(name) as stream:
                while chunk := file.read(_CHUNK):
                    stream.write(chunk)

        self.patiently("written", put)

    def read(self, name: str) -> bytes | None:
        """An object's content; None if it is not there."""

        def get() -> bytes | None:
            try:
                with self._file_system[0].open_input_stream(f"{self._path}/{name}") as stream:
                    content: bytes = stream.read()
                    return content
            except FileNotFoundError:
                return None

        return self.patiently("read", get)

    def download(self, name: str, target: Path) -> str | None:
        """Copy an object into a file; return the SHA-256 of what came, None if the object is not there."""

        def get() -> str | None:
            digest = hashlib.sha256()
            try:
                with self._file_system[0].open_input_stream(f"{self._path}/{name}") as stream, target.open("wb") as to:
                    while chunk := stream.read(_CHUNK):
                        digest.update(chunk)
                        to.write(chunk)
            except FileNotFoundError:
                return None
            return digest.hexdigest()

        return self.patiently("read", get)

    def remove(self, name: str) -> None:
        """Remove an object; it need not be there."""

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._file_system[0].delete_file(f"{self._path}/{name}")

        self.patiently("removed", delete)

    def remove_all(self) -> None:
        """Remove everything below; there need be nothing."""

        def delete() -> None:
            with suppress(FileNotFoundError):
                self._file_system[0].delete_dir(self._path)

        self.patiently("removed", delete)

    def patiently(self, what: str, action: Callable[[], T]) -> T:
        """Do something, again and again for a while should the storage fail.

        Raises:
            TryAgainError: If it still fails, or has no space left.
        """
        deadline = time.monotonic() + PATIENCE_S
        for pause in _pauses():
            try:
                return action()
            except OSError as error:  # what pyarrow raises, whatever the store said
                if disk_full(error) or time.monotonic() + pause > deadline:
                    raise TryAgainError(
                        f"storage {self}: nothing could be {what} there, {_sentence(error)}; "
                        "once it answers again, run the same command again"
                    ) from error
                time.sleep(pause)
        raise AssertionError  # the pauses do not end

    # ------------------------------------------------------------------ inside

    @cached_property
    def _file_system(self) -> tuple[Any, str]:
        """pyarrow's file system, and where in it we are."""
        from pyarrow.fs import FileSystem, LocalFileSystem

        if "://" not in self.base:
            return LocalFileSystem(), self.base
        options = dict(parse_qsl(self.options, keep_blank_values=True))
        if self.base.startswith("s3://"):
            options.setdefault("allow_delayed_open", "true")  # one request for a small object, not three
        scheme, _, path = self.base.partition("://")
        uri = f"{scheme}://{quote(path)}" + (f"?{urlencode(options)}" if options else "")
        system, place = FileSystem.from_uri(uri)
        return system, place

    @property
    def _path(self) -> str:
        return str(self._file_system[1]).rstrip("/")

    def _output(self, name: str) -> Any:
        from pyarrow.fs import LocalFileSystem

        system, path = self._file_system[0], f"{self._path}/{name}"
        if isinstance(system, LocalFileSystem):  # object stores have no folders to make
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return system.open_output_stream(path)


def check(storage: Storage) -> None:
    """Write a small object, read it back and remove it, without patience.

    Raises:
        InputError: If that cannot be done.
    """
    name, content = f"probe-{uuid.uuid4().hex}", uuid.uuid4().bytes
    try:
        with storage._output(name) as stream:
            stream.write(content)
        with storage._file_system[0].open_input_stream(f"{storage._path}/{name}") as stream:
            same = stream.read() == content
        storage._file_system[0].delete_file(f"{storage._path}/{name}")
    except OSError as error:
        raise InputError(
            f"--storage {storage}: a small object could not be written, read and removed, {_sentence(error)}; {_ACCESS}"
        ) from error
    if not same:
        raise InputError(f"--storage {storage}: an object must read back as it was written, and did not; {_ACCESS}")


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, 10.0)


def _without_secrets(scheme: str, path: str) -> str:
    bucket, _, rest = path.partition("/")
    return f"{scheme}://{bucket.rpartition('@')[2]}/{rest}"


def _sentence(error: BaseException) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return redact(re.sub(r"\s*\(Request ID:[^)]*\)", "", first)).rstrip(". ")
