"""Connecting to Ray: a private one on this machine, or a cluster that is there."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import ray

from searchplat.engine.cluster import auth, ray_folder
from searchplat.engine.cluster.code_upload import EXCLUDED
from searchplat.engine.cluster.ray_folder import RayFolder
from searchplat.engine.cluster.room import check_room, workers_on
from searchplat.engine.shutdown.shutdown import Shutdown
from searchplat.engine.shutdown.supervisor import RAY_ENDED
from searchplat.environment import reduced
from searchplat.errors import InputError, RayEndedError, SearchplatError, TryAgainError, disk_full
from searchplat.spec.model import Resources

_MIB = 1 << 20
_REMEMBERED_S = 0.25
_ANSWER_S = 2.0
_DASHBOARD_HOST = "127.0.0.1"
_DASHBOARD_PORTS = range(8265, 8265 + 51)
"""Ray's first, and those that it tries after it."""
_GCS_PORT = "RAY_GCS_SERVER_PORT"
"""The variable from which Ray takes the port of the daemon that it starts first."""


@contextmanager
def connected(
    address: str | None, environment: dict[str, str], code: Sequence[str] = (), shutdown: Shutdown | None = None
) -> Iterator[str | None]:
    """Connect to Ray for the time of the block.

    A Ray of our own asks for a token, answers on its dashboard to this machine only, and its processes see of this
    one's environment what `searchplat.environment` lists. No other thread may read the environment while it starts.

    Args:
        address: None or `local` starts Ray on this machine, whatever `RAY_ADDRESS` says; else what
            `ray.init(address=...)` takes. `auth.check_cluster` has seen to it that it may be used.
        environment: Environment variables of every worker.
        code: Paths of packages and modules that workers are to have, on a cluster that was there before.
        shutdown: Told for how long Ray is starting.

    Yields:
        The dashboard's address, None if it does not run.

    Raises:
        InputError: If Ray was imported otherwise than the cluster needs, see `auth.load_ray`; or no head answers.
        RayEndedError: If a Ray of our own does not start, or ends.
    """
    # As later versions of Ray do: a trial without a share of a GPU sees what its host has, and is told not to use it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    own = auth.is_own(address)
    if address is not None and not own:
        address = auth.resolved(address)  # what is asked whether it wants a token is what gets it
    with ray_folder.short_enough() if own else nullcontext() as folder, auth.authenticated(address):
        try:
            with shutdown.while_connecting() if shutdown else nullcontext():
                context = _own(environment, folder) if folder is not None else _other(address, environment, code)
            _total.forget()
            if own:
                _daemons[:] = _places(context.address_info["gcs_address"])
            url = context.dashboard_url
            yield f"http://{url}" if url else None
        except Exception as error:
            if isinstance(error, SearchplatError) or not gone():
                raise
            raise RayEndedError(RAY_ENDED) from error
        finally:
            _daemons.clear()
            ray.shutdown()  # also of one that could not start


_daemons: list[tuple[str, int]] = []
"""Where the daemons of a Ray of our own take calls."""


def _places(gcs: str) -> list[tuple[str, int]]:
    host, _, port = gcs.rpartition(":")
    return [(host, int(port)), *((node["NodeManagerAddress"], node["NodeManagerPort"]) for node in ray.nodes())]


def gone() -> bool:
    """Whether a daemon of the Ray that this process started takes no calls any more. Asks Ray itself nothing."""
    for place in list(_daemons):
        try:
            socket.create_connection(place, timeout=_ANSWER_S).close()
        except ConnectionRefusedError:
            return True
        except OSError:  # busy
            continue
    return False


def _own(environment: dict[str, str], folder: RayFolder) -> Any:
    """Start Ray on this machine."""
    auth.guard_token()
    _check_dashboard_port()
    # Whatever Ray itself writes while it starts is for this user alone.
    before = os.umask(0o077)
    try:
        # Workers inherit what the daemon that starts them has. Told by `runtime_env`, each would load Ray twice, for
        # half a second more: once to set the variables, and again as the worker.
        with folder.entered(), reduced(os.environ), _port_given(os.environ), _given(os.environ, environment):
            return ray.init(
                address="local",
                include_dashboard=True,
                dashboard_host=_DASHBOARD_HOST,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": dict(folder.workers)} if folder.workers else None,
                # Reports are small and data is memory-mapped: the store needs little of a laptop's memory.
                object_store_memory=256 * _MIB,
            )
    except Exception as error:  # of whatever class, with what its processes last wrote
        if isinstance(error, SearchplatError) or disk_full(error):
            raise
        raise RayEndedError(f"Ray did not start on this machine: {str(error).strip()}") from error
    finally:
        os.umask(before)


