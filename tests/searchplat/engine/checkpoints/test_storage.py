"""Addresses of storages, and what is done below them."""

from __future__ import annotations

from pathlib import Path

import pytest
from s3_server import ENVIRONMENT, s3_server

from searchplat.contract import WarmCache
from searchplat.engine.checkpoints import storage as storage_module
from searchplat.engine.checkpoints.storage import Storage, check
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.errors import InputError, TryAgainError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "must be s3://"),
        ("ftp://host/x", "must begin with s3:// or gs://"),
        ("s3://", "must name a bucket"),
        ("s3://bucket/x?bogus=1", "bogus"),
        ("s3://AKIDX:pa55word@bucket/x", "no keys or passwords"),
        ("s3://pa55word@bucket/x", "no keys or passwords"),
        ("s3://bucket/x?region=eu-west-1&secret_key=pa55word", "no keys or passwords"),
        ("gs://bucket/x?access_token=pa55word", "no keys or passwords"),
    ],
)
def test_what_is_no_storage_is_refused_without_its_secrets(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as raised:
        Storage.parse(text)
    assert "pa55word" not in str(raised.value)


def test_an_address_survives_being_written_down_and_has_places_below(tmp_path: Path) -> None:
    s3 = Storage.parse("s3://bucket/pre/?region=eu-west-1&scheme=http")
    assert s3.child("a", "00007").uri == "s3://bucket/pre/a/00007?region=eu-west-1&scheme=http"
    assert Storage.parse(s3.uri) == Storage.of(s3.uri) == s3
    assert Storage.parse("shared").uri == str(tmp_path / "shared")  # the working directory's, for ever
    assert Storage.parse(f"file://{tmp_path}/sha%20red") == Storage.parse(str(tmp_path / "sha red"))


def test_objects_in_a_folder(tmp_path: Path) -> None:
    storage = Storage.parse(str(tmp_path / "kept"))
    assert storage.list() == {}
    check(storage)
    storage.write("a/b", b"one")
    (tmp_path / "two").write_bytes(b"22")
    storage.upload(tmp_path / "two", "c")
    assert storage.list() == {"a/b": 3, "c": 2}
    assert storage.child("a").list() == {"b": 3}
    assert (storage.read("a/b"), storage.read("nothing")) == (b"one", None)
    assert storage.download("nothing", tmp_path / "x") is None
    storage.remove("c")
    storage.remove("c")
    storage.child("a").remove_all()
    storage.child("a").remove_all()
    assert storage.list() == {}


def test_a_storage_that_fails_is_tried_again_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PATIENCE_S", 0.4)
    monkeypatch.setattr(storage_module, "_FIRST_PAUSE_S", 0.1)
    storage = Storage.parse(str(tmp_path / "kept"))
    (tmp_path / "kept").touch()  # a file where the folder should be
    with pytest.raises(TryAgainError, match=r"nothing could be written there, .*run the same command again"):
        storage.write("a", b"one")
    with pytest.raises(InputError, match="could not be written, read and removed"):
        check(storage)
    tries = []

    def at_last() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("AWS Error SLOW_DOWN")
        return "done"

    assert (storage.patiently("read", at_last), len(tries)) == ("done", 2)


def test_a_trial_goes_on_from_s3_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(storage_module, "PATIENCE_S", 0.1)
    with s3_server(tmp_path) as server:
        storage = Storage.parse(server.uri())
        check(storage)
        with pytest.raises(InputError, match=r"NO_SUCH_BUCKET.*SEARCHPLAT_TRIAL_ENV"):
            check(Storage.parse(server.uri(bucket="not-there")))
        order = Order(
            0, "rehearsal", full_config("rehearsal", {"epochs": 9}), "toy", {}, 1.0, 0, 1, "runs/s/checkpoints/00000",
            storage=storage.child("00000").uri,
        )  # fmt: skip
        here = TrialRun(order, WarmCache())
        assert [here.step().epoch for _ in range(4)] == [1, 2, 3, 4]
        kept = storage.list()
        assert sum("manifest" in name for name in kept) == sum("files/" in name for name in kept) == 2
        elsewhere = TrialRun(order, WarmCache())  # the first was killed without a word
        assert [elsewhere.step().epoch for _ in range(2)] == [4, 5]
        server.stop()
        later = elsewhere.step()
        assert later.kind is Said.NOT_NOW
        assert "run the same command again" in (later.cause or "")
        here.close()
        elsewhere.close()
    assert not Path("runs").exists()
