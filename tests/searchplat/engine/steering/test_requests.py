"""Requests as files: whole or not at all, in order, and nothing that lies in the folder can harm who reads them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from searchplat.engine.steering.requests import Answer, RequestFolder, new_request, this_driver, words
from searchplat.errors import InputError


@pytest.fixture
def folder(tmp_path: Path) -> RequestFolder:
    made = RequestFolder(tmp_path / "requests")
    made.enter(this_driver("search"))
    return made


def test_a_request_is_read_as_it_was_written_and_answered_once(folder: RequestFolder) -> None:
    request = new_request("run", "set", changes={"trials": 9, "concurrent": None})
    folder.put(request)
    assert folder.waiting() == [request.id]
    assert folder.read(request.id) == request
    assert words(request) == "set trials=9 concurrent=null"
    folder.settle(request.id, Answer(outcome="done", said="so"))
    assert not folder.open(request)
    assert folder.answer(request) == Answer(outcome="done", said="so")
    assert folder.answer(request) is None
    assert not folder.withdraw(request)
    assert [path.name for path in folder.path.iterdir()] == ["driver"]


def test_requests_come_in_the_order_in_which_they_were_made(folder: RequestFolder) -> None:
    made = [new_request("run", "stop-trial", trial=n) for n in range(20)]
    for request in reversed(made):
        folder.put(request)
    assert folder.waiting() == [request.id for request in made]


def test_the_driver_is_known_until_it_leaves(folder: RequestFolder) -> None:
    driver = folder.driver()
    assert driver is not None
    assert (driver.work, driver.pid) == ("search", os.getpid())
    folder.leave()
    assert folder.driver() is None


ID = "00000000000000000001-0123456789ab"
GARBAGE = {
    "nothing": b"",
    "noise": b"\x00\xff\xfe garbage",
    "cut": b'{"id": "' + ID.encode(),
    "another id": new_request("run", "stop").model_dump_json().encode(),
    "another action": b'{"id":"' + ID.encode() + b'","run":"r","action":"format","by":"a@b","at":1.0}',
    "another key": b'{"id":"' + ID.encode() + b'","run":"r","action":"stop","by":"a@b","at":1.0,"more":1}',
    "a time that is none": b'{"id":"' + ID.encode() + b'","run":"r","action":"stop","by":"a@b","at":NaN}',
    "too large": b" " * (1 << 17),
    "deep": b"[" * 60000,
}


@pytest.mark.parametrize("content", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_is_no_request(folder: RequestFolder, content: bytes) -> None:
    (folder.path / f"{ID}.json").write_bytes(content)
    assert folder.waiting() == [ID]
    assert folder.read(ID) is None
    folder.settle(ID, None)
    assert folder.waiting() == []


def test_links_pipes_and_folders_are_no_requests_and_nobody_waits_for_them(folder: RequestFolder) -> None:
    secret = folder.path.parent / "secret"
    secret.write_text("x")
    (folder.path / f"{ID}.json").symlink_to(secret)
    os.mkfifo(folder.path / f"{ID[:-1]}c.json")
    (folder.path / f"{ID[:-1]}d.json").mkdir()
    (folder.path / "notes.txt").write_text("mine")
    ids = folder.waiting()
    assert len(ids) == 3
    assert [folder.read(id_) for id_ in ids] == [None] * 3
    for id_ in ids:
        folder.settle(id_, None)
    assert secret.read_text() == "x"
    assert (folder.path / "notes.txt").exists()


def test_the_asker_is_the_files_owner_whatever_it_says(folder: RequestFolder) -> None:
    request = new_request("run", "stop")
    folder.put(request.model_copy(update={"by": "somebody-else@there"}))
    read = folder.read(request.id)
    assert read is not None
    assert read.by == f"{request.by.partition('@')[0]}@there"


def test_who_may_not_write_is_told_so_in_a_sentence() -> None:
    # pytest's own folders are closed to the user as whom this is tried where the tests run as root.
    with tempfile.TemporaryDirectory() as root:
        os.chmod(root, 0o755)
        folder = RequestFolder(Path(root) / "requests")
        folder.enter(this_driver("search"))
        os.chmod(folder.path, 0o555)
        with (
            _nobody(),
            pytest.raises(InputError, match=r"cannot be written there \(Permission denied\).*ask who runs it"),
        ):
            folder.put(new_request("run", "stop"))
        os.chmod(folder.path, 0o755)
        assert folder.waiting() == []


@contextmanager
def _nobody() -> Iterator[None]:
    """Within it, root is somebody who may not write everywhere."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(user)


def test_a_new_run_clears_answers_that_nobody_read_and_keeps_requests(folder: RequestFolder) -> None:
    kept, answered = new_request("old", "set", changes={"trials": 3}), new_request("old", "pause")
    folder.put(kept)
    folder.put(answered)
    folder.settle(answered.id, Answer(outcome="done", said="paused"))
    part = folder.path / ".cut.part"
    part.touch()
    os.utime(part, (0, 0))
    folder.enter(this_driver("search"))
    assert folder.waiting() == [kept.id]
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(["driver", f"{kept.id}.json"])
