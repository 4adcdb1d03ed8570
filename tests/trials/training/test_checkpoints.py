from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.errors import TryAgainError
from trials.training import checkpoints
from trials.training.checkpoints import Snapshot, newest_valid, read_newest, write

FILES = ("model.safetensors", "optimizer.safetensors", "state.json", "manifest.json")


def snapshot(epoch: int) -> Snapshot:
    weights = torch.full((2, 3), float(epoch))
    return Snapshot(epoch, {"w": weights, "t": weights.T}, {"w/step": torch.tensor(float(epoch))}, {"steps": 7 * epoch})


def epoch_of(folder: Path) -> int | None:
    found = read_newest(folder)
    path = newest_valid(folder)
    assert (found is None) == (path is None)
    assert found is None or path == folder / f"epoch-{found.epoch:04d}"
    return None if found is None else found.epoch


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert write(tmp_path, snapshot(3)) == tmp_path / "epoch-0003"
    found = read_newest(tmp_path)
    assert found is not None
    assert (found.epoch, found.state) == (3, {"steps": 21})
    assert torch.equal(found.model["w"], torch.full((2, 3), 3.0))
    assert found.model["t"].shape == (3, 2)
    assert found.optimizer["w/step"] == 3


def test_an_empty_or_missing_folder_has_none(tmp_path: Path) -> None:
    assert read_newest(tmp_path) is None
    assert newest_valid(tmp_path / "missing") is None


def test_the_last_two_are_kept_and_nothing_else_remains(tmp_path: Path) -> None:
    for epoch in range(1, 6):
        write(tmp_path, snapshot(epoch))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch-0004", "epoch-0005"]


def test_an_epoch_that_is_run_again_replaces_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, snapshot(1))
    (tmp_path / "epoch-0001" / "state.json").write_text("{}")
    assert epoch_of(tmp_path) is None
    write(tmp_path, snapshot(1))
    assert epoch_of(tmp_path) == 1


def test_epochs_sort_as_numbers_beyond_four_digits(tmp_path: Path) -> None:
    for epoch in (9_999, 10_000):
        write(tmp_path, snapshot(epoch))
    assert epoch_of(tmp_path) == 10_000


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_falls_back_to_the_one_before(tmp_path: Path, name: str) -> None:
    write(tmp_path, snapshot(1))
    write(tmp_path, snapshot(2))
    (tmp_path / "epoch-0002" / name).unlink()
    assert epoch_of(tmp_path) == 1


def test_a_renamed_checkpoint_is_not_believed(tmp_path: Path) -> None:
    write(tmp_path, snapshot(1))
    shutil.copytree(tmp_path / "epoch-0001", tmp_path / "epoch-0009")
    found = read_newest(tmp_path)
    assert found is not None
    assert found.epoch == 1


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), cut=st.booleans(), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_no_cut_and_no_flipped_bit_gives_wrong_contents(
    tmp_path: Path, name: str, cut: bool, where: float, bit: int
) -> None:
    shutil.rmtree(tmp_path)
    write(tmp_path, snapshot(1))
    write(tmp_path, snapshot(2))
    path = tmp_path / "epoch-0002" / name
    data = bytearray(path.read_bytes())
    place = int(where * len(data))
    if cut:
        del data[place:]
    else:
        data[place] ^= 1 << bit
    path.write_bytes(bytes(data))

    found = read_newest(tmp_path)
    assert found is not None
    if name != "manifest.json":  # a flipped blank of the manifest's own text may leave it true
        assert found.epoch == 1
    expected = snapshot(found.epoch)
    assert found.state == expected.state
    assert all(torch.equal(found.model[key], tensor) for key, tensor in expected.model.items())


def test_when_all_are_damaged_there_is_none(tmp_path: Path) -> None:
    for epoch in (1, 2):
        path = write(tmp_path, snapshot(epoch)) / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1])
    assert epoch_of(tmp_path) is None


@pytest.mark.parametrize(
    "manifest", ["[]", "1", "{}", '{"format": 1, "files": null}', '{"format": 1, "files": {"a": 1}}']
)
def test_a_manifest_of_another_form_is_invalid(tmp_path: Path, manifest: str) -> None:
    (write(tmp_path, snapshot(1)) / "manifest.json").write_text(manifest)
    assert epoch_of(tmp_path) is None


def test_a_process_killed_at_any_write_leaves_a_valid_checkpoint(tmp_path: Path) -> None:
    code = """
import os, sys, torch
from pathlib import Path
from trials.training.checkpoints import Snapshot, write

def killed_at(call):
    calls, fsync = 0, os.fsync
    def counted(descriptor):
        nonlocal calls
        calls += 1
        if calls == call:
            os._exit(9)
        fsync(descriptor)
    return counted

for call in (1, 3, 5, 6):
    folder = Path(sys.argv[1], str(call))
    write(folder, Snapshot(1, {"w": torch.ones(4)}, {}, {}))
    child = os.fork()
    if child == 0:
        os.fsync = killed_at(call)
        write(folder, Snapshot(2, {"w": torch.ones(4)}, {}, {}))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    # At a tensor file, at the manifest, at the temporary folder: the old one. After the rename: the new one.
    assert [epoch_of(tmp_path / call) for call in ("1", "3", "5", "6")] == [1, 1, 1, 2]
    for folder in tmp_path.iterdir():
        write(folder, snapshot(2))
        assert sorted(path.name for path in folder.iterdir()) == ["epoch-0001", "epoch-0002"]


def test_a_full_disk_says_so_and_leaves_the_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, snapshot(1))

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.os, "fsync", full)
        with pytest.raises(TryAgainError, match="no space is left to write this checkpoint"):
            write(tmp_path, snapshot(2))
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-0001"]


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "sprung"),))

    path = write(tmp_path, snapshot(1))
    torch.save({"w": Trap()}, path / "model.safetensors")
    assert epoch_of(tmp_path) is None
    assert not (tmp_path / "sprung").exists()
