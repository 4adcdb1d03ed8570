"""What makes a host unfit, as its steward says it. How stewards come to be there: `tests/cluster`."""

from __future__ import annotations

import doctest
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from searchplat.engine.cluster import host_check
from searchplat.engine.cluster.host_check import HostRequirements, Steward, facts_of


@pytest.fixture
def here(tmp_path: Path) -> HostRequirements:
    """Terms that this machine meets."""
    probe = tmp_path / ".seen"
    probe.touch()
    return HostRequirements("run", ("searchplat",), facts_of(("searchplat",)), "absent", probe, ())


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(host_check).failed == 0


def test_a_host_like_the_drivers_is_fit(here: HostRequirements) -> None:
    assert Steward(here).unfit() is None
    assert Steward(replace(here, probe=None)).unfit() is None


def test_other_code_and_other_libraries_are_said(here: HostRequirements) -> None:
    facts = {**here.facts, "code": "0" * 16, "torch": "1.0"}
    said = Steward(replace(here, facts=facts)).unfit()
    assert said is not None
    assert said.startswith("host ")
    assert f"code is {here.facts['code']} there and {'0' * 16} here" in said
    assert "torch is" in said
    assert "and 1.0 here; install the same versions on every machine" in said


def test_a_folder_that_is_not_shared_is_said(
    here: HostRequirements, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_check, "_SHARED_FOLDERS_SHOW_S", 0.0)
    said = Steward(replace(here, probe=tmp_path / "elsewhere" / ".seen")).unfit()
    assert said is not None
    assert f"{tmp_path / 'elsewhere'}, is not there" in said
    assert "SEARCHPLAT_RUNS" in said


def test_a_host_is_in_use_while_a_process_that_has_asked_lives(here: HostRequirements) -> None:
    steward = Steward(here)
    assert steward.unfit() is None
    assert not steward.in_use
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    steward.unfit(None, process.pid)
    assert steward.in_use
    process.communicate()
    assert not steward.in_use
