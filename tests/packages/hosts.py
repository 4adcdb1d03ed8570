"""Hosts of a cluster on one machine: each with a network, a hostname and temporary files of its own.

A host is a network namespace, joined to the others by a bridge without a way out, with a mount namespace in which
`/tmp/ray` is its own. It needs root; see `possible`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

PORT = 6379
HEAD_NODE_ID = "f" * 51 + "0" * 5
HEAD_NODE_TYPE = "ray.head.default"
_PORTS = tuple(
    f"--{name}={port}"
    for port, name in enumerate(
        # Each host has all ports for itself; where they are not given, Ray's parts wait for one another to find them.
        ("dashboard-agent-grpc-port", "dashboard-agent-listen-port", "runtime-env-agent-port", "metrics-export-port"),
        20_001,
    )
)


@cache
def possible() -> bool:
    """Whether this user may make network namespaces here."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        return False
    name = f"sp{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True).returncode == 0
    if made:
        subprocess.run(["ip", "netns", "del", name], check=True)
    return made


class Host:
    """One host. `python` is the interpreter that Ray runs with there."""

    def __init__(self, network: Network, number: int, folder: Path, variables: dict[str, str], python: str) -> None:
        self.name, self.address = f"host{number}", f"{network.prefix}.{number}"
        self.namespace = f"{network.bridge}n{number}"
        self.folder, self._variables, self._python = folder, variables, python
        self.temporary, self.cache, self.log = folder / "tmp-ray", folder / "cache", folder / "log.txt"
        for path in (self.temporary, self.cache):
            path.mkdir(parents=True, exist_ok=True)
        Path("/tmp/ray").mkdir(exist_ok=True)  # where this host's own is mounted
        outer, inner = f"{network.bridge}v{number}", "eth0"
        for command in (
            f"ip netns add {self.namespace}",
            f"ip link add {outer} type veth peer name {inner} netns {self.namespace}",
            f"ip link set {outer} master {network.bridge} up",
            f"ip -n {self.namespace} addr add {self.address}/24 dev {inner}",
            f"ip -n {self.namespace} link set {inner} up",
            f"ip -n {self.namespace} link set lo up",
        ):
            subprocess.run(command.split(), check=True, capture_output=True)

    def popen(self, *command: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        """Start a command on the host; what it says goes to `log`, since Ray's processes outlive who starts them."""
        own = f'mount --bind {self.temporary} /tmp/ray && hostname {self.name} && exec "$@"'
        with self.log.open("a") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "unshare", "--mount", "--uts", "sh", "-c", own, "sh", *command],
                cwd=cwd or self.folder, text=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "SEARCHPLAT_CACHE": str(self.cache), **self._variables, **variables},
            )  # fmt: skip

    def start(self, head: Host | None, cpus: int, grows: dict[str, Any] | None) -> None:
        """`ray start`, as a head or to join one."""
        as_head = ["--head", f"--port={PORT}", "--include-dashboard=false"]
        if grows is not None:
            config = self.folder / "autoscaler.json"
            config.write_text(json.dumps(grows))
            as_head.append(f"--autoscaling-config={config}")
        place = [f"--address={head.address}:{PORT}"] if head else as_head
        process = self.popen(
            self._python, "-m", "ray.scripts.scripts", "start", *place, f"--node-ip-address={self.address}",
            f"--num-cpus={cpus}", "--disable-usage-stats", "--object-store-memory=100000000", *_PORTS
        )  # fmt: skip
        assert (code := process.wait(timeout=180)) == 0, f"{code}\n{self.log.read_text()}"

    def processes(self) -> list[int]:
        """All processes of the host."""
        found = subprocess.run(["ip", "netns", "pids", self.namespace], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self) -> None:
        """The host is gone: every process of it at once."""
        for _ in range(3):
            for pid in self.processes():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)


