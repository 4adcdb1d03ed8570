from __future__ import annotations

import pytest

from searchplat.searchers import SEARCHERS
from searchplat.spec import SpecError, load_text

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
        ("{name: grid}", ONE, "epochs: {type: int, low: 1, high: 100001}", "a grid has at most 100,000 points"),
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
