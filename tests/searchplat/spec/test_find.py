from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.spec import find, find_space


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package folder with two spaces, and another place to stand in."""
    package = tmp_path / "package"
    (package / "_spaces").mkdir(parents=True)
    for name in ("darec", "sasrec"):
        (package / "_spaces" / f"{name}.yaml").write_text("method: x\n")
    monkeypatch.setattr(find, "_PACKAGE", package)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return package / "_spaces"


def test_a_bare_name_is_a_shipped_space(shipped: Path) -> None:
    assert find_space("darec") == shipped / "darec.yaml"


def test_an_existing_file_comes_first(shipped: Path) -> None:
    Path("darec").write_text("method: y\n")
    assert find_space("darec") == Path("darec")
    assert find_space(shipped / "sasrec.yaml") == shipped / "sasrec.yaml"


def test_a_folder_of_that_name_does_not_hide_a_shipped_space(shipped: Path) -> None:
    Path("darec").mkdir()
    assert find_space("darec") == shipped / "darec.yaml"
    Path("other").mkdir()
    with pytest.raises(InputError, match="other: is a folder"):
        find_space("other")


@pytest.mark.parametrize("argument", ["darek", "spaces/darek.yaml", "x" * 5000, "a\0b", "../sasrec"])
def test_what_is_not_there_is_refused_with_the_known_ones(shipped: Path, argument: str) -> None:
    with pytest.raises(InputError) as caught:
        find_space(argument)
    assert "darec, sasrec" in str(caught.value) or "is not a path" in str(caught.value)


def test_a_device_is_no_space_and_is_not_said_to_be_missing(shipped: Path) -> None:
    with pytest.raises(InputError, match=r"^/dev/null: is no regular file; give a space file"):
        find_space("/dev/null")


def test_the_repository_is_used_without_a_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spaces").mkdir()
    (tmp_path / "spaces" / "mine.yaml").write_text("method: x\n")
    monkeypatch.setattr(find, "_PACKAGE", tmp_path / "searchplat")
    assert find_space("mine") == tmp_path / "spaces" / "mine.yaml"


def test_a_file_elsewhere_is_refused_alike_whether_it_is_there_or_not(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_WITHIN", str(Path.cwd()))
    Path("mine.yaml").write_text("method: y\n")
    Path("../other.yaml").write_text("method: y\n")
    Path("link.yaml").symlink_to("../other.yaml")
    Path("sasrec").symlink_to("../other.yaml")
    assert find_space("mine.yaml") == Path("mine.yaml")
    assert find_space("darec") == find_space(shipped / "darec.yaml") == shipped / "darec.yaml"
    for name in ("../other.yaml", "../nothing.yaml", "link.yaml", "sasrec"):
        with pytest.raises(InputError, match="the space file: must be in the folder"):
            find_space(name)
