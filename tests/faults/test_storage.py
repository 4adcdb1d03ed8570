"""Checkpoints on S3: workers killed, a server that goes silent, a promotion whose files come home, wrong keys."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from interruptions import (
    Whole,
    check_nothing_lost,
    check_redone,
    command,
    diary,
    environment,
    ledger_path,
    outcome,
    trials_of,
    wait_until,
    write_space,
)
from promotions import ended_search, sasrec_spec
from s3_server import ENVIRONMENT, KEYS, S3Server, s3_server

from searchplat.engine.checkpoints.storage import Storage
from searchplat.ledger import Ledger
from searchplat.promotion.record import FINAL, FINISHED, load_promotion
from searchplat.searchers.contract import TrialState

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with s3_server(tmp_path) as started:
        yield started


def start(server: S3Server, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("--storage", server.uri(), *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def check_clean(folder: Path, server: S3Server) -> None:
    """No checkpoint is left anywhere, and no key is written anywhere."""
    assert Storage.parse(server.uri()).list() == {}
    assert not [path for path in (folder / "runs").rglob("checkpoints") if any(path.iterdir())]
    for path in [*(folder / "runs").rglob("*"), *folder.glob("mlflow.db*")]:
        if path.is_file():
            content = path.read_bytes()
            assert not any(key.encode() in content for key in KEYS.values()), path


@pytest.mark.by_hand
def test_a_trial_whose_worker_is_killed_goes_on_from_s3(tmp_path: Path, server: S3Server, whole: Whole) -> None:
    write_space(tmp_path, "in turn", 0.5)
    process = start(server)
    killed: list[int] = []
    for epoch in (2, 3):
        wait_until(lambda: bool(diary(tmp_path)) and diary(tmp_path)[-1].epoch == epoch, "it", process, 900)  # noqa: B023
        newest = diary(tmp_path)[-1]
        killed.append(newest.trial)
        os.kill(newest.process, signal.SIGKILL)
        begun = len(diary(tmp_path))
        wait_until(lambda: len(diary(tmp_path)) > begun, "the next epoch", process, 900)  # noqa: B023
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, out + err
    after = trials_of(tmp_path)
    assert sum(trial.retries for trial in after) == 2
    begun_twice = {key: n for key, n in Counter((line.trial, line.epoch) for line in diary(tmp_path)).items() if n > 1}
    # No more than the epoch that it was in: what was before came from the storage.
    assert sum(n - 1 for n in begun_twice.values()) <= 2
    assert {trial for trial, _ in begun_twice} <= set(killed)
    assert outcome(after) == whole("in turn")
    check_clean(tmp_path, server)


@pytest.mark.by_hand
def test_a_server_that_is_silent_for_a_while_delays_and_for_long_ends_the_search_with_75(
    tmp_path: Path, server: S3Server, whole: Whole
) -> None:
    write_space(tmp_path, "in turn", 0.5)
    process = start(server)
    wait_until(lambda: len(diary(tmp_path)) >= 5, "epoch 5 in all", process, 900)
    server.pause()
    time.sleep(10)
    server.resume()
    wait_until(lambda: len(diary(tmp_path)) >= 9, "epoch 9 in all", process, 900)
    server.pause()
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 75, out + err
    assert "run the same command again" in err
    before = trials_of(tmp_path)
    server.resume()
    # Another one than it was begun with is refused, and nothing happens.
    refused = subprocess.run(command("--storage", server.uri("other")), capture_output=True, text=True, timeout=600)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "was begun with" in refused.stderr
    done = subprocess.run(command(), capture_output=True, text=True, timeout=1800)  # the ledger knows where
    assert done.returncode == 0, done.stdout + done.stderr
    after = trials_of(tmp_path)
    check_nothing_lost(before, after)
    redone = check_redone(tmp_path, [before])
    print(f"redone: {redone}")
    assert outcome(after) == whole("in turn")
    check_clean(tmp_path, server)


@pytest.mark.by_hand
def test_what_a_promotion_leaves_comes_home(tmp_path: Path, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    folder = ended_search(Path("runs"), "ended", sasrec_spec(epochs=40, patience=40))
    promote = (
        sys.executable, "-m", "searchplat", "promote", "ended", "--race", "1", "--top", "1", "--seeds", "1",
        "--storage", server.uri(),
    )  # fmt: skip
    process = subprocess.Popen(promote, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    storage = Storage.parse(server.uri())

    def some_epochs() -> bool:
        time.sleep(0.5)  # the server has more to do than to be asked
        return any("/final/" in name and "epoch-0005/manifest" in name for name in storage.list())

    wait_until(some_epochs, "a few epochs of a final training", process, 900)
    for worker in _workers(process.pid):
        os.kill(worker, signal.SIGKILL)
    out, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, out
    assert "its worker died; it goes on from its last checkpoint" in out
    promotion = load_promotion(folder.path)
    finals = [run for run in promotion.runs if run.phase == FINAL]
    assert {run.state for run in finals} == {FINISHED}
    for run in finals:
        names = {path.name for path in run.folder.iterdir()}
        assert names >= {"ranks.npy", "model.json", "model.safetensors"}
        assert run.ranks == run.folder / "ranks.npy"
    compared = subprocess.run(
        [sys.executable, "-m", "searchplat", "compare", "ended"], capture_output=True, text=True, timeout=600
    )
    assert compared.returncode == 0, compared.stderr
    check_clean(tmp_path, server)


@pytest.mark.by_hand
def test_workers_that_are_not_let_in_stop_the_search_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boto3 = pytest.importorskip("boto3")
    write_space(tmp_path, "in turn", 0.0)
    # From the fifth request on the server asks for keys that it knows.
    with s3_server(tmp_path, INITIAL_NO_AUTH_ACTION_COUNT="4") as server:
        options = {
            "endpoint_url": f"http://127.0.0.1:{server.port}", "region_name": "us-east-1",
            "aws_access_key_id": "none", "aws_secret_access_key": "none",
        }  # fmt: skip
        with closing(boto3.client("s3", **options)) as s3:
            s3.create_bucket(Bucket="checkpoints")
        allow = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}'
        with closing(boto3.client("iam", **options)) as iam:
            iam.create_user(UserName="u")
            iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=allow)
            keys = iam.create_access_key(UserName="u")["AccessKey"]
        known = environment(
            AWS_ACCESS_KEY_ID=keys["AccessKeyId"], AWS_SECRET_ACCESS_KEY=keys["SecretAccessKey"],
            AWS_EC2_METADATA_DISABLED="true",
        )  # fmt: skip
        ours = command("--storage", server.uri())
        wrong = subprocess.run(
            ours, env={**known, "AWS_ACCESS_KEY_ID": "AKIAWRONG"}, capture_output=True, text=True, timeout=600
        )
        assert wrong.returncode == 2, wrong.stdout + wrong.stderr
        assert "could not be written, read and removed" in wrong.stderr
        assert not ledger_path(tmp_path).exists()
        hidden = subprocess.run(ours, env=known, capture_output=True, text=True, timeout=600)
        assert hidden.returncode == 2, hidden.stdout + hidden.stderr
        assert "from a worker" in hidden.stderr
        assert "SEARCHPLAT_TRIAL_ENV" in hidden.stderr
        with Ledger.read(ledger_path(tmp_path)) as ledger:
            assert all(trial.state is TrialState.WAITING for trial in ledger.trials())  # none has begun
        listed = "AWS_ACCESS_KEY_ID,AWS_SECRET_ACCESS_KEY,AWS_EC2_METADATA_DISABLED"
        done = subprocess.run(
            ours, env={**known, "SEARCHPLAT_TRIAL_ENV": listed}, capture_output=True, text=True, timeout=1800
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _workers(driver: int) -> list[int]:
    """Processes of Ray Train under a driver."""
    import psutil

    below = psutil.Process(driver).children(recursive=True)
    return [process.pid for process in below if "RayTrainWorker" in " ".join(process.cmdline())]
