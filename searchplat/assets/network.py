"""The few network calls of our own: one question whether a host answers, one capped download."""

from __future__ import annotations

import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

PROBE_SECONDS = 4.0
"""How long a host may take to answer at all, name look-up included."""

READ_SECONDS = 30.0
"""How long a host that answers may fall silent in the middle of a download."""

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class NetworkError(Exception):
    """A download did not work; the text says why."""


def unreachable(url: str) -> str | None:
    """Why `url`'s host does not answer within `PROBE_SECONDS`, or None if it does. Honours proxy settings."""
    answer: list[str | None] = [f"no answer within {PROBE_SECONDS:.0f} s"]

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD", headers={"User-Agent": "searchplat"})
        try:
            with urllib.request.urlopen(request, timeout=PROBE_SECONDS):
                answer[0] = None
        except urllib.error.HTTPError as error:  # an answer, though perhaps "log in first"
            answer[0] = None if error.code < 500 else f"HTTP status {error.code}"
        except (OSError, ValueError) as error:
            answer[0] = str(getattr(error, "reason", error))

    # In a thread, because a name look-up knows no time-out of ours.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_SECONDS)
    reason = answer[0]
    return None if reason is None else f"{urllib.parse.urlsplit(url).netloc} cannot be reached ({reason})"


def _check_address(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise NetworkError(f"address {url} must be https")


class _SameSchemeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        _check_address(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(url: str, target: Path, max_bytes: int) -> None:
    """Write what `url` answers to `target`.

    Raises:
        NetworkError: If it is not https (loopback may be http), nobody answers, or it sends more than `max_bytes`.
    """
    _check_address(url)
    if reason := unreachable(url):
        raise NetworkError(reason)
    request = urllib.request.Request(url, headers={"User-Agent": "searchplat"})
    opener = urllib.request.build_opener(_SameSchemeRedirects)
    count = 0
    try:
        with opener.open(request, timeout=READ_SECONDS) as answer, target.open("wb") as file:
            while chunk := answer.read(1 << 16):
                count += len(chunk)
                if count > max_bytes:
                    raise NetworkError(f"{url} sends more than the allowed {max_bytes} bytes")
                file.write(chunk)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise NetworkError(f"{url}: {error}") from error
