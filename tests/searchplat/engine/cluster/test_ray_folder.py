"""Where Ray's files go: a folder that its sockets' paths fit into."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from searchplat.engine.cluster import ray_folder
from searchplat.engine.cluster.auth import check_cluster
from searchplat.errors import InputError


@pytest.fixture(autouse=True)
def _no_folder_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_TMPDIR", raising=False)


def test_where_ray_would_go_by_itself_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    with ray_folder.short_enough() as folder, folder.entered():
        assert os.environ["RAY_TMPDIR"] == "/tmp"
    assert "RAY_TMPDIR" not in os.environ
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.setenv(name, "/var/tmp")
        with ray_folder.short_enough() as folder, folder.entered():
            assert os.environ["RAY_TMPDIR"] == "/var/tmp"
            assert folder.workers == {}
    assert os.environ["RAY_TMPDIR"] == "/var/tmp"


@pytest.mark.parametrize("tail", ["x" * 60, "ü" * 30, "file"])
def test_a_temporary_folder_that_cannot_hold_sockets_is_not_used(
    tail: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_folder, "_MOST_BYTES", len(str(tmp_path)) + len(ray_folder._BELOW) + 50)
    monkeypatch.setenv("TMPDIR", str(tmp_path / tail))
    if tail == "file":
        (tmp_path / tail).touch()
    check_cluster(None)
    with ray_folder.short_enough() as folder:
        with folder.entered():
            ours = Path(os.environ["RAY_TMPDIR"])
            assert os.environ["TMPDIR"] == str(ours)  # for the sockets of the dashboard
        assert ours.parent == Path("/tmp")
        assert ours.stat().st_mode & 0o777 == 0o700
        assert os.environ["TMPDIR"] == folder.workers["TMPDIR"] == str(tmp_path / tail)
    assert not ours.exists()
    assert Path(tempfile.gettempdir()).exists()


def test_what_the_user_asks_for_and_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = str(tmp_path / ("x" * 60))
    monkeypatch.setenv("RAY_TMPDIR", long)
    rule = r"^RAY_TMPDIR: Ray's sockets need a folder whose path has at most 3\d bytes, got \d+ in .*; set RAY_TMPDIR"
    with pytest.raises(InputError, match=rule):
        check_cluster(None)
    monkeypatch.delenv("RAY_TMPDIR")
    monkeypatch.setenv("TMPDIR", long)
    monkeypatch.setattr(ray_folder, "_SHORT", ("/nowhere",))
    with pytest.raises(InputError, match=r"^TMPDIR: "):
        check_cluster(None)
