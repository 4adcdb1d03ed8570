"""A server on loopback that counts what it is asked for: publisher, package index and hub in one."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from searchplat.assets.catalog import Asset, Publisher, Wheel

COMMIT = "a" * 40


class Server:
    """`files` maps a path to its content; `asked` counts GETs by path."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.headers: dict[str, dict[str, str]] = {}
        self.asked: Counter[str] = Counter()
        self.delay_s = 0.0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                outer.asked[self.path.split("?")[0]] += 1
                threading.Event().wait(outer.delay_s)
                self._answer(body=True)

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def _answer(self, body: bool) -> None:
                path = self.path.split("?")[0]
                content = outer.files.get(path)
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                for name, value in outer.headers.get(path, {}).items():
                    self.send_header(name, value)
                # A client that has gone is no matter of a test's, least of all of the one that runs by then.
                with suppress(ConnectionError):
                    self.end_headers()
                    if body and content:
                        self.wfile.write(content)

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def publish(self, path: str, content: bytes) -> str:
        """Serve `content`; return its SHA-256."""
        self.files[path] = content
        return hashlib.sha256(content).hexdigest()

    def publish_wheel(self, project: str, members: dict[str, bytes]) -> str:
        """Serve a wheel of version 1.0 through a simple index; return its SHA-256."""
        info = f"{project}-1.0.dist-info"
        content = zip_of(
            {
                **members,
                f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {project}\nVersion: 1.0\n".encode(),
                f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                f"{info}/RECORD": b"",
            }
        )
        name = f"{project}-1.0-py3-none-any.whl"
        page = f'<!DOCTYPE html><html><body><a href="/files/{name}">{name}</a></body></html>'
        self.files[f"/simple/{project}/"] = page.encode()
        self.headers[f"/simple/{project}/"] = {"Content-Type": "text/html"}
        return self.publish(f"/files/{name}", content)

    def publish_repo(self, repo: str, files: dict[str, bytes], proposals: tuple[int, ...] = ()) -> None:
        """Serve a hub repository with one commit, also as `main`, and what the conversion service proposes."""
        tree = [{"type": "file", "path": name, "size": len(data), "oid": _sha1(data)} for name, data in files.items()]
        info = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
        for revision in ("main", COMMIT):
            self._json(f"/api/models/{repo}/revision/{revision}", info)
            self._json(f"/api/models/{repo}/tree/{revision}", tree)
        self._json(f"/api/models/{repo}/discussions", {"discussions": [], "count": 0, "start": 0})
        for name, data in files.items():
            for revision in ("main", COMMIT):
                path = f"/{repo}/resolve/{revision}/{name}"
                self.files[path] = data
                self.headers[path] = {"ETag": f'"{_sha1(data)}"', "X-Repo-Commit": COMMIT}

    def _json(self, path: str, content: object) -> None:
        self.files[path] = json.dumps(content).encode()
        self.headers[path] = {"Content-Type": "application/json", "X-Repo-Commit": COMMIT}


def _sha1(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def zip_of(members: dict[str, bytes]) -> bytes:
    """A zip archive in memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    yield running
    running.close()


@pytest.fixture
def index(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """pip sees this server's index and nothing of the machine's own settings."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CERT", "SEARCHPLAT_ROUTES", "SEARCHPLAT_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple/")
    return server


@pytest.fixture
def letters(server: Server) -> Asset:
    """An asset of two files that its publisher serves as a zip."""
    sha256 = server.publish("/letters.zip", zip_of({"top/a.txt": b"alpha", "top/sub/b.txt": b"beta", "evil.py": b"x"}))
    route = Publisher(
        url=f"{server.url}/letters.zip",
        sha256=sha256,
        max_bytes=10_000,
        members={"top/a.txt": "a.txt", "top/sub/b.txt": "sub/b.txt"},
    )
    return Asset("letters", "two letters", "CC0-1.0", 9, (route,))


@pytest.fixture
def wheel_route(index: Server) -> Wheel:
    """The same file from a wheel."""
    sha256 = index.publish_wheel("letters_wheel", {"letters_wheel/a.txt": b"alpha"})
    # An index lists a project under its normalised name.
    index.files["/simple/letters-wheel/"] = index.files["/simple/letters_wheel/"]
    index.headers["/simple/letters-wheel/"] = {"Content-Type": "text/html"}
    return Wheel("letters-wheel", "1.0", sha256, 10_000, {"letters_wheel/a.txt": "a.txt"})
