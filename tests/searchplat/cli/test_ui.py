"""`searchplat ui` with a real MLflow server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect
from searchplat.tracking.store.server import server_command, without_widening

Run = Callable[..., Result]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def listening(port: int) -> set[str]:
    """Addresses of this machine at which somebody listens on a port, as the kernel tells it."""
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            address, number = line.split()[1].split(":")
            if int(number, 16) == port and line.split()[3] == "0A":
                found.add(socket.inet_ntoa(bytes.fromhex(address)[::-1]) if table == "tcp" else address)
    return found


def test_the_server_is_for_this_machine_and_runs_nothing_of_strangers() -> None:
    address = Address.parse("postgresql://ann:secret@db/mlflow")
    command, environment = server_command(address, 5000)
    assert command[command.index("--host") + 1] == "127.0.0.1"
    assert "*" not in " ".join(command)
    assert "--disable-security-middleware" not in command
    assert "secret" not in " ".join(command), "command lines are for all to see"
    assert environment["MLFLOW_BACKEND_STORE_URI"] == address.uri
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert environment["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"


def test_no_variable_and_no_option_widens_it(cli: Run) -> None:
    widening = {
        "UVICORN_HOST": "0.0.0.0", "GUNICORN_CMD_ARGS": "--bind 0.0.0.0:5000", "MLFLOW_HOST": "0.0.0.0",
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true", "FLASK_RUN_HOST": "0.0.0.0",
    }  # fmt: skip
    assert without_widening({**widening, "PATH": "/bin"}) == {"PATH": "/bin"}
    for option in ("--host", "--bind", "--listen"):
        refused = cli("ui", option, "0.0.0.0")
        assert refused.exit_code == 2
        assert "No such option" in refused.output


def test_a_store_that_is_not_there_and_a_port_that_is_taken_are_said(cli: Run, tmp_path: Path) -> None:
    missing = cli("ui", "--tracking-uri", f"sqlite:///{tmp_path}/none.db")
    assert missing.exit_code == 2
    assert "there is no such file" in missing.stderr
    (tmp_path / "some.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = cli("ui", "--tracking-uri", f"sqlite:///{tmp_path}/some.db", "--port", port)
    assert refused.exit_code == 75
    assert f"port {port} of 127.0.0.1 is taken; choose another with --port" in refused.stderr


def test_a_server_that_is_there_already_is_only_named(cli: Run) -> None:
    shown = cli("ui", "--tracking-uri", "http://ann:secret@mlflow.example:5000")
    assert shown.exit_code == 0
    assert "mlflow.example:5000" in shown.stdout
    assert "secret" not in shown.output


@pytest.mark.slow  # starts a server
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_it_serves_the_store_to_this_host_name_alone_and_ends_with_the_command(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    connect(Address.parse(uri)).create_experiment("seen")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "searchplat", "ui", "--port", str(port), "--tracking-uri", uri],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "UVICORN_HOST": "0.0.0.0", "GUNICORN_CMD_ARGS": f"--bind 0.0.0.0:{port}"},
        # Tests that a shell runs in the background inherit that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert "starting" in process.stdout.readline()
        assert f"http://127.0.0.1:{port}" in process.stdout.readline()
        page = f"http://127.0.0.1:{port}/"
        with urllib.request.urlopen(page, timeout=20) as answer:
            assert answer.status == 200
            assert answer.headers["X-Frame-Options"] == "DENY"
        assert listening(port) == {"127.0.0.1"}, "and nowhere else, whatever the environment says"
        # A page of another site that has its name point here (DNS rebinding) is refused.
        rebound = urllib.request.Request(page, headers={"Host": "evil.example"})
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(rebound, timeout=20)
        assert refused.value.code == 403
        refused.value.close()
        process.send_signal(number)
        assert process.wait(30) == code
    finally:
        process.kill()
        process.communicate()
    deadline = time.monotonic() + 10
    with socket.socket() as gone:
        while gone.connect_ex(("127.0.0.1", port)) == 0:
            assert time.monotonic() < deadline, "the server outlived the command"
            time.sleep(0.2)
