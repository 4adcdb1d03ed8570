"""`searchplat ui`: the live page as a server, and MLflow's with `--mlflow`; what the page shows is in `ui/`."""

from __future__ import annotations

import os
import re
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
from ports import free_port, listening
from typer.testing import Result

from searchplat.tracking.store.address import Address
from searchplat.tracking.store.client import connect
from searchplat.tracking.store.server import server_command, without_widening

Run = Callable[..., Result]


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


def test_a_port_that_is_taken_is_said(cli: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = cli("ui", "--port", port)
    assert refused.exit_code == 75
    assert f"port {port} of 127.0.0.1 is taken; choose another with --port" in refused.stderr


def asked(url: str, token: str = "", body: str | None = None, **headers: str) -> tuple[int, str]:
    """Status and text of an answer."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, headers=headers, data=None if body is None else body.encode())
    try:
        with urllib.request.urlopen(request, timeout=100) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.slow  # starts a server, and MLflow's
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_page_is_for_this_machine_and_its_token_and_starts_mlflow_when_asked(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    if number == signal.SIGINT:
        connect(Address.parse(uri)).create_experiment("seen")
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "searchplat", "ui", "--port", str(port), "--tracking-uri", uri],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "UVICORN_HOST": "0.0.0.0", "WEB_CONCURRENCY": "3", "FORWARDED_ALLOW_IPS": "*"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    mlflow_port = None
    try:
        assert process.stdout is not None
        name, address = process.stdout.readline().split()
        assert name == "open"
        page, _, token = address.partition("?token=")
        assert page == f"http://127.0.0.1:{port}/"
        assert len(token) >= 40
        assert token not in Path(f"/proc/{process.pid}/cmdline").read_text()
        assert listening(port) == {"127.0.0.1"}, "and nowhere else, whatever the environment says"
        assert asked(page)[0] == 401
        assert asked(page, token)[0] == 200
        assert asked(page, token, Host="evil.example")[0] == 400
        assert asked(page + "mlflow", body="{}")[0] == 401
        status, said = asked(page + "mlflow", token, "{}")
        if number == signal.SIGINT:
            assert status == 200
            found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
            assert found is not None
            mlflow_port = int(found[1])
            assert asked(found[0])[0] == 200
            assert asked(page + "mlflow", token, "{}")[1] == said, "it runs already"
            assert listening(mlflow_port) == {"127.0.0.1"}
        else:
            assert status == 409
            assert "there is no such file" in said
        process.send_signal(number)
        assert process.wait(30) == code
    finally:
        process.kill()
        out, err = process.communicate()
    assert err == ("" if code == 0 else "interrupted\n")
    assert "Traceback" not in out
    assert listening(port) == set()
    if mlflow_port is not None:
        deadline = time.monotonic() + 10
        while listening(mlflow_port):
            assert time.monotonic() < deadline, "MLflow's server outlived the command"
            time.sleep(0.2)


def test_a_store_that_is_not_there_and_a_port_that_is_taken_are_said(cli: Run, tmp_path: Path) -> None:
    missing = cli("ui", "--mlflow", "--tracking-uri", f"sqlite:///{tmp_path}/none.db")
    assert missing.exit_code == 2
    assert "there is no such file" in missing.stderr
    (tmp_path / "some.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused = cli("ui", "--mlflow", "--tracking-uri", f"sqlite:///{tmp_path}/some.db", "--port", port)
    assert refused.exit_code == 75
    assert f"port {port} of 127.0.0.1 is taken; choose another with --port" in refused.stderr


def test_a_server_that_is_there_already_is_only_named(cli: Run) -> None:
    shown = cli("ui", "--mlflow", "--tracking-uri", "http://ann:secret@mlflow.example:5000")
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
        [sys.executable, "-m", "searchplat", "ui", "--mlflow", "--port", str(port), "--tracking-uri", uri],
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
