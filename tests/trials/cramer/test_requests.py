from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from by_hand import search_data as made_of

from searchplat.errors import InputError
from trials.cramer.requests import SAME, HistoryTexts, asked, examples, no_examples, origin
from trials.data.preparing.dataset import Queries, SearchData

TEXTS = HistoryTexts([f"film {item}" for item in range(10)], count=3)
HISTORIES = [[1, 2, 3, 4, 5], [6], [7, 8]]


def search_data(requests: list[str] | None = None) -> SearchData:
    asked = {"requests": requests, "valid_requests_U": ["a", "b", "c"]} if requests else {}
    return made_of(HISTORIES, 10, 9, **asked)


def told(
    found_data: SearchData, source: str, per_user: int | None = None, longest: int = 50, holdout: int = 0
) -> list[tuple]:
    found = examples(found_data, TEXTS, source, per_user, holdout)  # type: ignore[arg-type]
    queries, targets_B = found.rows(np.arange(len(found)), longest)
    return [
        (queries.history(b).tolist(), int(targets_B[b]), queries.requests[b])  # type: ignore[index]
        for b in range(len(queries))
    ]


def test_every_interaction_but_the_first_is_predicted_from_what_came_before() -> None:
    assert told(search_data(), "history") == [
        ([1], 2, "film 1"),
        ([1, 2], 3, "film 1 film 2"),
        ([1, 2, 3], 4, "film 1 film 2 film 3"),
        ([1, 2, 3, 4], 5, "film 2 film 3 film 4"),
        ([7], 8, "film 7"),
    ]


def test_a_users_latest_examples_and_a_historys_latest_items() -> None:
    assert told(search_data(), "history", per_user=2, longest=2) == [
        ([2, 3], 4, "film 1 film 2 film 3"),
        ([3, 4], 5, "film 2 film 3 film 4"),
        ([7], 8, "film 7"),
    ]


def test_masks_may_learn_from_what_the_backbone_was_not_trained_on_alone() -> None:
    data = search_data()
    assert told(data, "history", holdout=2) == told(data, "history", per_user=2)
    shown = data.without_latest(2)
    assert [shown.history(user).tolist() for user in range(3)] == [[1, 2, 3], [6], [7]]
    assert (shown.valid_target_U == data.valid_target_U).all()
    assert shown.fingerprint != data.fingerprint


def test_where_everybody_asks_the_same_nothing_of_a_user_is_in_it() -> None:
    assert {request for _, _, request in told(search_data(["x"] * 8), "same")} == {SAME}
    queries = Queries(np.full(2, -1), np.array([1, 2, 3]), np.array([0, 2, 3]), ["something sweet", " "])
    assert asked(queries, TEXTS, source="same") == [SAME] * 2


def test_the_data_sets_own_requests_belong_to_the_interaction_that_they_led_to() -> None:
    requests = [f"ask {place}" for place in range(8)]
    requests[3] = "  "
    found = told(search_data(requests), "data")
    assert [request for _, _, request in found] == ["ask 1", "ask 2", "film 1 film 2 film 3", "ask 4", "ask 7"]


def test_requests_come_from_the_data_where_it_has_any() -> None:
    plain, with_own = search_data(), search_data(["x"] * 8)
    assert (origin("auto", plain), origin("auto", with_own)) == ("history", "data")
    assert (origin("history", with_own), origin("none", with_own)) == ("history", "none")
    with pytest.raises(InputError, match="data set 'by-hand' has no requests of its own, got request=data"):
        origin("data", plain)


def test_a_blank_request_is_made_of_the_history() -> None:
    queries = Queries(np.full(2, -1), np.array([1, 2, 3, 4, 5]), np.array([0, 4, 5]), ["something sweet", " "])
    assert asked(queries, TEXTS, source="data") == ["something sweet", "film 5"]
    assert asked(queries, TEXTS, source="history") == ["film 2 film 3 film 4", "film 5"]
    assert asked(replace(queries, requests=None), TEXTS, source="data") == ["film 2 film 3 film 4", "film 5"]


def test_no_examples_are_none() -> None:
    assert len(no_examples()) == 0
