"""MLflow's page for who wants it: an MLflow server beside the live page, begun when somebody asks for it."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from searchplat.tracking.pages.views import FRONT, STAGES, TRIALS, has_view, view_address
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect
from searchplat.tracking.store.server import HOST, serving


class MlflowPage:
    """An MLflow server that ends with the block; where searches use one already, that one.

    Args:
        address: The store.
        port: Where it answers, if that is free; else anywhere.
    """

    def __init__(self, address: Address, port: int) -> None:
        self._address, self._port = address, port
        self._lock, self._stack = threading.Lock(), ExitStack()
        self._url = address.shown if address.remote else None
        self._client: Any = None

    def __enter__(self) -> MlflowPage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stack.close()

    def start(self) -> str:
        """Start it, if it does not run; return its address. Takes seconds.

        Raises:
            InputError: If there is no such store.
            SearchFailedError: If it does not come up.
        """
        with self._lock:
            if self._url is None:
                port = self._port if _free(self._port) else _free(0)
                self._stack.enter_context(serving(self._address, port))
                self._client = connect(self._address)
                self._url = f"http://{HOST}:{port}"
            return self._url

    def shown(self, search: str | None = None) -> dict[str, Any]:
        """Where it is, see `app.Elsewhere`."""
        pages = []
        if self._client is not None and search is not None:
            assert self._url is not None
            pages = pages_on(self._client, self._url, search)
        return {"url": self._url, "pages": pages, "serial": f"{self._url} {pages}"}


def pages_on(client: Any, server: str, search: str) -> list[tuple[str, str]]:
    """Names and addresses of MLflow's views of a search; none before MLflow knows it."""
    experiment = client.get_experiment_by_name(search)
    if experiment is None:
        return []
    pages = {"trials": TRIALS, "curves": STAGES}
    if has_view(experiment.tags, FRONT):
        pages["front"] = FRONT
    return [
        (name, view_address(server, experiment.experiment_id, experiment.tags, view)) for name, view in pages.items()
    ]


def _free(port: int) -> int:
    """The port if it is free, any free one for 0; 0 if it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return 0
        return int(probe.getsockname()[1])
