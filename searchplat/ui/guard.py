"""Who may ask the live page for anything, and what a browser may do with what it gets.

Whoever has the token: it stands in the address that the command prints. A browser that opens it gets a cookie, by which
it may look. What changes something needs the token itself, in a header: cookies of this machine's address are sent to
every server on it, whatever its port, and another site cannot set the header, as no other origin is let in.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ["127.0.0.1", "localhost"]
"""Names by which a browser may call this machine. A site whose name points here (DNS rebinding) calls it by another."""

_CHANGING = ("POST",)
_LOOKING = ("GET", "HEAD")


class Guard:
    """Refuses requests without the token; adds what a browser is to be strict about to all answers.

    Args:
        app: Gets what is let in.
        token: Of this server's run; at least 128 bits that nobody can guess.
        port: Names the cookie: cookies are shared by all ports of a host.
        headers: Of every answer that has none of its own by these names.
    """

    def __init__(self, app: ASGIApp, token: str, port: int, headers: Mapping[str, str]) -> None:
        self._app, self._token, self._headers = app, token, headers
        self._cookie = f"searchplat-{port}"
        self._session = secrets.token_urlsafe(32)  # not the token: who finds the cookie may look, and change nothing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer 401, 403 or 405."""
        assert scope["type"] == "http", "the server is told to speak nothing else"
        request = Request(scope)
        opened = request.method in _LOOKING and self._same(request.query_params.get("token"), self._token)

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if opened:
                    headers.append("Set-Cookie", f"{self._cookie}={self._session}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        refused = None if opened else self._refusal(request)
        await (refused or self._app)(scope, receive, strict)

    def _refusal(self, request: Request) -> PlainTextResponse | None:
        if request.method not in (*_LOOKING, *_CHANGING):
            return PlainTextResponse("405: this page is looked at, or asked for something\n", 405)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        by_token = scheme == "Bearer" and self._same(given, self._token)
        if request.method in _CHANGING:
            origin = request.headers.get("Origin")
            if origin is not None and origin != f"http://{request.headers.get('Host')}":
                return PlainTextResponse("403: another site may ask for nothing\n", 403)
        elif self._same(request.cookies.get(self._cookie), self._session):
            return None
        if by_token:
            return None
        return PlainTextResponse(
            "401: this page is for whoever has its token.\n"
            "Open the address that `searchplat ui` printed when it began; each start has another token.\n",
            401,
        )

    @staticmethod
    def _same(given: str | None, wanted: str) -> bool:
        return given is not None and secrets.compare_digest(given.encode(), wanted.encode())
