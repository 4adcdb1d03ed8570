"""Archives from elsewhere: names, sizes and kinds of members are checked."""

from __future__ import annotations

import contextlib
import stat
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat.assets.archive import extract, safe_relative
from searchplat.errors import AssetError


@given(st.text(alphabet="ab./\\:\0", max_size=12))
def test_a_safe_path_never_leaves_its_folder(text: str) -> None:
    folder = Path("/base/folder")
    try:
        path = safe_relative(text)
    except AssetError:
        return
    assert ((folder / path).resolve()).is_relative_to(folder)


def _archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_only_the_named_members_are_written(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", {"x/one.txt": b"1", "../../up.txt": b"2"})
    extract(archive, {"x/one.txt": "in/one.txt"}, tmp_path / "out", 100)
    assert [p.relative_to(tmp_path).as_posix() for p in (tmp_path / "out").rglob("*.txt")] == ["out/in/one.txt"]


@pytest.mark.parametrize("target", ["../up.txt", "/abs.txt", "a/../../b", "C:\\x"])
def test_a_target_outside_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    archive = _archive(tmp_path / "a.zip", {"one": b"1"})
    with pytest.raises(AssetError, match="stay inside its folder"):
        extract(archive, {"one": target}, tmp_path / "out", 100)


def test_a_bomb_is_stopped_at_the_cap(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", {"one": b"0" * 5_000_000})
    with pytest.raises(AssetError, match="more than the allowed 1000000 bytes"):
        extract(archive, {"one": "one"}, tmp_path / "out", 1_000_000)


def test_a_link_is_refused(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(AssetError, match="must be a plain file"):
        extract(tmp_path / "a.zip", {"link": "link"}, tmp_path / "out", 100)


def test_a_missing_member_and_a_broken_archive_are_named(tmp_path: Path) -> None:
    archive = _archive(tmp_path / "a.zip", {"one": b"1"})
    with pytest.raises(AssetError, match=r"a\.zip has no member 'two'"):
        extract(archive, {"two": "two"}, tmp_path / "out", 100)
    (tmp_path / "b.zip").write_bytes(b"PK no zip at all")
    with pytest.raises(AssetError, match=r"b\.zip cannot be read as a zip archive"):
        extract(tmp_path / "b.zip", {"two": "two"}, tmp_path / "out", 100)


@given(cut=st.integers(0, 200), noise=st.binary(max_size=8))
def test_damaged_archives_give_asset_errors_or_what_was_in_them(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("zip")
    content = b"some text to compress, some text"
    archive = _archive(folder / "a.zip", {"one": content})
    data = archive.read_bytes()
    at = cut % len(data)
    archive.write_bytes(data[:at] + noise + data[at + len(noise) :])
    with contextlib.suppress(AssetError):
        extract(archive, {"one": "one"}, folder / "out", 1000)
        assert (folder / "out" / "one").read_bytes() == content
