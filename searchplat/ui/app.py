"""The live page as an application: what may be asked for, and what answers.

/                      all searches          /parts                    what it shows now, as JSON
/search/NAME           one                   /search/NAME/parts
/search/NAME/trial/N   one of its trials     /search/NAME/trial/N/parts
/search/NAME/report    `searchplat report` of this moment
POST /search/NAME/ask  a request to its driver, as `searchplat pause` and its like make them
POST /mlflow           starts MLflow's page
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from searchplat.api.steering import ask
from searchplat.engine.steering.changes import read as read_changes
from searchplat.errors import InputError, SearchplatError, TryAgainError
from searchplat.redaction import redact
from searchplat.report.drawing import LIBRARY_STYLE, asset, library, plain, source
from searchplat.report.file import page_of
from searchplat.ui import parts
from searchplat.ui.guard import HOSTS, Guard
from searchplat.ui.searches import Searches
from searchplat.views import text

_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {source(LIBRARY_STYLE)}; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_ANSWER_S = 5.0
"""Seconds for which a button waits for the driver's answer; the log has it in any case."""

_OWN = "searchplat.ui"
_ASSETS: dict[str, tuple[str, Callable[[], str]]] = {
    "report.css": ("text/css", lambda: asset("report.css")),
    "live.css": ("text/css", lambda: asset("live.css", _OWN)),
    "live.js": ("text/javascript", lambda: asset("live.js", _OWN)),
    "figures.js": ("text/javascript", lambda: asset("figures.js")),
    "icon.svg": ("image/svg+xml", lambda: asset("icon.svg", _OWN)),
    "plotly.js": ("text/javascript", library),
}


class Elsewhere(Protocol):
    """MLflow's page, which may not run yet."""

    def start(self) -> str:
        """Start it, if it does not run; return its address."""
        ...

    def shown(self, search: str | None = None) -> dict[str, Any]:
        """`url`, None before it runs; `pages` on a search, names and addresses; `serial`, new whenever these change."""
        ...


class ButtonRequest(BaseModel):
    """What a button asks for; the same words as the command line's."""

    model_config = ConfigDict(extra="forbid", strict=True)

    action: Literal["stop", "stop-trial", "pause", "resume", "set"]
    trial: int | None = Field(None, ge=0)
    now: bool = False
    changes: list[str] = Field(default_factory=list, max_length=50)


def make_app(searches: Searches, mlflow: Elsewhere, token: str, port: int) -> Starlette:
    """The application, guarded.

    Args:
        token: What whoever asks must have.
        port: Where it is served.
    """
    page = _Page(searches, mlflow)
    routes = [
        Route("/", page.index),
        Route("/parts", page.index_parts),
        Route("/search/{name}", page.search),
        Route("/search/{name}/parts", page.search_parts),
        Route("/search/{name}/trial/{number:int}", page.trial),
        Route("/search/{name}/trial/{number:int}/parts", page.trial_parts),
        Route("/search/{name}/report", page.report),
        Route("/search/{name}/ask", page.ask, methods=["POST"]),
        Route("/mlflow", page.mlflow, methods=["POST"]),
        Route("/assets/{name}", _asset),
    ]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
            Middleware(Guard, token=token, port=port, headers=_HEADERS),
        ],
        exception_handlers={SearchplatError: _sorry},
    )


