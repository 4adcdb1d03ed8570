"""`points:` of a stage: what is refused and where, and what a point stands for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from searchplat.spec import SpecError, diff, from_document, load_text, to_document
from searchplat.spec.building.points import complete
from searchplat.spec.space import Constraint, Float, Int, NoPointError, Space

TEXT = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3}
search:
  layout: {type: layout, per_layer: [a], choices: [serial, parallel]}
  kind: {type: categorical, choices: [plain, gated]}
  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}
  rate: {type: float, low: 0.1, high: 0.7, step: 0.2}
  weight: {type: float, low: 0, high: 4, default: 2}
constraints: [rate < weight]
stages:
  - {name: first, over: [layout], searcher: {name: random}, trials: 4, points: [{layout: "0-1-0"}]}
  - name: second
    over: [kind, gate, rate, weight]
    searcher: {name: tpe}
    trials: 4
    points:
      - {kind: gated, rate: 0.3}
      - {weight: 3}
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_text(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


def test_points_have_numbers_as_their_axes_do() -> None:
    first, second = load_text(TEXT).stages
    assert first.points == ({"layout": "0-1-0"},)
    assert second.points == ({"kind": "gated", "rate": 0.1 + 0.2}, {"weight": 3.0})
    assert type(second.points[1]["weight"]) is float


@pytest.mark.parametrize(
    ("point", "place", "message"),
    [
        ("{rate: 0.9}", "19:16 stages.second.points[0].rate", "must lie in [0.1, 0.7], got 0.9"),
        ("{rate: 0.4}", "19:16 stages.second.points[0].rate", "must be 0.1 plus a multiple of 0.2, got 0.4"),
        ("{raet: 0.4}", "19:10 stages.second.points[0].raet", "is not a parameter that stage second searches; did you"),
        ('{layout: "0-0-0"}', "19:10 stages.second.points[0].layout", "is not a parameter that stage second searches"),
        ("{kind: soft}", "19:16 stages.second.points[0].kind", "must be one of plain, gated, got 'soft'"),
        (
            "{gate: soft}",
            "19:10 stages.second.points[0].gate",
            "is there only while kind is 'gated', and the point",
        ),
        ("{kind: plain, gate: soft}", "19:23 stages.second.points[0].gate", "while kind is 'gated', got kind: 'plain'"),
        (
            "{rate: 0.5, weight: 0.2}",
            "19:9 stages.second.points[0]",
            "breaks the constraint 'rate < weight', got {ra",
        ),
        ("{weight: 0.05}", "19:9 stages.second.points[0]", "breaks the constraint 'rate < weight'"),
        ("3", "19:9 stages.second.points[0]", "must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(point: str, place: str, message: str) -> None:
    found = problems(TEXT.replace("{kind: gated, rate: 0.3}", point))
    assert any(text.startswith(f"space.yaml:{place}: ") and message in text for text in found), found


def test_more_points_than_trials_are_refused() -> None:
    found = problems(TEXT, "stages.second.trials=1")
    assert any("as many trials as points, got 2 points and trials: 1" in line for line in found)


def test_points_stand_in_a_stage_where_there_are_stages() -> None:
    found = problems(TEXT + "points: [{rate: 0.3}]\n")
    assert any("points: stages have their own" in line for line in found)


def test_a_point_that_the_method_refuses_is_one() -> None:
    """`probe` refuses heads that do not divide the width, which the few points sampled of the space need not show."""
    text = TEXT.replace(
        "kind: {type: categorical, choices: [plain, gated]}", "width: {type: int, low: 2, high: 2000, step: 2}"
    )
    text = text.replace("  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}\n", "")
    text = text.replace("over: [kind, gate, rate, weight]", "over: [width, rate, weight]")
    text = text.replace("constraints: [rate < weight]", "constraints: [width % 4 == 0 or width == 6]")
    (found,) = problems(text.replace("{kind: gated, rate: 0.3}", "{width: 6}"), "fixed.heads=4")
    assert "stages.second.points[0]: makes no valid config: heads must divide width" in found


def test_what_is_fixed_leaves_the_points() -> None:
    _, second = load_text(TEXT, overrides=["kind=gated", "weight=1"]).stages
    assert second.points == ({"rate": 0.1 + 0.2},)
    (second,) = load_text(TEXT, overrides=["layout=0-0-0"]).stages
    assert len(second.points) == 2
    _, second = load_text(TEXT, overrides=["rate=0.3"]).stages
    assert second.points == ({"kind": "gated"}, {"weight": 3.0})


def test_documents_turn_back_and_changes_are_named() -> None:
    spec = load_text(TEXT)
    assert from_document(json.loads(json.dumps(to_document(spec)))) == spec
    other = load_text(TEXT, overrides=["stages.second.points=[{weight: 3}]"])
    (line,) = diff(to_document(spec), to_document(other))
    assert line.startswith("stages.second.points: [{kind: 'gated', rate: ")
    without = load_text(TEXT, overrides=["stages.second.points=null"])
    (line,) = diff(to_document(spec), to_document(without))
    assert line.endswith("-> (none)")


SPACE = Space((Int("a", 1, 50), Int("b", 1, 50), Float("x", 0.0, 1.0)), (Constraint("a + b == 60"),))


def test_what_a_point_leaves_out_is_its_default_or_drawn_so_that_the_constraints_hold() -> None:
    point = complete(SPACE, {"a": 20}, {"x": 0.25}, np.random.default_rng(0), {})
    assert point == {"a": 20, "b": 40, "x": 0.25}
    assert complete(SPACE, {}, {"x": 0.25}, np.random.default_rng(0), {})["x"] == 0.25


def test_a_point_that_nothing_goes_with_is_an_error() -> None:
    with pytest.raises(NoPointError, match="breaks the constraint 'a \\+ b == 60'"):
        complete(SPACE, {"a": 5}, {}, np.random.default_rng(0), {})
