"""Every file of `tests/corpus/bad_spaces` breaks a rule; its first line says where and which."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.methods import load_method
from searchplat.spec import SpecError, load

CORPUS = Path(__file__).resolve().parents[2] / "corpus" / "bad_spaces"
FILES = sorted(CORPUS.glob("*.yaml"))


def test_the_corpus_is_large_enough() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_bad_space(path: Path) -> None:
    try:
        load_method("darec")
    except InputError as error:  # the corpus is about the real method
        pytest.skip(str(error))
    first = path.read_bytes().split(b"\n", 1)[0].decode("utf-8-sig")
    match = re.fullmatch(r"# expect: (\d+):(\d+) (.+)", first)
    assert match, f"{path}: the first line must be '# expect: LINE:COLUMN part of the message'"
    with pytest.raises(SpecError) as caught:
        load(path)
    found = [(p.line, p.column, str(p)) for p in caught.value.problems]
    wanted = (int(match[1]), int(match[2]))
    assert any((line, column) == wanted and match[3] in text for line, column, text in found), str(caught.value)
    assert len(str(caught.value).splitlines()) == len(found)
