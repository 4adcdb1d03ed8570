from __future__ import annotations

import json

import pytest

from searchplat.spec import SpecError, from_document, load_text, to_document
from searchplat.spec.prior import Prior
from searchplat.spec.space import Float, Int, Layout

HEAD = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
searcher: {name: random}
trials: 4
"""


def axis(text: str, fixed: str = "{}") -> object:
    return load_text(f"{HEAD}fixed: {fixed}\nsearch:\n{text}").space.domains[-1]


def refusal(text: str, fixed: str = "{}") -> str:
    with pytest.raises(SpecError) as caught:
        axis(text, fixed)
    return str(caught.value)


def test_a_single_value_is_an_axis() -> None:
    assert axis("  rate: {type: float, low: 0.5, high: 0.5}") == Float("rate", 0.5, 0.5)
    assert axis("  epochs: {type: int, low: 3, high: 3, log: true}") == Int("epochs", 3, 3, True)


@pytest.mark.parametrize(("low", "high", "step"), [("0", "1", "0.1"), ("0.1", "0.7", "0.2"), ("1e-3", "4e-3", "1e-3")])
def test_decimal_steps_reach_high_in_spite_of_rounding(low: str, high: str, step: str) -> None:
    found = axis(f"  weight: {{type: float, low: {low}, high: {high}, step: {step}}}")
    assert found == Float("weight", float(low), float(high), step=float(step))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("  rate: {type: float, low: 1, high: 0.5}", "low <= high must hold, got low=1, high=0.5; swap them"),
        ("  weight: {type: float, low: 0, high: 1, step: 0.3}", "use high=0.9, say"),
        ("  epochs: {type: int, low: 1, high: 4, step: 2}", "got low=1, high=4, step=2; use high=3, say"),
        ("  epochs: {type: int, low: 1, high: 4, step: 1, log: true}", "log and step exclude each other"),
        ("  epochs: {type: int, low: 1.5, high: 4}", "must be a whole number, got a number, 1.5"),
        ("  weight: {type: float, low: -1, high: 1, log: true}", "with log, low > 0 must hold, got low=-1"),
        ("  kind: {type: categorical, choices: [plain, [gated]]}", "must be a single value"),
        ("  kind: {type: categorical, choices: [plain], when: {}}", "must have at least 1 key"),
        ("  tied: {type: bool, when: {epochs: []}}", "must have at least 1 element"),
    ],
)
def test_refuses(text: str, part: str) -> None:
    assert part in refusal(text)


BELIEVED = [
    ("float, low: 1e-4, high: 1, log: true, prior: {center: 0.01}", Prior(0.01)),
    ("float, low: 0.5, high: 1, prior: {center: 1, spread: 0.5}", Prior(1, 0.5)),
    ("categorical, choices: [plain, gated], prior: {weights: [1, 1]}", Prior(weights=(1, 1))),
    ("bool, prior: {weights: [0.2, 1]}", Prior(weights=(0.2, 1))),
]


@pytest.mark.parametrize(("text", "prior"), BELIEVED)
def test_what_is_believed_is_kept_in_the_record(text: str, prior: Prior) -> None:
    name = {"f": "rate", "c": "kind", "b": "tied"}[text[0]]
    text = HEAD.replace("random", "tpe") + f"search:\n  {name}: {{type: {text}}}"
    spec = load_text(text)
    assert spec.space.domains[-1].prior == prior
    assert from_document(json.loads(json.dumps(to_document(spec)))) == spec


def test_without_a_belief_the_record_is_what_it_was_before_there_were_any() -> None:
    text = f"{HEAD}search:\n  rate: {{type: float, low: 0.5, high: 1}}"
    assert "prior" not in to_document(load_text(text))["search"][0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("rate: {type: float, low: 0, high: 1, prior: {center: 2}}", "rate.prior.center: must lie in [0, 1], got 2"),
        (
            "rate: {type: float, low: 0.1, high: 1, log: true, prior: {center: 0.5, spread: 0.5}}",
            "rate.prior.spread: with log, spread is a factor > 1",
        ),
        (
            "rate: {type: float, low: 0, high: 1, prior: {center: 1, spread: 0}}",
            "rate.prior.spread: must be a number > 0, got 0",
        ),
        ("rate: {type: float, low: 0, high: 1, prior: 0.3}", "rate.prior: must be a mapping"),
        ("rate: {type: float, low: 0, high: 1, prior: {weights: [1]}}", "is not a key of a prior of numbers"),
        (
            "kind: {type: categorical, choices: [plain, gated], prior: {weights: [1]}}",
            "kind.prior.weights: must have one weight for each of 'plain', 'gated', in this order, got [1.0]; write 2",
        ),
        ("tied: {type: bool, prior: {weights: [0, 1]}}", "weights[0]: must be a number > 0, got 0"),
    ],
)
def test_a_belief_that_cannot_be_is_refused(text: str, part: str) -> None:
    assert part in refusal(f"  {text}")


def test_a_searcher_that_would_not_look_at_a_belief_is_refused() -> None:
    text = "  rate: {type: float, low: 0, high: 1, prior: {center: 0.5}}"
    assert (
        "searcher.name: random does not look at what is believed of values, the prior of rate; "
        "use tpe or pr, or remove the prior" in refusal(text)
    )


def test_choices_are_told_apart_by_type() -> None:
    axis("  depth: {type: categorical, choices: [1, 2, null]}")
    assert "got true" in refusal("  depth: {type: categorical, choices: [1, true]}")


LAYOUT = "  layout: {type: layout, per_layer: [a, b, c], choices: [serial, parallel]"


def test_the_method_says_how_many_layers_a_layout_has() -> None:
    assert axis(f"{LAYOUT}}}") == Layout("layout", 3, ("a", "b", "c"), ("serial", "parallel"))
    assert axis(f"{LAYOUT}}}", "{depth: 5}") == Layout("layout", 5, ("a", "b", "c"), ("serial", "parallel"))
    assert axis(f"{LAYOUT}, layers: 5}}", "{depth: 5}") == Layout("layout", 5, ("a", "b", "c"), ("serial", "parallel"))


@pytest.mark.parametrize(
    ("rest", "fixed", "part"),
    [
        (", layers: 4}", "{depth: 5}", "the method's layout has 5 layers under these values, got 4"),
        (", at_most: {parallel: 2, serial: 6}}", "{}", "leave room for all 9 bits, got serial: 6, parallel: 2"),
        (", at_most: {both: 2}}", "{}", "at_most limits one of the layout's choices, got 'both'"),
        (", layers: 100000}", "{}", "a layout has at most 1000 bits"),
    ],
)
def test_layouts_are_refused(rest: str, fixed: str, part: str) -> None:
    assert part in refusal(f"{LAYOUT}{rest}", fixed)


def test_a_layout_needs_a_method_that_has_one() -> None:
    text = HEAD.replace("probe", "plain") + (
        "fixed: {size: 3}\nsearch:\n  scale: {type: layout, per_layer: [a], choices: [x, y]}\n"
    )
    with pytest.raises(SpecError, match="method plain has no layout under these values"):
        load_text(text)


def test_the_number_of_layers_must_not_change_within_the_search() -> None:
    text = f"  depth: {{type: int, low: 2, high: 4}}\n{LAYOUT}}}"
    assert "a layout's layers must be the same at every point; layout has 3, got" in refusal(text)


def test_a_default_holds_where_the_axis_is_not_searched() -> None:
    text = HEAD.replace("searcher: {name: random}\ntrials: 4\n", "") + (
        "search:\n"
        "  kind: {type: categorical, choices: [plain, gated], default: gated}\n"
        "  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}\n"
        "  rate: {type: float, low: 0.1, high: 1, default: 1}\n"
        "stages:\n"
        "  - {name: a, over: [gate], searcher: {name: random}, trials: 2}\n"
        "  - {name: b, over: [kind, rate], searcher: {name: random}, trials: 2, from: {stage: a}}\n"
    )
    spec = load_text(text)
    assert spec.fixed == {"kind": "gated", "rate": 1.0}
    assert load_text(text, overrides=["rate=0.5"]).fixed == {"kind": "gated", "rate": 0.5}
    with pytest.raises(SpecError, match=r"search.rate.default: must lie in \[0.1, 1.0\], got 2;"):
        load_text(text.replace("default: 1}", "default: 2}"))


def test_conditions_see_fixed_values_and_earlier_axes() -> None:
    axis("  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}", "{kind: gated}")
    axis(
        "  tied: {type: bool}\n  gate: {type: categorical, choices: [soft], when: {tied: true, epochs: 2}}",
        "{epochs: 2}",
    )
    refused = refusal("  gate: {type: categorical, choices: [soft], when: {kind: [gated]}}", "{kind: plain}")
    assert "the condition never holds: kind is fixed to 'plain', got ['gated']" in refused
    assert "must be true or false, got 'yes'" in refusal(
        "  tied: {type: bool}\n  gate: {type: categorical, choices: [soft], when: {tied: yes}}"
    )


def test_a_default_holds_where_the_axis_is_not_searched_and_must_lie_on_it() -> None:
    text = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search: {x: {type: float, low: 0.0, high: 1.0, default: VALUE}}
searcher: {name: random}
trials: 2
"""
    assert load_text(text.replace("VALUE", "0.25"), source="s.yaml").fixed["x"] == 0.25
    with pytest.raises(SpecError, match=r"s\.yaml:5:\d+ search\.x\.default: must lie in \[0\.0, 1\.0\]"):
        load_text(text.replace("VALUE", "2.0"), source="s.yaml")