class _Page:
    """The answers. Plain functions run in threads, as reading a ledger takes its time."""

    def __init__(self, searches: Searches, mlflow: Elsewhere) -> None:
        self._searches, self._mlflow = searches, mlflow
        self._start = secrets.token_hex(4)  # what a browser has seen of an earlier server is not what this one shows

    def index(self, request: Request) -> Response:
        return HTMLResponse(parts.shell("searches", parts.INDEX, name=None, number=None, place="/"))

    def index_parts(self, request: Request) -> Response:
        found, unreadable, serials = [], {}, []
        for name in self._searches.names():
            try:
                serial, standing = self._searches.standing(name)
            except SearchplatError as error:  # one broken search must not hide the others
                unreadable[name] = str(error)
                serials.append(str(error))
            else:
                found.append(standing)
                serials.append(f"{name}.{serial}")
        seen = self._seen(request, *serials)
        if seen is None:
            return Response(status_code=204)
        return _content(seen, parts.index(str(self._searches.root), found, unreadable))

    def search(self, request: Request) -> Response:
        name = self._searches.folder(request.path_params["name"]).name
        return HTMLResponse(parts.shell(name, parts.SEARCH, name=name, number=None, place=f"/search/{name}/"))

    def search_parts(self, request: Request) -> Response:
        name = request.path_params["name"]
        serial, look = self._searches.look(name)
        elsewhere = self._mlflow.shown(name)
        seen = self._seen(request, str(serial), str(elsewhere["serial"]))
        if seen is None:
            return Response(status_code=204)
        return _content(seen, parts.search(look, parts.View.of(request.query_params), elsewhere))

    def trial(self, request: Request) -> Response:
        name, number = self._searches.folder(request.path_params["name"]).name, request.path_params["number"]
        title, place = f"trial {number}, {name}", f"/search/{name}/trial/{number}/"
        return HTMLResponse(parts.shell(title, parts.TRIAL, name=name, number=number, place=place))

    def trial_parts(self, request: Request) -> Response:
        name, number = request.path_params["name"], request.path_params["number"]
        serial, look = self._searches.look(name)
        seen = self._seen(request, str(serial))
        if seen is None:
            return Response(status_code=204)
        with self._searches.folder(name).read() as ledger:
            reports = [(one.epoch, one.metrics) for one in ledger.reports(number)]
        content = parts.trial(look, number, reports)
        if content is None:
            raise InputError(f"search {name!r}: trial {number} does not exist")
        return _content(seen, content)

    def report(self, request: Request) -> Response:
        # It has a policy of its own within it; in a sandbox it has no origin, so that nothing in it reaches this page.
        headers = {
            "Content-Security-Policy": "sandbox allow-scripts; frame-ancestors 'none'",
            "Cross-Origin-Opener-Policy": "unsafe-none",  # browsers open no sandbox with another
        }
        return HTMLResponse(page_of(self._searches.folder(request.path_params["name"])), headers=headers)

    async def ask(self, request: Request) -> Response:
        try:
            wanted = ButtonRequest.model_validate_json(await request.body())
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            where = ".".join(map(str, first["loc"])) or "the request"
            return JSONResponse({"error": f"this is none of the page's requests: {where}: {first['msg']}"}, 422)
        return await run_in_threadpool(self._ask, request.path_params["name"], wanted)

    def _ask(self, name: str, wanted: ButtonRequest) -> Response:
        about: dict[str, Any] = {}
        if wanted.action == "stop-trial":
            if wanted.trial is None:
                raise InputError("which trial is to be stopped is missing")
            about["trial"] = wanted.trial
        elif wanted.action == "pause":
            about["now"] = wanted.now
        elif wanted.action == "set":
            about["changes"] = read_changes(wanted.changes)
        folder = self._searches.folder(name)
        try:
            answer = ask(folder, wanted.action, lambda line: None, patience_s=_ANSWER_S, to_the_end=False, **about)
        finally:
            self._searches.forget(name)
        return JSONResponse({"outcome": answer["outcome"], "said": text.visible_lines(answer["said"])})

    def mlflow(self, request: Request) -> Response:
        return JSONResponse({"outcome": "done", "said": f"MLflow's page is at {self._mlflow.start()}"})

    def _seen(self, request: Request, *serials: str) -> str | None:
        """The version of what is shown now; None if the browser has it."""
        version = hashlib.sha256(" ".join([self._start, *serials]).encode()).hexdigest()[:16]
        return None if request.query_params.get("seen") == version else version


def _content(version: str, content: parts.Content) -> Response:
    return JSONResponse({"version": version, "parts": content.parts, "figures": plain(content.figures)})


def _asset(request: Request) -> Response:
    found = _ASSETS.get(request.path_params["name"])
    if found is None:
        return Response(status_code=404)
    kind, content = found
    headers = {"Cache-Control": "private, max-age=3600"} if request.path_params["name"] == "plotly.js" else {}  # 5 MB
    return Response(content(), media_type=kind, headers=headers)


def _sorry(request: Request, error: Exception) -> Response:
    """An error raised on purpose, as a sentence."""
    status = 503 if isinstance(error, TryAgainError) else 409 if request.method == "POST" else 404
    said = text.visible_lines(redact(str(error)))
    if request.url.path.endswith("/parts") or request.method == "POST":
        return JSONResponse({"error": said}, status)
    return Response(f"{said}\n", status, media_type="text/plain")
