"""What makes a host unfit, as its steward says it. How stewards come to be there: `tests/cluster`."""

from __future__ import annotations

import doctest
from dataclasses import replace
from pathlib import Path

import pytest

from searchplat.engine import terms
from searchplat.engine.terms import Steward, Terms, facts_of


@pytest.fixture
def here(tmp_path: Path) -> Terms:
    """Terms that this machine meets."""
    probe = tmp_path / ".seen"
    probe.touch()
    return Terms("run", ("searchplat",), facts_of(("searchplat",)), "absent", probe, ())


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(terms).failed == 0


def test_a_host_like_the_drivers_is_fit(here: Terms) -> None:
    assert Steward(here).unfit() is None
    assert Steward(replace(here, probe=None)).unfit() is None


def test_other_code_and_other_libraries_are_said(here: Terms) -> None:
    facts = {**here.facts, "code": "0" * 16, "torch": "1.0"}
    said = Steward(replace(here, facts=facts)).unfit()
    assert said is not None
    assert said.startswith("host ")
    assert f"code is {here.facts['code']} there and {'0' * 16} here" in said
    assert "torch is" in said
    assert "and 1.0 here; install the same versions on every machine" in said


def test_a_folder_that_is_not_shared_is_said(here: Terms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "_SHARED_FOLDERS_SHOW_S", 0.0)
    said = Steward(replace(here, probe=tmp_path / "elsewhere" / ".seen")).unfit()
    assert said is not None
    assert f"{tmp_path / 'elsewhere'}, is not there" in said
    assert "SEARCHPLAT_RUNS" in said