@contextmanager
def _given(environment: MutableMapping[str, str], more: Mapping[str, str]) -> Iterator[None]:
    """Within it, `environment` has these variables too. No other thread may read it meanwhile."""
    before = {name: environment[name] for name in more if name in environment}
    environment.update(more)
    try:
        yield
    finally:
        for name in more:
            environment.pop(name, None)
        environment.update(before)


@contextmanager
def _port_given(environment: MutableMapping[str, str]) -> Iterator[None]:
    """Within it, Ray's first daemon is told its port, unless the user has.

    Else Ray waits for the daemon to say which one it took, for 30 s if somebody has ended it, and holds the interpreter
    meanwhile, so that no signal is heard.
    """
    if _GCS_PORT in environment:
        yield
        return
    with socket.socket() as probe:
        probe.bind(("", 0))
        environment[_GCS_PORT] = str(probe.getsockname()[1])
    try:
        yield
    finally:
        del environment[_GCS_PORT]


def _check_dashboard_port() -> None:
    """Refuse at once what Ray would find out in a minute, as the dashboard's process does not end for want of a port.

    Raises:
        TryAgainError: If all ports that Ray tries are taken.
    """
    for port in _DASHBOARD_PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((_DASHBOARD_HOST, port))
            except OSError:
                continue
            return
    first, last = _DASHBOARD_PORTS[0], _DASHBOARD_PORTS[-1]
    raise TryAgainError(
        f"Failed to start the dashboard of Ray: ports {first} to {last} of {_DASHBOARD_HOST} are all taken; end "
        "some of what holds them, other searches perhaps, and run the same command again"
    )


def _other(address: str | None, environment: dict[str, str], code: Sequence[str]) -> Any:
    """Connect to a cluster that is there."""
    try:
        return ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": environment, "py_modules": list(code), "excludes": EXCLUDED},
        )
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        said = " ".join(str(error).split())
        raise InputError(f"--address {address}: {said}; use the same versions on every machine") from error


class _Total:
    """What the cluster's machines have together; asking takes milliseconds, and every trial asks several times."""

    def __init__(self) -> None:
        self._seen: dict[str, float] = {}
        self._until = self._hosts_until = 0.0
        self._hosts: list[dict[str, float]] = []

    def now(self) -> dict[str, float]:
        """As it was at most a quarter of a second ago."""
        if time.monotonic() > self._until:
            self._seen = ray.cluster_resources()
            self._until = time.monotonic() + _REMEMBERED_S
        return self._seen

    def hosts(self) -> list[dict[str, float]]:
        """What each machine has, as it was at most a quarter of a second ago."""
        if time.monotonic() > self._hosts_until:
            self._hosts = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            self._hosts_until = time.monotonic() + _REMEMBERED_S
        return self._hosts

    def forget(self) -> None:
        """Another cluster, perhaps."""
        self._until = self._hosts_until = 0.0


_total = _Total()


def all_counted() -> bool:
    """Whether what the machines have together counts each that is there: Ray may know of one a moment earlier."""
    _total.forget()
    total = _total.now()
    there = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return all(total.get(name, 0) >= sum(has.get(name, 0) for has in there) - 1e-9 for name in ("CPU", "GPU"))


def slots(resources: Resources) -> int:
    """Trials that may run at once on the cluster's machines as they are now; see `fitting`."""
    return fitting(resources) if resources.concurrent is None else min(resources.concurrent, fitting(resources))


def at_once(resources: Resources) -> float:
    """Trials that may at most run at once, as far as is known before shares are measured."""
    fitting = float(ray.cluster_resources().get("CPU", 0)) / (resources.workers * (resources.cpu or 1.0))
    return fitting if resources.concurrent is None else min(resources.concurrent, fitting)


def gpu_share(resources: Resources) -> float:
    """GPUs a trial, or a worker of it: what the space says; under `auto` one where the cluster has any, else none."""
    if resources.gpu is not None:
        return resources.gpu
    return 1.0 if _total.now().get("GPU", 0) >= 1 else 0.0


def fitting(resources: Resources) -> int:
    """Trials that fit on the cluster's machines as they are now, whatever `concurrent` says; 0 if none has room."""
    known = replace(resources, gpu=gpu_share(resources))
    return sum(workers_on(machine, known) for machine in _total.hosts()) // resources.workers


def check_counted(resources: Resources, address: str | None, remedy: str | None = None) -> None:
    """As `check_room`, once Ray has counted what this machine has.

    Raises:
        InputError: If there is no room.
    """
    known = replace(resources, gpu=gpu_share(resources))
    for machine in _total.hosts():
        check_room(known, address, machine, remedy)
