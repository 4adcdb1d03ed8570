"""Who may use a Ray cluster: the token of our own, and whether somebody else's asks for one.

Whoever reaches a Ray cluster without token authentication can run code on it. `ray.init` turns it on for a cluster
that it starts, but writes the token where others may read it, and connects to any other cluster as it is.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from searchplat.engine.cluster import ray_folder
from searchplat.errors import InputError

TOKEN, NONE = "token", "disabled"
"""Values of `RAY_AUTH_MODE`."""

_MODE = "RAY_AUTH_MODE"
_NO_FAILURE_HANDLER = "RAY_DISABLE_FAILURE_SIGNAL_HANDLER"
_READ = re.compile(r"RAY_AUTH_MODE is currently '(\w+)'")
"""What Ray's error about tokens says of every mode but `token`."""

_HOST_PORT = re.compile(r"([^\s:/]+|\[[0-9a-fA-F:.%]+\]):(\d+)")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HEAD = "--gcs-address="
_ASK_S = 10.0
_log = logging.getLogger(__name__)


def check_cluster(address: str | None, insecure: bool = False) -> str | None:
    """Refuse a cluster on other machines that lets anybody in. One on this machine is only warned of.

    Args:
        address: As `--address` takes it; None and `local` are a cluster of our own.
        insecure: Whether the user wants it all the same.

    Returns:
        The address of the cluster that was checked, also for `auto`; None for one of our own.

    Raises:
        InputError: If it lets anybody in and is elsewhere, does not answer, does not know the token that there is
            here, or is a Ray Client server, which serves another kind of driver; or if one of our own would find no
            folder for its files.
    """
    if is_own(address):
        ray_folder.check()
        return None
    assert address is not None
    if address.startswith("ray://"):
        raise InputError(
            f"--address {address}: a search does not run through a Ray Client server; go to a machine of the "
            "cluster and give the head's HOST:PORT, or auto"
        )
    found = resolved(address)
    if asks_for_token(found):
        _refuse_stranger(address, found)
        return found
    if insecure:
        return found
    if on_this_machine(found):
        _log.warning(
            "the Ray cluster at %s lets anybody in who reaches it: start it with RAY_AUTH_MODE=token, after "
            "`ray get-auth-token --generate`", found,
        )  # fmt: skip
        return found
    raise InputError(
        f"--address {address}: the Ray cluster at {found} has no token authentication, so whoever reaches it can run "
        "code on it and read what a search sends there; start it with RAY_AUTH_MODE=token and the same token on every "
        "machine, or connect all the same with --insecure-cluster"
    )


def is_own(address: str | None) -> bool:
    """Whether Ray is to be started, not looked for."""
    return address is None or address == "local"


def resolved(address: str) -> str:
    """`host:port` of the head, also for `auto`: that which `ray.init` would find.

    Raises:
        InputError: If it is none, or none is found on this machine.
    """
    found = (os.environ.get("RAY_ADDRESS") or address) if address == "auto" else address
    if found == "auto":
        found = _started_here()
    if found in ("", "local"):
        raise InputError(f"--address {address}: no Ray cluster runs on this machine; start one with: ray start --head")
    match = _HOST_PORT.fullmatch(found)
    if match is None:
        raise InputError(f"--address {address}: expected HOST:PORT or auto, got {found!r}")
    host, port = match.groups()
    return f"{_own_address() or host}:{port}" if host in _LOOPBACK else found


def _started_here() -> str:
    """The head's address of the cluster that runs on this machine; of several that which was started last."""
    import psutil  # type: ignore[import-untyped]  # publishes no types

    running: set[str] = set()
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]  # None if it is somebody else's
        if "raylet" in Path(words[0]).name:
            running |= {word.removeprefix(_HEAD) for word in words if word.startswith(_HEAD)}
    if len(running) == 1:
        return running.pop()
    # `ray start` writes it; a cluster that was killed leaves it behind.
    folder = os.environ.get(ray_folder.VARIABLE) or os.environ.get("TMPDIR") or "/tmp"
    try:
        last = (Path(folder) / "ray" / "ray_current_cluster").read_text(encoding="utf-8").strip()
    except OSError:
        last = min(running, default="")
    if running:
        _log.warning("several Ray clusters run on this machine: %s; using %s", ", ".join(sorted(running)), last)
    return last


def _own_address() -> str | None:
    """By which other machines reach this one, as Ray has it; None without a way out."""
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("8.8.8.8", 53))  # nothing is sent
        except OSError:
            return None
        return str(probe.getsockname()[0])


