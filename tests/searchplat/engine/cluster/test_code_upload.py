"""What travels to a cluster: our code, the methods' packages, and entry points by which they are found there."""

from __future__ import annotations

import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

from searchplat.engine.cluster import code_upload
from searchplat.methods import imports


def test_a_method_travels_with_what_brought_it_and_with_the_data_sets_package() -> None:
    assert code_upload.modules_of(["rehearsal"], "toy") == ("rehearsal", "searchplat", "trials")
    assert code_upload.modules_of(["popularity"], "toy") == ("searchplat", "trials")


def test_a_method_that_is_named_by_its_code_travels_too() -> None:
    with imports():
        assert {"loose_method", "rehearsal"} <= set(code_upload.modules_of(["loose_method:Loose"], "toy")), (
            "and what it is built on"
        )


def test_entry_points_are_found_on_the_other_side() -> None:
    with code_upload.packed(("rehearsal", "searchplat", "trials"), ["rehearsal", "toy"]) as paths:
        places = [Path(path) for path in paths]
        assert {place.name for place in places[:3]} == {"rehearsal.py", "searchplat", "trials"}
        assert all(place.exists() for place in places)
        info = places[3].parent
        found = {dist.name: {entry.name for entry in dist.entry_points} for dist in distributions(path=[str(info)])}
    assert found["rehearsal"] == {"rehearsal"}
    assert {"darec", "ml-100k"} <= found["searchplat"]
    assert not info.exists(), "only as long as they are sent"


def test_the_digest_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package = tmp_path / "shipped_example"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "part.py").write_text("x = 1\n")
    before = code_upload.digest(["shipped_example"])
    (package / "data.txt").write_text("not code")
    assert code_upload.digest(["shipped_example"]) == before
    (package / "part.py").write_text("x = 2\n")
    assert code_upload.digest(["shipped_example"]) != before
    assert "shipped_example" not in sys.modules, "nothing is run for it"
    with pytest.raises(ImportError, match="no_such_module"):
        code_upload.digest(["no_such_module"])
