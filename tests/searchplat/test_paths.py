"""What a path means that a person wrote."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.paths import WITHIN, from_environment, keep_within, resolve, sqlite_uri, writable_folder


def test_a_home_folder_is_written_out_and_a_folder_of_its_name_can_be_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    assert resolve("~", "--runs") == Path("/home/ann")
    assert resolve("~/runs/", "--runs") == Path("/home/ann/runs")
    assert resolve("./~/runs", "--runs") == tmp_path / "~/runs"
    with pytest.raises(InputError, match=r"^--runs: '~nobody-of-this-name' must be somebody's home folder"):
        resolve("~nobody-of-this-name/x", "--runs")


def test_dots_are_taken_out_only_where_that_is_the_same_place(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "a" / "b")
    assert resolve("c/../a", "--runs") == tmp_path / "a"
    assert resolve("c/../a/new/x.db", "--runs") == tmp_path / "a/new/x.db"
    assert resolve("link/..", "--runs") == tmp_path / "link" / ".."  # which is a, not where the link is


@pytest.mark.parametrize("text", ["", " ", "s3://bucket/x", "file:///tmp/x"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--out: must "):
        resolve(text, "--out")


def test_a_working_folder_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert resolve("/tmp", "--runs") == Path("/tmp")
    with pytest.raises(InputError, match=r"'runs' begins at the working folder, which is gone"):
        resolve("runs", "--runs")
    os.chdir(tmp_path)


def test_a_variable_that_is_empty_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_RUNS", "")
    assert from_environment("SEARCHPLAT_RUNS") is None
    monkeypatch.setenv("SEARCHPLAT_RUNS", "mine")
    assert from_environment("SEARCHPLAT_RUNS") == tmp_path / "mine"


@pytest.mark.parametrize("name", ["plain", "a b#c", "ü", "what?", "100%", "%41?x=y"])
def test_sqlalchemy_opens_the_file_that_an_address_was_made_of(tmp_path: Path, name: str) -> None:
    from sqlalchemy import create_engine

    folder = tmp_path / name
    folder.mkdir()
    engine = create_engine(sqlite_uri(folder / "x.db"))
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (x)")
    engine.dispose()
    assert [path.name for path in folder.iterdir()] == ["x.db"]
    sqlite3.connect(folder / "x.db").execute("SELECT x FROM t").close()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^--runs: .*file/runs cannot be made \(Not a directory\)"):
        writable_folder(tmp_path / "file" / "runs", "--runs")
    with pytest.raises(InputError, match=r"cannot be made \(File exists\)"):
        writable_folder(tmp_path / "file", "--runs")


def test_paths_are_kept_within_a_folder_where_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "inner").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    (folder / "round").symlink_to(folder / "round")
    assert keep_within(Path("/etc"), "data") == Path("/etc")
    monkeypatch.setenv(WITHIN, str(folder))
    for path in (folder, folder / "a" / "b", folder / "inner" / "x"):
        assert keep_within(path, "data") == path
    for path in (tmp_path, folder / "out" / "x", folder / ".." / "x", folder / "round", tmp_path / "project-2"):
        with pytest.raises(InputError, match=r"^data: must be in the folder .*project, and .* is not"):
            keep_within(path, "data")
