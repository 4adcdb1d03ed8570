"""Who is told: a webhook, or a command. What is secret of it is looked up when the search starts, and kept nowhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from searchplat import __version__, paths
from searchplat.errors import InputError
from searchplat.notify.notices import Notice
from searchplat.redaction import hide
from searchplat.spec.model import NotifySpec

TIMEOUT_S = 5.0
"""For each attempt to reach a webhook, and for a command."""


class NotDeliveredError(Exception):
    """A notice did not arrive; the text says why, without any secret."""


class Receiver(Protocol):
    """Somebody who is told."""

    @property
    def name(self) -> str:
        """For warnings."""
        ...

    @property
    def on(self) -> tuple[str, ...]:
        """The events that it is told of."""
        ...

    def send(self, notice: Notice) -> None:
        """Send one notice, once; takes `TIMEOUT_S` or a little more.

        Raises:
            NotDeliveredError: If it did not arrive.
        """
        ...


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A notice goes where the user said; a redirect would send it elsewhere, and as a GET."""

    def redirect_request(self, *_: Any) -> None:
        return None


@dataclass(frozen=True)
class Webhook:
    """A URL that is sent JSON.

    Args:
        url: The secret; `repr` leaves it out.
    """

    name: str
    on: tuple[str, ...]
    url: str

    def __repr__(self) -> str:
        return f"Webhook({self.name!r})"

    def send(self, notice: Notice) -> None:
        """POST it; see `Receiver`."""
        request = urllib.request.Request(
            self.url,
            json.dumps(notice.payload).encode(),
            {"Content-Type": "application/json", "User-Agent": f"searchplat/{__version__}"},
        )
        try:
            with urllib.request.build_opener(_NoRedirects()).open(request, timeout=TIMEOUT_S) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            error.close()
            raise NotDeliveredError(f"it answered {error.code}") from None
        except (OSError, ValueError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            raise NotDeliveredError(f"{type(reason).__name__}") from None  # its text may quote the URL
        except Exception as error:  # what http.client makes of an answer that is none
            raise NotDeliveredError(f"{type(error).__name__}") from None


@dataclass(frozen=True)
class Command:
    """A program; placeholders in its words are filled in, no shell reads them, and the payload is on its stdin."""

    name: str
    on: tuple[str, ...]
    words: tuple[str, ...]

    def send(self, notice: Notice) -> None:
        """Run it; see `Receiver`."""
        words = [notice.filled(word) for word in self.words]
        try:
            process = subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is not for it
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise NotDeliveredError(f"{words[0]} cannot be run ({getattr(error, 'strerror', None) or error})") from None
        try:
            _, said = process.communicate(json.dumps(notice.payload).encode(), timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.stdin = None  # what it did not read is lost
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1)
            raise NotDeliveredError(f"{words[0]} took more than {TIMEOUT_S:g} s") from None
        if process.returncode:
            last = said.decode(errors="replace").strip().splitlines()[-1:]
            raise NotDeliveredError(f"{words[0]} ended with {process.returncode}" + "".join(f": {one}" for one in last))


def receivers(asked: Sequence[NotifySpec], *, commands: bool) -> list[Receiver]:
    """Who is to be told, found before anything starts.

    Args:
        commands: Whether commands may be run: those that a space file names need leave.

    Raises:
        InputError: If a variable is not set, a file cannot be read, or there is no URL in it; its text is not quoted.
    """
    return [_receiver(one, commands) for one in asked]


def _receiver(asked: NotifySpec, commands: bool) -> Receiver:
    if asked.command is not None:
        if asked.of_space and not commands:
            raise InputError(
                "notify: the space names a command, which this machine would run; give --allow-command if you trust "
                "the file, or the command itself with --notify"
            )
        return Command(f"the command {asked.command[0]}", asked.on, asked.command)
    if asked.url_env is not None:
        name, found = asked.url_env, os.environ.get(asked.url_env, "")
        if not found.strip():
            raise InputError(
                f"notify: the environment variable {name} is not set; set it to the webhook's URL, or leave out who is "
                "told with --set notify=null"
            )
    else:
        assert asked.url_file is not None
        name, found = asked.url_file, _content(asked.url_file)
    url = found.strip()
    hide(url)
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or any(letter.isspace() or not letter.isprintable() for letter in url):
        raise InputError(f"notify: {name} must hold one URL, http:// or https://, and does not; correct it")
    hide(parts.path.strip("/"))
    return Webhook(f"the webhook of {name}", asked.on, url)


def _content(file: str) -> str:
    path = paths.resolve(file, "notify")
    try:
        with path.open("rb") as opened:
            return opened.read(4096).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(f"notify: {path} cannot be read ({error.strerror}); write the webhook's URL there") from error
