"""An MLflow server for one person: on this machine alone, with everything off that could run a stranger's code."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from searchplat.errors import InputError, SearchFailedError, TryAgainError
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store.address import Address

HOST = "127.0.0.1"
_START_S = 120.0
_END_S = 10.0


def server_command(address: Address, port: int) -> tuple[list[str], dict[str, str]]:
    """The command, and the environment that it needs besides this process's own.

    The store's address goes through the environment: it may hold a password, and command lines are for all to see.

    Raises:
        InputError: If the store is a server already.
    """
    if address.remote:
        raise InputError(f"{address.shown} is a server already; open it in a browser")
    command = [
        sys.executable, "-m", "mlflow", "server",
        "--host", HOST, "--port", str(port), "--workers", "1",
        "--allowed-hosts", f"{HOST}:{port},localhost:{port}",
        "--cors-allowed-origins", f"http://{HOST}:{port},http://localhost:{port}",
        "--x-frame-options", "DENY",
    ]  # fmt: skip
    root = mlflow_client.artifact_root(address)
    if root is not None:
        # Artifacts of our runs lie beside the file; whoever reads the page needs no way to write any.
        command += ["--default-artifact-root", str(root), "--no-serve-artifacts"]
    environment = {
        "MLFLOW_BACKEND_STORE_URI": address.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ENABLE_CUSTOM_SCORERS": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return command, environment


@contextmanager
def serving(address: Address, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers, for the time of the block.

    Raises:
        InputError: If the store is a server already, or there is no such file.
        TryAgainError: If the port is taken.
        SearchFailedError: If the server does not come up.
    """
    command, environment = server_command(address, port)
    if address.sqlite is not None and not address.sqlite.exists():
        raise InputError(f"{address.shown}: there is no such file; start a search, or give its tracking URI")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TryAgainError(f"port {port} of {HOST} is taken; choose another with --port") from error
    process = subprocess.Popen(
        command,
        env={**without_widening(os.environ), **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is ours to handle: the server's own answer to it is a page of tracebacks
    )
    try:
        _wait(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def without_widening(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment less what would give the server other options than ours, such as another host."""
    ours = ("GUNICORN_", "UVICORN_", "FLASK_", "WEB_CONCURRENCY", "MLFLOW_SERVER_", "MLFLOW_HOST", "MLFLOW_AUTH_")
    return {name: value for name, value in environment.items() if not name.startswith(ours)}


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SearchFailedError(f"MLflow's server ended at once with code {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2):
                return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
    raise SearchFailedError(f"MLflow's server did not answer within {_START_S:g} s")
