"""Runs the live page on this machine's own address until a signal ends it."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from searchplat.errors import TryAgainError
from searchplat.tracking.store.address import Address
from searchplat.tracking.store.server import HOST
from searchplat.ui.app import make_app
from searchplat.ui.mlflow_page import MlflowPage
from searchplat.ui.searches import Searches

_LEAVE_S = 2
"""Seconds for answers under way when the server ends."""


def serve(root: Path, address: Address, port: int, tell: Callable[[str], None]) -> None:
    """Serve the page until SIGINT or SIGTERM, which act afterwards as they would without it.

    Args:
        root: The folder of searches.
        address: MLflow's store.
        port: 1 to 65535; MLflow's page, once somebody wants it, is on the next if that is free.
        tell: Given the page's address, with its token, once it answers.

    Raises:
        TryAgainError: If the port is taken.
    """
    token = secrets.token_urlsafe(32)
    with socket.socket() as listening, MlflowPage(address, port % 65535 + 1) as mlflow:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
            listening.listen()
        except OSError as error:
            raise TryAgainError(f"port {port} of {HOST} is taken; choose another with --port") from error
        config = uvicorn.Config(
            make_app(Searches(root), mlflow, token, port),
            access_log=False,  # the first address has the token
            log_level="error",
            server_header=False,
            proxy_headers=False,  # nobody may say for others who they are
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=_LEAVE_S,
        )
        tell(f"http://{HOST}:{port}/?token={token}")
        uvicorn.Server(config).run(sockets=[listening])
