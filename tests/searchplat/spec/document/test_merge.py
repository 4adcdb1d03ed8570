from __future__ import annotations

from typing import Any

import pytest

from searchplat.spec.document.merge import merge
from searchplat.spec.document.strict_yaml import read_file


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("{a: {b: 1, c: 2}}", "{a: {c: 3, d: 4}}", {"a": {"b": 1, "c": 3, "d": 4}}),
        ("{resources: {cpu: 1, gpu: 1}}", "{resources: {gpu: null}}", {"resources": {"cpu": 1}}),
        ("{promotion: {top: 1}}", "{promotion: null}", {}),
        ("{fixed: {depth: 3}}", "{fixed: {depth: null}}", {"fixed": {"depth": None}}),
        ("{a: 1}", "{resources: {cpu: null}, fixed: {d: null}}", {"a": 1, "resources": {}, "fixed": {"d": None}}),
        ("{search: {a: {type: int}, b: {type: int}}}", "{search: {a: null}}", {"search": {"b": {"type": "int"}}}),
        (
            "{search: {a: {type: float, low: 0, high: 1}}}",
            "{search: {a: {type: float, high: 2}}}",
            {"search": {"a": {"type": "float", "low": 0, "high": 2}}},
        ),
        (
            "{search: {a: {type: float, low: 0, high: 1}}}",
            "{search: {a: {type: categorical, choices: [1]}}}",
            {"search": {"a": {"type": "categorical", "choices": [1]}}},
        ),
        ("{data: {name: x, k: 1}}", "{data: {name: y}}", {"data": {"name": "y"}}),
        ("{data: {name: x, k: 1}}", "{data: {k: null}}", {"data": {"name": "x", "k": None}}),
        ("{data: {name: x, k: 1}}", "{data: {file: a}}", {"data": {"file": "a"}}),
        ("{data: {file: a, user: u}}", "{data: {file: b}}", {"data": {"file": "b", "user": "u"}}),
        ("{data: {file: a, user: u}}", "{data: {name: x}}", {"data": {"name": "x"}}),
        ("{data: {file: a, user: u}}", "{data: {core: 5}}", {"data": {"file": "a", "user": "u", "core": 5}}),
        ("{searcher: {name: pr, steps: 3}}", "{searcher: {name: tpe}}", {"searcher": {"name": "tpe"}}),
        ("{fixed: {name: x, k: 1}}", "{fixed: {name: y}}", {"fixed": {"name": "y", "k": 1}}),
        (
            "{stages: [{name: a, trials: 1, over: [p, q]}, {name: b, trials: 2}]}",
            "{stages: [{name: b, trials: 3}, {name: a, over: [p]}, {name: c}]}",
            {"stages": [{"name": "a", "trials": 1, "over": ["p"]}, {"name": "b", "trials": 3}, {"name": "c"}]},
        ),
        ("{controls: [{name: a}, {name: b}]}", "{controls: [{name: a, drop: true}]}", {"controls": [{"name": "b"}]}),
        ("{objective: [{metric: a}]}", "{objective: {metric: b}}", {"objective": {"metric": "b"}}),
        ("{stages: 3}", "{stages: [{name: a}]}", {"stages": [{"name": "a"}]}),
        ("{a: 1}", "{a: {b: 2}}", {"a": {"b": 2}}),
    ],
)
def test_merge(base: str, over: str, merged: dict[str, Any]) -> None:
    first, second = read_file(base, "base"), read_file(over, "over")
    before = (first.plain(), second.plain())
    result = merge(first, second)
    assert result.plain() == merged
    assert list(result.plain()) == list(merged)
    assert (first.plain(), second.plain()) == before


def test_values_keep_the_place_they_come_from() -> None:
    result = merge(read_file("{a: {b: 1, c: 2}}", "base"), read_file("{a: {c: 3}}", "over"))
    assert result.at(["a", "b"]).place.source == "base"
    assert result.at(["a", "c"]).place.source == "over"
