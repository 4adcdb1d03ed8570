"""A real server that speaks S3 on this machine, which tests stop, pause, and start again. It keeps all in memory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

BUCKET = "checkpoints"
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a secret that must not be found anywhere"}
"""What the driver and, by `SEARCHPLAT_TRIAL_ENV`, its workers get."""

ENVIRONMENT = {
    **KEYS,
    "SEARCHPLAT_TRIAL_ENV": ",".join([*KEYS, "AWS_EC2_METADATA_DISABLED"]),
    "AWS_EC2_METADATA_DISABLED": "true",  # no machine of Amazon's is asked who we are
}

_SERVE = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


class S3Server:
    """A process that may be stopped, paused and started again at the same address."""

    def __init__(self, log: Path, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._log, self._environment = log, environment
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, prefix: str = "tests", bucket: str = BUCKET) -> str:
        """An address in it, as `--storage` takes it."""
        return f"s3://{bucket}/{prefix}?endpoint_override=127.0.0.1%3A{self.port}&scheme=http&region=us-east-1"

    def start(self) -> None:
        """Return once it answers and has the bucket."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(self.port)],
                env={**os.environ, **self._environment}, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 240
        while True:
            assert self._process.poll() is None, self._log.read_text()[-3000:]
            assert time.monotonic() < deadline, "the server does not come up"
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.1)
        if not self._environment:
            self.make_bucket()

    def make_bucket(self) -> None:
        from pyarrow.fs import FileSystem

        system, _ = FileSystem.from_uri(f"{self.uri()}&allow_bucket_creation=true")
        system.create_dir(BUCKET)

    def stop(self) -> None:
        """Kill it; what it had is gone."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def pause(self) -> None:
        """Leave it alive but silent."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)


@contextmanager
def s3_server(folder: Path, **environment: str) -> Iterator[S3Server]:
    """A server for as long as the block takes; skips the test where it is not installed."""
    pytest.importorskip("moto", reason="moto[s3] and flask-cors, of the extra `test`, are not installed")
    pytest.importorskip("flask_cors", reason="flask-cors, of the extra `test`, is not installed")
    server = S3Server(folder / "s3.log", **environment)
    try:
        server.start()
        yield server
    finally:
        server.stop()
