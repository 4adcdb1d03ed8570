"""Texts on disk read back as they were."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trials.data.preparing.texts import TextColumn


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=10), max_size=10))
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    stem = tmp_path_factory.mktemp("texts") / "column"
    TextColumn.write(texts, stem)
    column = TextColumn.open(stem)
    assert list(column) == texts
    assert column == texts
    assert column[1:3] == texts[1:3]
    assert len(column) == len(texts)
    assert list(pickle.loads(pickle.dumps(column))) == texts
    rows = np.arange(len(texts))[::-2].copy()
    assert list(column.select(rows)) == texts[::-2]
    if texts:
        assert column[-1] == texts[-1]
    with pytest.raises(IndexError, match="text index must lie in"):
        column[len(texts)]
