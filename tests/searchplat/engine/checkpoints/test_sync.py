"""Folders of checkpoints kept in a storage: whole whenever the writer dies, the newest two of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from searchplat.contract import WarmCache
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.checkpoints.sync import SyncedFolder, fetch_results
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.messages import Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun


class Crash(BaseException):
    """In place of a kill."""


def save(folder: Path, epoch: int) -> None:
    """Save as methods do: two checkpoints are kept, and something that every epoch has."""
    (folder / f"epoch-{epoch:04d}").mkdir()
    (folder / f"epoch-{epoch:04d}" / "weights").write_text(f"weights of {epoch}" * 100)
    (folder / "vocabulary").write_text("always the same")
    (folder / ".being-written").write_text("no")
    old = folder / f"epoch-{epoch - 2:04d}" / "weights"
    if old.exists():
        old.unlink()
        old.parent.rmdir()


def content(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage.parse(str(tmp_path / "kept")).child("00000")


def test_the_newest_two_are_kept_and_what_they_share_once(storage: Storage) -> None:
    mirror = SyncedFolder(storage)
    folders = {}
    for epoch in range(1, 6):
        save(mirror.folder, epoch)
        mirror.upload(epoch)
        folders[epoch] = content(mirror.folder)
        mirror.upload(epoch)  # nothing new
    names = set(storage.list())
    assert {name for name in names if "manifest" in name} == {f"epoch-000{n}/manifest.json" for n in (4, 5)}
    assert sum(name.startswith("files/") for name in names) == 4  # weights of 3, 4 and 5, and the vocabulary
    other = SyncedFolder(storage)
    assert other.download() == 5
    assert content(other.folder) == folders[5]
    # The newest is damaged: the one before.
    newest = json.loads(storage.read("epoch-0005/manifest.json") or b"")["files"]["epoch-0005/weights"]["sha256"]
    size = storage.list()[f"files/{newest}"]
    storage.write(f"files/{newest}", b"x" * size)
    assert other.download() == 4
    assert content(other.folder) == folders[4]
    mirror.close()
    other.close()
    assert not mirror.folder.exists()


@pytest.mark.parametrize("torn", [False, True], ids=["before a write", "in a write"])
def test_whenever_the_writer_dies_a_whole_checkpoint_is_there(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, torn: bool
) -> None:
    folders: dict[int, dict[str, str]] = {}
    left, epoch = 0, 0

    def dying(name: str) -> Any:
        real = getattr(Storage, name)

        def call(self: Storage, *arguments: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                if torn and name == "write":
                    real(self, arguments[0], arguments[1][:20])
                if torn and name == "upload":
                    self_cut = arguments[0].read_bytes()[:5]
                    Path(f"{self.base}/files").mkdir(exist_ok=True, parents=True)
                    Path(f"{self.base}/{arguments[1]}").write_bytes(self_cut)
                raise Crash
            return real(self, *arguments)

        return call

    for name in ("write", "upload", "remove"):
        monkeypatch.setattr(Storage, name, dying(name))
    deaths = 0
    for allowed in [*range(9)] * 3:  # operations until the kill; an epoch takes at most eight
        mirror = SyncedFolder(storage)
        left = 99
        found = mirror.download()
        assert epoch - 1 <= found <= epoch
        assert content(mirror.folder) == folders.get(found, {})
        epoch = found + 1
        save(mirror.folder, epoch)
        folders[epoch] = content(mirror.folder)
        left = allowed
        try:
            mirror.upload(epoch)
        except Crash:
            deaths += 1
        mirror.close()
    assert deaths > 10
    assert epoch > 5


def test_a_manifest_of_strangers_writes_nowhere_else(storage: Storage, tmp_path: Path) -> None:
    mirror = SyncedFolder(storage)
    save(mirror.folder, 1)
    mirror.upload(1)
    manifest = json.loads(storage.read("epoch-0001/manifest.json") or b"")
    for epoch, name in enumerate(("../../outside", "/tmp/outside", "..\\outside"), start=2):
        files = {name: next(iter(manifest["files"].values()))}
        storage.write(f"epoch-{epoch:04d}/manifest.json", json.dumps({**manifest, "files": files}).encode())
    for epoch, text in enumerate(("[]", '{"format": 1}', "{", '{"format": 1, "files": {"a": 3}}'), start=5):
        storage.write(f"epoch-{epoch:04d}/manifest.json", text.encode())
    assert mirror.download() == 1
    assert not list(tmp_path.rglob("outside"))
    mirror.close()


def test_results_come_back_whole_or_not_at_all(storage: Storage, tmp_path: Path) -> None:
    mirror = SyncedFolder(storage)
    save(mirror.folder, 1)
    (mirror.folder / "model.safetensors").write_bytes(b"weights")
    assert not fetch_results(storage, tmp_path / "run")
    mirror.upload_results()
    assert fetch_results(storage, tmp_path / "run")
    assert sorted(content(tmp_path / "run")) == ["model.safetensors", "vocabulary"]  # no checkpoints
    mirror.close()


HANGS = (
    "from searchplat.engine.worker.order import Order; from searchplat.engine.worker.trial_run import TrialRun;"
    "from searchplat.contract import WarmCache; import sys;"
    "work = TrialRun(Order.from_json(sys.argv[1]), WarmCache()); work.step(); work.step()"
)


@pytest.mark.slow
def test_where_a_trial_hung_is_known_on_the_next_machine(storage: Storage) -> None:
    import subprocess
    import sys

    order = Order(
        0, "rehearsal", full_config("rehearsal", {"fault": "hang"}), "toy", {}, 1.0, 0, 1, "none", timeout_s=1.0,
        storage=storage.uri,
    )  # fmt: skip
    done = subprocess.run([sys.executable, "-c", HANGS, order.to_json()], timeout=200)
    assert done.returncode == 1
    work = TrialRun(order, WarmCache())
    message = work.step()
    assert message.kind is Said.TIMEOUT
    assert "in _fault" in (message.cause or "")
    work.close()
