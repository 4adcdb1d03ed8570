from __future__ import annotations

from searchplat import protocol
from searchplat.spec import load_text, to_document

SPACE = """
method: popularity
data: {name: NAME}
objective: {metric: valid/mrr, direction: maximize}
searcher: {name: random}
trials: 1
"""


def options(name: str, *overrides: str) -> object:
    return to_document(load_text(SPACE.replace("NAME", name), overrides=overrides))["data"]["options"]


def test_the_data_set_says_what_is_ranked_unless_the_space_does() -> None:
    assert options("ml-100k") == {"rank_met": False}
    assert options("scientific") == options("toy") == {"rank_met": True}
    assert options("ml-100k", "data.rank_met=true") == {"rank_met": True}


def test_a_ledger_from_before_is_shown_as_it_ranked() -> None:
    assert protocol.rank_met({}, {"exclude_history": True}) is False
    assert protocol.rank_met({}, {"exclude_history": False}) is True
    assert protocol.rank_met({}, {}) is None
    assert protocol.rank_met({"rank_met": False}, {"epochs": 1}) is False


def test_what_is_from_before_is_trained_as_it_was() -> None:
    assert protocol.renewed({"core": 5}, {"epochs": 1, "exclude_history": True}) == (
        {"core": 5, "rank_met": False},
        {"epochs": 1},
    )
    assert protocol.renewed({"rank_met": True}, {"epochs": 1}) == ({"rank_met": True}, {"epochs": 1})
