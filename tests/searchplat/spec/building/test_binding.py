from __future__ import annotations

import pytest
from pydantic import BaseModel, field_validator

from searchplat.errors import AssetError, InputError
from searchplat.spec import SpecError, load_text

HEAD = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
"""
RATE = "search:\n  rate: {type: float, low: 0.1, high: 1}\nsearcher: {name: random}\ntrials: 2\n"


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("entry", "part"),
    [
        ("epochs: 0", "space.yaml:5:11 fixed.epochs: must be >= 1, got 0; epochs is: passes over the data, >= 1."),
        ("epochs: 2.0", "fixed.epochs: must be a whole number, got 2.0"),
        ("epochs: '2'", "fixed.epochs: must be a whole number, got '2'; remove the quotes."),
        ("epochs: true", "fixed.epochs: must be a whole number, got true"),
        ("tied: 1", "fixed.tied: must be true or false, got 1"),
        ("layout: 010", "fixed.layout: must be text, got 10; put it in quotes."),
        ("kind: gatet", "fixed.kind: must be 'plain' or 'gated', got 'gatet'"),
        ("metrics: [mrr, 3]", "space.yaml:5:18 fixed.metrics: must be text, got 3"),
        ("epoch: 3", "space.yaml:5:3 fixed.epoch: is not a field of method probe; did you mean epochs?"),
        ("heads: 3", "space.yaml:5:3 fixed: heads must divide width, got heads=3, width=8; change one."),
    ],
)
def test_fixed_values_are_held_against_the_config(entry: str, part: str) -> None:
    assert part in refusal(f"{HEAD}fixed:\n  {entry}\n{RATE}")


@pytest.mark.parametrize(
    ("axis", "part"),
    [
        ("rate: {type: float, low: 0, high: 1}", "space.yaml:5:28 search.rate.low: must be > 0, got 0;"),
        ("rate: {type: float, low: 0.1, high: 2}", "search.rate.high: must be <= 1, got 2;"),
        (
            "epochs: {type: float, low: 1, high: 2}",
            "search.epochs.type: must be a whole number, got 'float'; use type: int",
        ),
        ("kind: {type: categorical, choices: [plain, odd]}", "space.yaml:5:46 search.kind.choices: must be 'plain' or"),
        ("kind: {type: bool}", "search.kind: must be 'plain' or 'gated', got true"),
        ("heads: {type: int, low: 1, high: 8}", "every point must make a valid config, but heads must divide width"),
        ("rates: {type: float, low: 0, high: 1}", "search.rates: is not a field of method probe; did you mean rate?"),
    ],
)
def test_axes_are_held_against_the_config(axis: str, part: str) -> None:
    assert part in refusal(f"{HEAD}search:\n  {axis}\nsearcher: {{name: random}}\ntrials: 2\n")


def test_a_field_that_must_be_given_may_be_fixed_or_searched() -> None:
    head = HEAD.replace("probe", "plain")
    axis = "search:\n  size: {type: int, low: 1, high: 3}\nsearcher: {name: random}\ntrials: 2\n"
    assert load_text(head + "fixed: {size: 3}\n").fixed == {"size": 3}
    assert load_text(head + axis).space.names == ("size",)
    assert "method plain needs a value for size; add it under fixed or search" in refusal(head)


def test_promotion_needs_a_method_with_epochs() -> None:
    head = HEAD.replace("probe", "plain") + "fixed: {size: 3}\npromotion: {epochs: 3}\n"
    assert "promotion.epochs: method plain has no field epochs; remove epochs here" in refusal(head)


def test_weights_may_be_missing_at_a_scale_that_nobody_asked_for(probe: type, monkeypatch: pytest.MonkeyPatch) -> None:
    def layout_layers(self: object, config: object) -> int:
        if getattr(config, "epochs", 0) > 9:
            raise AssetError("the backbone is not here; fetch it.")
        return 2

    monkeypatch.setattr(probe, "layout_layers", layout_layers)
    layout = "search:\n  layout: {type: layout, per_layer: [a], choices: [x, y]}\nsearcher: {name: random}\ntrials: 2\n"
    text = f"{HEAD}{layout}scales: {{quick: {{}}, paper: {{fixed: {{epochs: 40}}}}}}\n"
    assert load_text(text).scale == "quick"
    with pytest.raises(SpecError, match=r"search\.layout: the backbone is not here; fetch it"):
        load_text(text, scale="paper")
    told = text.replace("choices: [x, y]", "choices: [x, y], layers: 2")
    assert load_text(told, scale="paper").layout is not None


def test_a_validator_may_raise_our_own_errors(probe: type, monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(BaseModel):
        rate: float = 1.0

        @field_validator("rate")
        @classmethod
        def _small(cls, value: float) -> float:
            if value > 0.5:
                raise InputError("rate: must be small; lower it")
            return value

    monkeypatch.setattr(probe, "Config", Picky)
    assert "fixed: rate: must be small; lower it" in refusal(HEAD + "fixed: {rate: 0.7}\n")


SASREC = """\
method: sasrec
data: {name: toy}
objective: {metric: METRIC, direction: maximize}
fixed: {FIXED}
search: {learning_rate: {type: float, low: 0.001, high: 0.1}}
searcher: {name: random}
trials: 2
"""


def sasrec(metric: str, fixed: str = "epochs: 1", more: str = "") -> str:
    return SASREC.replace("METRIC", metric).replace("FIXED", fixed) + more


@pytest.mark.parametrize(
    ("metric", "fixed", "near"),
    [
        ("valid/mrrr", "epochs: 1", "did you mean valid/mrr? Reported are: valid/mrr, valid/ndcg@10, valid/recall@10"),
        ("valid/recall@1000000", "epochs: 1", "did you mean valid/recall@10?"),
        ("valid/sampled/mrr", "epochs: 1", "Reported are: valid/mrr, "),
        ("valid/mrr", "metrics: [ndcg@10]", "reported are: valid/ndcg@10; metrics, under fixed, may name others"),
    ],
)
def test_an_objective_that_a_method_is_known_not_to_report_is_refused(metric: str, fixed: str, near: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(sasrec(metric, fixed))
    assert f"objective: method sasrec does not report the objective, got '{metric}'; " in str(caught.value)
    assert near in str(caught.value)


@pytest.mark.parametrize(
    ("metric", "fixed"),
    [
        ("valid/recall@20", "metrics: [recall@20, cold/mrr]"),
        ("valid/cold/mrr", "metrics: [recall@20, cold/mrr]"),
        ("valid/sampled/mrr", "sampled_negatives: 5"),
    ],
)
def test_an_objective_that_is_measured_is_taken(metric: str, fixed: str) -> None:
    assert load_text(sasrec(metric, fixed)).objectives[0].metric == metric


def test_a_control_reports_the_objective_too() -> None:
    fixed, control = "metrics: [recall@20]", "controls: [{name: counted, method: popularityVALUES}]\n"
    with pytest.raises(SpecError) as caught:
        load_text(sasrec("valid/recall@20", fixed, control.replace("VALUES", "")))
    said = "controls.counted: method popularity does not report the objective, got 'valid/recall@20'; did you mean "
    assert said in str(caught.value)
    assert "metrics, under its values, may name others" in str(caught.value)
    load_text(sasrec("valid/recall@20", fixed, control.replace("VALUES", ", values: {metrics: [recall@20]}")))


def test_a_wrong_objective_is_one_mistake_however_many_controls_there_are() -> None:
    controls = "controls: [{name: counted, method: popularity}, {name: default}]\n"
    with pytest.raises(SpecError) as caught:
        load_text(sasrec("valid/mrrr", more=controls))
    (problem,) = caught.value.problems
    assert problem.key == "objective"
