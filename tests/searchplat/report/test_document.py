"""What a report says, for programs."""

from __future__ import annotations

import json
import math

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.report.document import document
from searchplat.report.facts import gather
from searchplat.views.output import plain

Search = tuple[SearchFolder, Ledger]


def test_it_says_what_the_page_says(half_done: Search) -> None:
    folder, ledger = half_done
    found = document(gather("first", folder.path, ledger))
    assert found["header"]["method"] == "rehearsal"
    assert [stage["stage"] for stage in found["stages"]] == ["controls", "layout", "weights"]
    leaders = [(one["place"], one["control"]) for one in found["leaderboard"]]
    assert leaders[0] == (1, None)
    assert {control for place, control in leaders if place is None} == {"default", "all-serial"}
    (failure,) = found["failures"]
    assert (failure["state"], len(failure["trials"])) == ("diverged", 1)
    assert found["importance"] == {"weights": {}}  # too few trials to tell
    layout = found["layout"]
    assert (len(layout["effects"]), layout["roles"]) == (12, ["causal", "context", "recommend"])
    assert any(math.isfinite(effect) for row in layout["effects"] for effect in row)
    json.dumps(plain(found), allow_nan=False)


def test_an_empty_search_has_an_empty_one(empty: Search) -> None:
    folder, ledger = empty
    found = document(gather("first", folder.path, ledger))
    assert (found["leaderboard"], found["failures"], found["importance"], found["layout"]) == ([], [], {}, None)
