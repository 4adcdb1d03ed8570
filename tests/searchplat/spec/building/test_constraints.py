"""`constraints:` in a space file: what is refused and where, what is sampled, what a resumed search compares."""

from __future__ import annotations

import json

import numpy as np
import pytest

from searchplat.spec import SpecError, diff, digest, from_document, load_text, to_document
from searchplat.spec.space import Constraint, Int, NoPointError, Space

TEXT = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3}
search:
  width: {type: int, low: 1, high: 32}
  heads: {type: int, low: 1, high: 8}
  kind: {type: categorical, choices: [plain, gated]}
  rate: {type: float, low: 0.001, high: 1, when: {kind: gated}}
constraints:
  - width % heads == 0
  - "not (kind == 'gated' and rate > 0.5)"
searcher: {name: random}
trials: 5
"""


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_text(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


def with_(constraint: str) -> str:
    return TEXT.replace("  - width % heads == 0\n", f"  - {constraint}\n")


def test_what_the_method_refuses_a_constraint_keeps_away() -> None:
    """`probe` refuses heads that do not divide the width: without the constraint the space is refused."""
    spec = load_text(TEXT)
    assert [one.text for one in spec.space.constraints] == [
        "width % heads == 0",
        "not (kind == 'gated' and rate > 0.5)",
    ]
    (problem,) = problems(TEXT.replace("  - width % heads == 0\n", ""))
    assert "heads must divide width" in problem
    rng = np.random.default_rng(0)
    for _ in range(50):
        point = spec.space.sample(rng, spec.fixed)
        assert point["width"] % point["heads"] == 0
        assert point.get("rate", 0.0) <= 0.5


@pytest.mark.parametrize(
    ("constraint", "column", "message"),
    [
        ("width % haeds == 0", 13, "haeds is neither searched nor a field of the method; did you mean heads?"),
        ('"width % haeds == 0"', 14, "haeds is neither searched nor a field of the method; did you mean heads?"),
        ('"\\x77idth % haeds == 0"', 5, "neither searched nor a field of the method; at 'haeds == 0': did you mean"),
        ("width ** 2 > 4", 5, "powers are not allowed, got width ** 2; use names, numbers"),
        ("width > heads.real", 13, "a name has no parts, got heads.real"),
        ("width > ", 12, "is not an expression: invalid syntax; write it like low < high"),
        ("width + heads", 5, "must be true or false; compare it with something"),
        ("3", 5, "must be text, got a whole number, 3; put it in quotes"),
        ("width > kind", 5, "cannot be worked out: a number is needed, and 'plain' is none, got {width: "),
        ("width and heads > 1", 5, "cannot be worked out: true or false is needed, and "),
        ("metrics == 'mrr' or metrics < 1", 5, "cannot be worked out: a number is needed, and ('mrr',) is none"),
        ("width > 40", 5, "must leave the search at least one point in 1,000, got 0 of 4,000 points drawn; "),
        ("epochs > 3", 5, "kept by 0 of them, where {epochs: 3}: loosen it"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(constraint: str, column: int, message: str) -> None:
    found = problems(with_(constraint).replace("choices: [plain, gated]", "choices: [gated, plain]"))
    assert any(text.startswith(f"space.yaml:11:{column} constraints") and message in text for text in found), found


def test_names_outside_the_axes_are_fixed_values_and_the_methods_defaults() -> None:
    assert load_text(with_("width % heads == 0 and epochs < 4 and weight == 0"))
    found = problems(with_("width % heads == 0 and weight > 0"))
    assert "must leave the search at least one point in 1,000" in found[0]


def test_a_constraint_holds_where_a_name_is_absent() -> None:
    spec = load_text(with_("width % heads == 0\n  - rate > 0.1 and width > 16"))
    rng = np.random.default_rng(0)
    points = [spec.space.sample(rng) for _ in range(100)]
    assert any("rate" not in point and point["width"] < 16 for point in points)
    assert all(point["width"] > 16 for point in points if "rate" in point)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.width.default=7", "search.width.default: breaks the constraint 'width % heads == 0', got {width: 7"),
        ("controls=[{name: odd, values: {kind: gated, rate: 0.7}}]", "controls.odd.values: breaks the constraint"),
        (
            "controls=[{name: odd, random: true, values: {kind: gated, rate: 0.7}}]",
            "controls.odd.values: whatever is drawn",
        ),
    ],
)
def test_defaults_and_controls_keep_them(override: str, message: str) -> None:
    found = problems(TEXT.replace("high: 8}", "high: 8, default: 2}"), override)
    assert any(message in line for line in found), found


def test_a_random_control_draws_what_goes_with_its_values() -> None:
    assert load_text(TEXT, overrides=["controls=[{name: some, random: true, values: {kind: gated, rate: 0.2}}]"])


def test_a_grid_without_a_point_is_refused() -> None:
    text = TEXT.replace("searcher: {name: random}", "searcher: {name: grid, points: 2}")
    assert load_text(text)
    (found,) = problems(
        text.replace("choices: [plain, gated]", "choices: [gated]").replace("rate > 0.5", "(rate < 0.3 or rate > 0.6)")
    )
    assert "no point of the grid keeps the constraints; give the grid more points" in found


def test_what_is_fixed_by_an_override_stays_in_the_constraint() -> None:
    spec = load_text(TEXT, overrides=["heads=4"])
    rng = np.random.default_rng(0)
    assert all(spec.space.sample(rng, {"heads": 4})["width"] % 4 == 0 for _ in range(20))


def test_documents_turn_back_and_changes_are_named() -> None:
    spec, without = load_text(TEXT), load_text(with_("width % heads == 0 "), overrides=["width=8", "heads=2"])
    document = json.loads(json.dumps(to_document(spec)))
    assert from_document(document) == spec
    other = load_text(with_("width % heads == 0 and width > 2"))
    assert digest(other) != digest(spec)
    (line,) = diff(to_document(spec), to_document(other))
    assert line.startswith("constraints: ['width % heads == 0', ")
    assert "constraints" in to_document(without)


def test_a_search_without_constraints_is_what_it_was() -> None:
    """Ledgers of before have no such key."""
    spec = load_text(TEXT, overrides=["constraints=null", "heads=1"])
    assert "constraints" not in to_document(spec)
    assert "points" not in to_document(spec)["stages"][0]


def test_no_point_is_an_error_of_its_own() -> None:
    space = Space((Int("a", 1, 3),), (Constraint("a > 3"),))
    with pytest.raises(NoPointError, match="none of 20,000 points drawn keeps the constraints"):
        space.sample(np.random.default_rng(0))
