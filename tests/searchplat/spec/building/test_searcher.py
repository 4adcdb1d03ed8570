from __future__ import annotations

import pytest

from searchplat.searchers import SEARCHERS
from searchplat.spec import SpecError, from_document, load_text, to_document

ONE = "{metric: valid/mrr, direction: maximize}"
TWO = f"[{ONE}, {{metric: valid/loss, direction: minimize}}]"


def text(searcher: str, objective: str = ONE, search: str = "rate: {type: float, low: 0.1, high: 1}") -> str:
    return (
        f"method: probe\ndata: {{name: toy}}\nobjective: {objective}\nsearch:\n  {search}\n"
        f"searcher: {searcher}\ntrials: 4\n"
    )


@pytest.mark.parametrize("name", sorted(SEARCHERS))
def test_every_searcher_of_the_table_is_known(name: str) -> None:
    assert load_text(text(f"{{name: {name}}}")).stages[0].searcher.name == name


@pytest.mark.parametrize("name", sorted(set(SEARCHERS) - {"cmaes"}))
def test_several_objectives(name: str) -> None:
    assert len(load_text(text(f"{{name: {name}}}", TWO)).objectives) == 2


@pytest.mark.parametrize(
    ("searcher", "objective", "search", "part"),
    [
        ("{name: cmaes}", TWO, "tied: {type: bool}", "cmaes has one objective, not 2"),
        (
            "{name: cmaes}",
            ONE,
            "depth: {type: categorical, choices: [1, 2, null]}",
            "cmaes needs axes with an order, which depth with 3 choices is not",
        ),
        (
            "{name: grid}",
            ONE,
            "epochs: {type: int, low: 1, high: 100001}",
            "a grid has at most 100,000 points, not 100,001",
        ),
        ("{name: grid, points: 200000}", ONE, "rate: {type: float, low: 0.1, high: 1}", "a grid has at most"),
        ("{name: tpe, startup: many}", ONE, "tied: {type: bool}", "searcher.startup: must be a whole number"),
        ("{name: tpe, start: 3}", ONE, "tied: {type: bool}", "is not an option of searcher tpe; did you mean startup?"),
        ("tpe", ONE, "tied: {type: bool}", "searcher: must be a mapping, got 'tpe'"),
    ],
)
def test_refuses(searcher: str, objective: str, search: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(text(searcher, objective, search))
    assert part in str(caught.value)


@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_several_objectives_have_early_stopping_too(scheduler: str) -> None:
    spec = load_text(text("{name: random}", TWO) + f"scheduler: {{name: {scheduler}}}\n")
    assert spec.stages[0].scheduler.name == scheduler


def test_behind_a_validation_metric_an_objective_may_be_what_it_costs() -> None:
    quality, cost = "{metric: valid/mrr, direction: maximize}", "{metric: parameters, direction: minimize}"
    spec = load_text(text("{name: random}", f"[{quality}, {cost}]"))
    assert [one.metric for one in spec.objectives] == ["valid/mrr", "parameters"]
    for objective in (f"[{cost}, {quality}]", cost):
        with pytest.raises(SpecError, match="the first objective says which epoch of a trial counts"):
            load_text(text("{name: random}", objective))
    with pytest.raises(SpecError, match=r"an objective is a validation metric, valid/..., or what that costs"):
        load_text(text("{name: random}", f"[{quality}, {{metric: test/mrr, direction: maximize}}]"))


@pytest.mark.parametrize(
    ("past", "part"),
    [
        ("[Other]", "searcher.past: must be a list of names of searches, or of mappings {search: NAME, stage: NAME}"),
        ("[{search: a, phase: b}]", "must be a list of names of searches"),
        ("[a, a]", "searcher.past: must name every search, or stage of a search, once, got"),
        ("{stage: layout}", "past is: other searches to learn from, [darec-quick, {search: other, stage: layout}]"),
    ],
)
def test_a_past_that_names_no_search_is_refused(past: str, part: str) -> None:
    assert part in _problems_of_past("pr", past)


def test_searchers_that_learn_from_no_other_search_have_no_past() -> None:
    assert "is not an option of searcher random" in _problems_of_past("random", "[a]")


@pytest.mark.parametrize("past", ["other", "[other]", "[{search: other, stage: layout}, third]"])
def test_a_past_is_kept_as_it_is_written(past: str) -> None:
    spec = load_text(text(f"{{name: pr, past: {past}}}"))
    assert from_document(to_document(spec)) == spec


def _problems_of_past(searcher: str, past: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(text(f"{{name: {searcher}, past: {past}}}"))
    return str(caught.value)
