"""Real clusters of Ray: our own lets nobody in without its token, and others are asked before they are used."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from searchplat.cli.app import app
from searchplat.engine.cluster import auth
from searchplat.engine.cluster.auth import check_cluster, guard_token, on_this_machine, resolved, token_path
from searchplat.errors import InputError

SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 1}
search: {x: {type: float, low: 0.0, high: 1.0}}
trials: 1
searcher: {name: random}
"""

OWN = """
import json, os, sys, urllib.request, urllib.error
from searchplat.engine.cluster.auth import asks_for_token, check_cluster, load_ray, token_path
load_ray(None)
import ray
from searchplat.engine.cluster.connect import connected
from searchplat.engine.worker.environment import quiet_environment

def status(url, token=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code

with connected(None, {**quiet_environment(), "TOLD": "yes"}) as dashboard:
    @ray.remote
    def seen():
        return dict(os.environ), open("/proc/self/environ").read()
    environment, first = ray.get(seen.remote())
    address = ray.get_runtime_context().gcs_address
    check_cluster(address)
    print(json.dumps({
        "dashboard": dashboard,
        "without": [status(f"{dashboard}/{path}") for path in ("api/version", "api/jobs/", "nodes?view=summary")],
        "with": status(f"{dashboard}/api/version", token_path().read_text()),
        "asks": asks_for_token(address),
        "mode": oct(token_path().stat().st_mode & 0o777),
        "environment": environment,
        "first": first,
        "own": os.environ["AWS_SECRET_ACCESS_KEY"],
        "left": [name for name in ("TOLD", "HF_HUB_OFFLINE") if name in os.environ],
    }))
"""

OPEN = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""

MODE = """
import os, sys
from unittest.mock import patch
if "first" in sys.argv:
    import ray
    os.environ["RAY_AUTH_MODE"] = sys.argv[1]  # too late
from searchplat.engine.cluster import auth
from searchplat.errors import InputError
before = os.environ.get("RAY_AUTH_MODE")
with patch.object(auth, "asks_for_token", lambda address: False):
    try:
        auth.load_ray(None if sys.argv[1] == "token" else "192.0.2.1:6379")
    except InputError as error:
        sys.exit(str(error))
assert os.environ.get("RAY_AUTH_MODE") == before, "what is started later is not told"
import ray
print(ray.exceptions.AuthenticationError("read"))
"""


@contextmanager
def running(**variables: str) -> Iterator[str]:
    """The address of a cluster of one node, started like one of somebody else's."""
    cluster = subprocess.Popen(
        [sys.executable, "-c", OPEN], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, env={**os.environ, **variables},
    )  # fmt: skip
    try:
        assert cluster.stdout is not None
        yield cluster.stdout.readline().strip()
    finally:
        cluster.communicate(timeout=60)


