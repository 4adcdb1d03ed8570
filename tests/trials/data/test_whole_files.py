from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trials.data.whole_files import replace_bytes, write_atomically


def test_what_is_interrupted_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "table"
    write_atomically(path, lambda file: file.write(b"whole"))

    def broken(file: Any) -> None:
        file.write(b"ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, broken)
    assert [file.name for file in tmp_path.iterdir()] == ["table"]
    assert path.read_bytes() == b"whole"


def test_bytes_take_the_place_of_others_and_of_what_an_interrupted_writer_left(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"old")
    (tmp_path / ".weights.part").write_bytes(b"ne")
    replace_bytes(path, b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["weights"]
    assert path.read_bytes() == b"new"
