"""Reading searches while their drivers write: nothing is written, nobody waits, and nothing is read twice in vain."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ui.searches import Searches

Search = tuple[SearchFolder, Ledger]


@pytest.fixture
def searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Searches:
    """Read as often as anything changes."""
    monkeypatch.setattr("searchplat.ui.searches._COST_SHARE", 0.0)
    monkeypatch.setattr("searchplat.ui.searches._COARSE_S", -1.0)
    return Searches(tmp_path / "runs")


def test_a_driver_in_the_midst_of_writing_neither_waits_nor_is_waited_for(
    searches: Searches, half_done: Search
) -> None:
    folder, ledger = half_done
    paths = [folder.ledger_path, Path(f"{folder.ledger_path}-wal")]
    with ledger.transaction():
        ledger.note("extended", {})
        before = [path.read_bytes() for path in paths]
        seen: list[int] = []
        reader = threading.Thread(target=lambda: seen.append(searches.look("first")[1].facts.snapshot.ended))
        reader.start()
        reader.join(30)
        assert seen == [14]
        assert [path.read_bytes() for path in paths] == before
        assert not searches.look("first")[1].standing.running
    assert searches.look("first")[1].log[0].kind == "extended"


def test_what_has_not_changed_is_not_read_again(searches: Searches, half_done: Search) -> None:
    folder, ledger = half_done
    first, look = searches.look("first")
    assert searches.look("first") == (first, look)
    ledger.note("extended", {})
    second, _ = searches.look("first")
    assert second != first
    searches.forget("first")
    assert searches.look("first")[0] not in (first, second)
    assert searches.standing("first")[1].snapshot.ended == 14
    with folder.held():
        searches.forget("first")
        assert searches.look("first")[1].standing.running


def test_reading_is_paced_by_what_it_costs(tmp_path: Path, half_done: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("searchplat.ui.searches._COST_SHARE", 1e6)
    searches = Searches(tmp_path / "runs")
    first, _ = searches.look("first")
    half_done[1].note("extended", {})
    assert searches.look("first")[0] == first, "so soon it is as it was"


def test_a_search_that_went_or_is_none(searches: Searches, half_done: Search) -> None:
    assert searches.names() == ["first"]
    searches.look("first")
    half_done[0].ledger_path.rename(half_done[0].path / "away")
    with pytest.raises(InputError, match="'first' does not exist"):
        searches.look("first")
    with pytest.raises(InputError, match="must match"):
        searches.look("../first")