@pytest.mark.slow
def test_our_own_ray_asks_for_a_token_and_its_trials_see_no_secrets(tmp_path: Path) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("0123456789abcdef" * 4)
    token.chmod(0o644)
    variables = {
        **os.environ, "HOME": str(tmp_path), "AWS_SECRET_ACCESS_KEY": "canary-of-aws", "HF_TOKEN": "canary-of-hf",
        "MLFLOW_TRACKING_PASSWORD": "canary-of-mlflow", "DATABASE_URL": "postgresql://ann:canary-of-db@db/x",
        "OMP_NUM_THREADS": "1",
        # Neither of these may lead elsewhere or turn it off.
        "RAY_AUTH_MODE": "disabled", "RAY_ADDRESS": "192.0.2.99:6379",
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-c", OWN], capture_output=True, text=True, timeout=250, env=variables)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["dashboard"].startswith("http://127.0.0.1:")
    assert found["without"] == [401, 401, 401]
    assert found["with"] == 200
    assert found["asks"] is True
    assert found["mode"] == "0o600", "also where others could read it before"
    assert "could be read by others (mode 644)" in done.stderr
    assert "canary" not in json.dumps(found["environment"]) + found["first"]
    assert "RAY_ADDRESS" not in found["environment"]
    assert found["environment"]["OMP_NUM_THREADS"] == "1"
    assert found["own"] == "canary-of-aws", "the driver keeps its environment"
    assert found["environment"]["TOLD"] == "yes"
    assert "TOLD=yes" in found["first"], "set by a runtime environment, every process would load Ray twice"
    assert found["left"] == ["HF_HUB_OFFLINE"], "which the tests have set themselves"


def imported(wanted: str, variable: str | None, *words: str) -> subprocess.CompletedProcess[str]:
    """Load Ray for a cluster that asks for a token, or for one that does not, where `RAY_AUTH_MODE` is `variable`."""
    variables = {name: value for name, value in os.environ.items() if name != "RAY_AUTH_MODE"}
    return subprocess.run(
        [sys.executable, "-c", MODE, wanted, *words], capture_output=True, text=True, timeout=120,
        env=variables if variable is None else {**variables, "RAY_AUTH_MODE": variable},
    )  # fmt: skip


@pytest.mark.parametrize("variable", [None, "token", "disabled"])
@pytest.mark.parametrize("wanted", ["token", "disabled"])
def test_ray_is_imported_with_the_mode_that_the_cluster_needs(wanted: str, variable: str | None) -> None:
    done = imported(wanted, variable)
    assert done.returncode == 0, done.stderr
    assert ("is currently 'disabled'" in done.stdout) == (wanted == "disabled")


@pytest.mark.parametrize(("wanted", "variable"), [("token", None), ("token", "disabled"), ("disabled", "token")])
def test_a_ray_that_was_imported_for_another_cluster_is_not_used(wanted: str, variable: str | None) -> None:
    done = imported(wanted, variable, "first")
    assert done.returncode == 1
    assert f"under RAY_AUTH_MODE={variable or 'disabled'}, and this cluster needs {wanted}" in done.stderr
    assert f"set RAY_AUTH_MODE={wanted} before ray is imported" in done.stderr
    assert imported(wanted, wanted, "first").returncode == 0


@pytest.mark.slow  # a cluster
@pytest.mark.timeout(600)
def test_a_cluster_that_lets_anybody_in_is_refused_unless_it_is_here_or_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    with running(RAY_AUTH_MODE="disabled") as address:
        assert not auth.asks_for_token(address)
        with caplog.at_level(logging.WARNING):
            check_cluster(address)
        assert "lets anybody in who reaches it" in caplog.text, "on this machine it is only said"

        # The same cluster, were it on another machine.
        monkeypatch.setattr(auth, "on_this_machine", lambda address: False)
        for command in (["search", "space.yaml"], ["search", "space.yaml", "--name", "x"]):
            refused = CliRunner().invoke(app, [*command, "--address", address])
            assert refused.exit_code == 2, refused.output
            assert "has no token authentication" in refused.stderr
            assert "--insecure-cluster" in refused.stderr
        assert not (tmp_path / "runs").exists(), "nothing was started"
        check_cluster(address, insecure=True)

        # And it can be used.
        done = subprocess.run(
            [sys.executable, "-m", "searchplat", "search", "space.yaml", "--address", address, "--insecure-cluster"],
            capture_output=True, text=True, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.slow  # a cluster
@pytest.mark.timeout(600)
def test_a_cluster_with_tokens_is_used_with_its_token_only(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    for name, token in (("theirs", "ab" * 32), ("other", "cd" * 32)):
        (tmp_path / name).write_text(token)
        (tmp_path / name).chmod(0o600)
    with running(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(tmp_path / "theirs")) as address:
        assert auth.asks_for_token(address)
        for name, code in (("other", 2), ("theirs", 0)):
            done = subprocess.run(
                [sys.executable, "-m", "searchplat", "search", "space.yaml", "--name", name, "--address", address],
                capture_output=True, text=True, timeout=250,
                env={**os.environ, "RAY_AUTH_TOKEN_PATH": str(tmp_path / name)},
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            assert ("does not know yours" in done.stderr) == (code == 2), done.stderr


@pytest.mark.parametrize("command", [["search", "space.yaml"], ["search", "space.yaml", "--insecure-cluster"]])
def test_an_address_where_nobody_answers_is_wrong_input(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "space.yaml").write_text(SPACE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    done = CliRunner().invoke(app, [*command, "--address", address])
    assert done.exit_code == 2, done.output
    assert "no head of a Ray cluster answers at" in done.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("address", ["head", "head:", ":6379", "head:ray", "fe80::1:6379", "http://head:6379", ""])
def test_an_address_is_a_host_and_a_port(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--address"):
        check_cluster(address)
    if address:
        monkeypatch.setenv("RAY_ADDRESS", address)
        with pytest.raises(InputError, match="--address auto: expected HOST:PORT"):
            check_cluster("auto")


def test_loopback_is_this_machines_address(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolved("[fe80::1]:6379") == "[fe80::1]:6379"
    assert resolved("head:6379") == "head:6379"
    monkeypatch.setattr(auth, "_own_address", lambda: "192.0.2.7")
    for host in ("localhost", "127.0.0.1", "[::1]"):
        assert resolved(f"{host}:6379") == "192.0.2.7:6379"
    monkeypatch.setattr(auth, "_own_address", lambda: None)
    assert resolved("localhost:6379") == "localhost:6379", "without a way out"


def raylet(*words: str) -> SimpleNamespace:
    return SimpleNamespace(info={"cmdline": ["/site/ray/core/src/ray/raylet/raylet", "--x", *words]})


@pytest.mark.parametrize(
    ("variable", "heads", "last", "found"),
    [
        ("192.0.2.1:1", "23", "192.0.2.4:1", "192.0.2.1:1"),
        ("", "2", "192.0.2.4:1", "192.0.2.2:1"),  # one that was killed leaves its file
        ("", "23", "192.0.2.3:1", "192.0.2.3:1"),
        ("", "23", None, "192.0.2.2:1"),
        ("auto", "", "192.0.2.4:1", "192.0.2.4:1"),  # in a container, perhaps
        ("", "", None, None),
        ("local", "2", None, None),
    ],
)
def test_auto_is_what_the_environment_says_or_what_runs_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, heads: str, last: str | None, found: str | None
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", variable)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    there = [raylet(f"--gcs-address=192.0.2.{head}:1") for head in heads]
    others = [SimpleNamespace(info={"cmdline": words}) for words in (None, [], ["sh", "--gcs-address=192.0.2.9:1"])]
    monkeypatch.setattr(psutil, "process_iter", lambda attrs: [*others, *there])
    if last is not None:
        (tmp_path / "ray").mkdir()
        (tmp_path / "ray" / "ray_current_cluster").write_text(f"{last}\n")
    if found is None:
        with pytest.raises(InputError, match="--address auto: no Ray cluster runs on this machine"):
            resolved("auto")
    else:
        assert resolved("auto") == found


@pytest.mark.parametrize("insecure", [False, True])
def test_a_ray_client_server_cannot_run_a_search(insecure: bool) -> None:
    with pytest.raises(InputError, match="give the head's HOST:PORT, or auto"):
        check_cluster("ray://head:10001", insecure)


def test_a_ray_of_our_own_needs_no_asking() -> None:
    check_cluster(None)
    check_cluster("local")


def test_addresses_of_this_machine_are_told_from_others() -> None:
    assert on_this_machine("127.0.0.1:6379")
    assert on_this_machine("localhost:6379")
    assert not on_this_machine("192.0.2.77:6379"), "an address set aside for examples"
    assert not on_this_machine("no-such-host.invalid:1")


@pytest.mark.parametrize("before", [None, "", "f" * 64])
def test_the_token_is_its_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    path = tmp_path / "deep" / "token"
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    if before is not None:
        path.parent.mkdir()
        path.write_text(before)
        path.chmod(0o666)
    guard_token()
    assert token_path() == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    token = path.read_text()
    assert token == before if before else len(token) == 64
    guard_token()
    assert path.read_text() == token, "a token that is there stays"
    assert [found.name for found in path.parent.iterdir()] == ["token"]


def test_a_token_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "file" / "token"))
    with pytest.raises(InputError, match="name another file in RAY_AUTH_TOKEN_PATH"):
        guard_token()
