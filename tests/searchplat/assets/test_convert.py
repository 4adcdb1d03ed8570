"""Converters give the bytes that the catalogue pins."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.assets.convert import ML_100K_GENRES, convert, ml_100k_to_atomic
from searchplat.errors import AssetError


def _item(number: int, title: str, genres: tuple[str, ...]) -> str:
    flags = "|".join("1" if genre in genres else "0" for genre in ML_100K_GENRES)
    return f"{number}|{title}|01-Jan-1995||http://us.imdb.com/M/|{flags}"


def test_ml_100k_becomes_atomic_files_as_recbole_spells_them(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_bytes(b"196\t242\t3\t881250949\n")
    lines = [
        _item(1, "Toy Story (1995)", ("Animation", "Children's", "Comedy")),
        _item(267, "unknown", ("unknown",)),
        _item(543, "Misérables, Les (1995)", ("Drama", "Musical")),
        _item(1342, "Convent, The (Convento, O) (1995)", ("Drama",)),
        _item(1412, "Land Before Time III: The Time of the Great Giving (1995) (V)", ("Animation", "Children's")),
    ]
    (tmp_path / "u.item").write_bytes(("\n".join(lines) + "\n").encode("latin-1"))
    ml_100k_to_atomic(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ml-100k.inter", "ml-100k.item"]
    header, row = (tmp_path / "ml-100k.inter").read_text().splitlines()
    assert (header, row) == ("user_id:token\titem_id:token\trating:float\ttimestamp:float", "196\t242\t3\t881250949")
    # These five lines are copied from the file in RecBole's wheel.
    assert (tmp_path / "ml-100k.item").read_text(encoding="utf-8").splitlines()[1:] == [
        "1\tToy Story\t1995\tAnimation Children's Comedy",
        "267\tunkonwn\tunkonwn\tunknown",
        "543\tMisérables, Les\t1995\tDrama Musical",
        "1342\tConvent, The (Convento, O)\t1995\tDrama",
        "1412\tLand Before Time III: The Time of the Great Giving (1995)\tV\tAnimation Children's",
    ]


def test_a_failing_converter_says_why(tmp_path: Path) -> None:
    (tmp_path / "u.data").write_bytes(b"")
    (tmp_path / "u.item").write_bytes(b"1|too|few\n")
    with pytest.raises(AssetError, match=r"u\.item:1 must have 24 fields, got 3"):
        convert("ml-100k-to-atomic", tmp_path)
