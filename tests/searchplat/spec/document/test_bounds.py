"""`outcomes:` in a space file: what is a bound, what is refused and where, what a resumed search compares."""

from __future__ import annotations

import doctest
import math

import pytest

from searchplat.errors import InputError
from searchplat.spec import SpecError, diff, digest, from_document, load_text, to_document
from searchplat.spec.document import bounds
from searchplat.spec.document.bounds import Bound, parse_bound
from searchplat.spec.own_loop import study_spec

TEXT = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search:
  rate: {type: float, low: 0.001, high: 1}
outcomes:
  - time/train_seconds <= 60
  - valid/recall@10 >= 0.05
searcher: {name: random}
trials: 5
scales:
  small: {outcomes: [time/train_seconds <= 1.5]}
"""
KEPT = (Bound("time/train_seconds", True, 60.0), Bound("valid/recall@10", False, 0.05))


def problems(text: str, *overrides: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_text(text, overrides=overrides)
    return [str(problem) for problem in caught.value.problems]


def test_examples_of_the_documentation() -> None:
    assert doctest.testmod(bounds).failed == 0


def test_bounds_are_read_and_a_scale_and_set_replace_them() -> None:
    assert load_text(TEXT).outcomes == KEPT
    assert load_text(TEXT, scale="small").outcomes == (Bound("time/train_seconds", True, 1.5),)
    assert load_text(TEXT, overrides=["outcomes=[memory/peak_bytes <= 1e9]"]).outcomes == (
        Bound("memory/peak_bytes", True, 1e9),
    )
    assert load_text(TEXT, overrides=["outcomes=null"]).outcomes == ()


@pytest.mark.parametrize("text", ["a <= 1", " a<=1 ", "a <= 1.", "a <= 1e0", "a <= +1", "a <= 1_0e-1"])
def test_one_bound_can_be_written_in_several_ways(text: str) -> None:
    assert parse_bound(text) == parse_bound(parse_bound(text).text) == Bound("a", True, 1.0)


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("test/mrr >= 0.1", "no search sees the test split"),
        ("Test_mrr >= 0.1", "no search sees the test split"),
        ("vaild/mrr >= 0.1", "did you mean valid/mrr?"),
        ("tiem/train_seconds <= 3", "did you mean time/train_seconds?"),
        (
            "rate <= 3",
            "a metric that trials report, not a parameter, got 'rate <= 3'; put it under constraints",
        ),
        ("valid/mrr < 3", "METRIC <= NUMBER or METRIC >= NUMBER, got 'valid/mrr < 3'; write <= for <"),
        ("valid/mrr == 3", "write <= or >="),
        ("3 >= valid/mrr", "write the metric first"),
        ("0.1 <= valid/mrr <= 0.2", "give each side of the range a line of its own"),
        ("valid/mrr * 2 <= 1", "one metric and no arithmetic"),
        ("valid/mrr <= inf", "write it like time/train_seconds <= 60"),
        ("valid/mrr <= 1e999", "a limit is a finite number"),
        ("valid/mrr <= 1.2.3", "a limit is a finite number"),
        ("valid/mrr <= valid/loss", "write it like"),
        ("valid/mrr", "write it like"),
        ("''", "write it like"),
        ("5", "must be text, got a whole number"),
        ("time/train_seconds <= 70", "a metric has one bound of each kind, and there is time/train_seconds <= 60"),
        ("time/train_seconds >= 70", "no value keeps both this and time/train_seconds <= 60"),
    ],
)
def test_what_is_no_bound_is_refused_with_its_place(bound: str, message: str) -> None:
    (problem,) = problems(TEXT.replace("valid/recall@10 >= 0.05", bound))
    assert "space.yaml:8:5 outcomes[1]: " in problem
    assert message in problem


def test_at_most_ten() -> None:
    many = "".join(f"  - valid/m{n} >= 1\n" for n in range(11))
    (problem,) = problems(TEXT.replace("  - time/train_seconds <= 60\n  - valid/recall@10 >= 0.05\n", many))
    assert "10" in problem


def test_a_bound_under_constraints_is_told_where_it_belongs() -> None:
    (*_, problem) = problems(TEXT + "constraints: [time/train_seconds <= 60]\n")
    assert "a bound on a metric that trials report stands under outcomes" in problem


def test_a_changed_bound_is_another_search_and_without_bounds_nothing_is() -> None:
    spec, other = load_text(TEXT), load_text(TEXT.replace("<= 60", "<= 61"))
    assert from_document(to_document(spec)) == spec
    assert digest(spec) != digest(other)
    assert diff(to_document(spec), to_document(other)) == [
        "outcomes: ['time/train_seconds <= 60', 'valid/recall@10 >= 0.05'] -> "
        "['time/train_seconds <= 61', 'valid/recall@10 >= 0.05']"
    ]
    assert "outcomes" not in to_document(load_text(TEXT, overrides=["outcomes=null"]))  # as before there were any


@pytest.mark.parametrize(
    ("bound", "value", "excess"),
    [
        (Bound("a", True, 60.0), 75.0, 0.25),
        (Bound("a", True, 60.0), 60.0, 0.0),
        (Bound("a", True, 60.0), 30.0, -0.5),
        (Bound("a", False, 0.1), 0.05, 0.5),
        (Bound("a", True, 0.0), 3.0, 3.0),
        (Bound("a", True, -2.0), -1.0, 0.5),
        (Bound("a", True, 60.0), math.nan, math.inf),
        (Bound("a", False, 60.0), math.nan, math.inf),
        (Bound("a", True, 60.0), math.inf, math.inf),
        (Bound("a", True, 1e-300), 1e300, math.inf),
    ],
)
def test_excess_is_in_shares_of_the_limit(bound: Bound, value: float, excess: float) -> None:
    assert bound.excess(value) == pytest.approx(excess)


def test_a_study_has_bounds_on_whatever_it_is_told() -> None:
    axes = {"x": {"type": "float", "low": 0, "high": 1}}
    spec = study_spec(axes, name="s", searcher="random", seed=0, outcomes=["tiem/size <= 8"])
    assert spec.outcomes == (Bound("tiem/size", True, 8.0),)
    whole = study_spec({"search": axes, "outcomes": ["size <= 8"]}, name="s", searcher="random", seed=0)
    assert whole.outcomes == (Bound("size", True, 8.0),)
    for wrong in ("size <= 8", ["size < 8"], ["size <= 8", "size >= 9"], [3], ["test/a <= 1"]):
        with pytest.raises(InputError, match="outcomes: "):
            study_spec(axes, name="s", searcher="random", seed=0, outcomes=wrong)  # type: ignore[arg-type]