class Network:
    """Hosts on one bridge."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.bridge = f"sp{secrets.token_hex(2)}"
        self.prefix = f"10.{secrets.randbelow(200) + 20}.{secrets.randbelow(250)}"
        self._folder, self._variables = folder, variables
        self.hosts: list[Host] = []
        for command in (f"ip link add {self.bridge} type bridge", f"ip link set {self.bridge} up"):
            subprocess.run(command.split(), check=True, capture_output=True)

    def host(
        self, cpus: int, python: str = sys.executable, grows: dict[str, Any] | None = None, **variables: str
    ) -> Host:
        """One more host, with Ray running; the first is the head.

        Args:
            grows: Of a head: what its autoscaler is told, by `growing`.
        """
        number = len(self.hosts) + 1
        made = Host(self, number, self._folder / f"host{number}", {**self._variables, **variables}, python)
        self.hosts.append(made)
        made.start(self.hosts[0] if number > 1 else None, cpus, grows)
        return made

    def growing(self, workers: dict[str, dict[str, Any]], newer: bool, python: str = sys.executable) -> Host:
        """A head without processors whose autoscaler starts hosts that are Ray's processes on this one.

        Args:
            workers: The types of hosts that it may start.
            newer: Whether to have Ray's newer autoscaler.
        """
        # The head's Ray has nothing of ours but this.
        module = self._folder / "provider" / "local_hosts.py"
        module.parent.mkdir()
        shutil.copy(Path(__file__).with_name(module.name), module)
        provider = {
            "type": "external",
            "module": "local_hosts.LocalHosts",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "gcs_address": f"{self.prefix}.{len(self.hosts) + 1}:{PORT}",
            "head_node_id": HEAD_NODE_ID,
            "head_node_type": HEAD_NODE_TYPE,
        }
        variables = {
            "PYTHONPATH": str(module.parent),
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_NODE_ID,
            "RAY_CLOUD_INSTANCE_ID": HEAD_NODE_ID,
            "RAY_enable_autoscaler_v2": str(int(newer)),
        }
        head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
        config = {
            "cluster_name": "growing",
            "max_workers": 8,
            "idle_timeout_minutes": 0.25,  # of a busy machine a new host would else leave before it is used
            "upscaling_speed": 1.0,
            "provider": provider,
            "auth": {},
            "docker": {},
            "head_node_type": HEAD_NODE_TYPE,
            "available_node_types": {HEAD_NODE_TYPE: head, **workers},
            "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "rsync_exclude": [],
            "rsync_filter": [],
            "initialization_commands": [],
            "setup_commands": [],
            "head_setup_commands": [],
            "worker_setup_commands": [],
            "head_start_ray_commands": [],
            "worker_start_ray_commands": [],
        }
        return self.host(0, python, config, **variables)

    @property
    def address(self) -> str:
        """What `--address` takes."""
        return f"{self.hosts[0].address}:{PORT}"

    def close(self) -> None:
        """End everything that runs on the hosts, and the hosts."""
        for host in self.hosts:
            print(f"---- {host.name}:\n{host.log.read_text()[-5000:]}")  # pytest shows it where a test has failed
            host.kill()
            subprocess.run(["ip", "netns", "del", host.namespace], capture_output=True)
        subprocess.run(["ip", "link", "del", self.bridge], capture_output=True)


@contextmanager
def network(folder: Path, **variables: str) -> Iterator[Network]:
    """A network without hosts yet; all that will be on it share a token, in a file that is theirs alone.

    Args:
        variables: Of every process on every host.
    """
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    made = Network(folder, {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token), **variables})
    try:
        yield made
    finally:
        made.close()


def without_ours(folder: Path) -> str:
    """An interpreter with all libraries of this one, but without searchplat, its methods, and the tests' packages."""
    import site

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    own = next((folder / "lib").glob("python*/site-packages"))
    for place in map(Path, site.getsitepackages()):
        for entry in place.iterdir() if place.is_dir() else ():
            if not entry.name.startswith(("searchplat", "_editable_impl_searchplat", "trials", "__pycache__")):
                with suppress(FileExistsError):
                    (own / entry.name).symlink_to(entry)
    return str(folder / "bin" / "python")