def asks_for_token(address: str, token: str | None = None) -> bool:
    """Whether the head at `host:port` refuses somebody without a token, or with a wrong one.

    Clusters with TLS (`RAY_USE_TLS`) ask for a certificate instead, which is as good.

    Args:
        token: To show; None to show none.

    Raises:
        InputError: If no head of Ray answers there.
    """
    if os.environ.get("RAY_USE_TLS", "").lower() in ("1", "true"):
        return token is None
    import grpc  # type: ignore[import-untyped]  # publishes no types

    def as_it_is(content: bytes) -> bytes:
        return content

    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(
            "/ray.rpc.NodeInfoGcsService/CheckAlive", request_serializer=as_it_is, response_deserializer=as_it_is
        )
        try:
            shown = [] if token is None else [("authorization", f"Bearer {token}")]
            ask(b"", timeout=_ASK_S, wait_for_ready=False, metadata=shown)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                return True
            raise InputError(
                f"--address: no head of a Ray cluster answers at {address} ({error.code().name.lower()}); correct the "
                "address, or start it with: ray start --head"
            ) from error
    return False


def on_this_machine(address: str) -> bool:
    """Whether `host:port` is an address of this machine: only such a one can be bound."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        for family, kind, protocol, _, place in socket.getaddrinfo(host, 0, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind, protocol) as probe:
                try:
                    probe.bind(place)
                except OSError as error:
                    if error.errno == errno.EADDRNOTAVAIL:
                        return False
                    raise
    except OSError:
        return False
    return True


def token_path() -> Path:
    """Where Ray keeps this user's token."""
    return Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")


def _refuse_stranger(address: str, found: str) -> None:
    try:
        token = os.environ.get("RAY_AUTH_TOKEN") or token_path().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        token = ""
    if not token.isascii() or asks_for_token(found, token or None):
        raise InputError(
            f"--address {address}: the cluster asks for a token and does not know yours; put its token into "
            f"{token_path()}, or name its file in RAY_AUTH_TOKEN_PATH"
        )


def guard_token() -> None:
    """Make the token's file if there is none, and see to it that nobody else can read it.

    Raises:
        InputError: If it cannot be written, or is somebody else's.
    """
    path = token_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(path)
        rights = stat.S_IMODE(path.stat().st_mode)
        if rights & 0o077:
            path.chmod(0o600)
            _log.warning(
                "%s could be read by others (mode %o); no longer. To have a new token, delete the file while no "
                "cluster of yours runs", path, rights,
            )  # fmt: skip
    except OSError as error:
        raise InputError(
            f"{path}: Ray's token must be in a file that is yours alone ({error.strerror}); mend its rights, or name "
            "another file in RAY_AUTH_TOKEN_PATH"
        ) from error


def load_ray(address: str | None) -> None:
    """Import Ray so that this process can use a cluster: it reads once, when it is imported, who is shown the token.

    And whether it may put a handler of its own, below Python, in the place of ours, which aborts the process 3 s after
    a SIGTERM: here it may not. Python's own handler of faults still writes where a crash was, and Ray's processes,
    which do not see the variable, keep theirs.

    Raises:
        InputError: As `authenticated`.
    """
    told = _NO_FAILURE_HANDLER in os.environ
    os.environ.setdefault(_NO_FAILURE_HANDLER, "1")
    try:
        with authenticated(address):
            pass
    finally:
        if not told:
            del os.environ[_NO_FAILURE_HANDLER]


@contextmanager
def authenticated(address: str | None) -> Iterator[None]:
    """Within it, this process and what it starts use tokens, or send none to a cluster that does not ask for one.

    Args:
        address: The cluster's, as `check_cluster` takes it.

    Raises:
        InputError: If Ray was imported before, and read otherwise; or no head answers.
    """
    mode = TOKEN if address is None or is_own(address) or asks_for_token(resolved(address)) else NONE
    before = os.environ.get(_MODE)
    os.environ[_MODE] = mode
    try:
        if (read := _mode_read()) != mode:
            raise InputError(
                f"Ray was imported before, under {_MODE}={read}, and this cluster needs {mode}: run this in a process "
                f"of its own, or set {_MODE}={mode} before ray is imported"
            )
        yield
    finally:
        if before is None:
            os.environ.pop(_MODE, None)
        else:
            os.environ[_MODE] = before


def _mode_read() -> str:
    """The mode that Ray has read in this process, now at the latest, whatever the environment says since."""
    from ray.exceptions import AuthenticationError

    found = _READ.search(str(AuthenticationError("")))
    return found[1] if found else TOKEN


def _create(path: Path) -> None:
    """Write a fresh token, whole or not at all, unless there is one."""
    if path.exists() and path.stat().st_size:
        return
    descriptor, part = tempfile.mkstemp(dir=path.parent, prefix=".auth_token.")  # for its owner alone
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
        if path.exists():  # empty
            os.replace(part, path)
        else:
            os.link(part, path)
    except FileExistsError:  # another process was faster
        pass
    finally:
        Path(part).unlink(missing_ok=True)
