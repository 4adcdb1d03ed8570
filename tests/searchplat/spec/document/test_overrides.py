from __future__ import annotations

from typing import Any

import pytest

from searchplat.spec import SearchSpec, SpecError, load_text
from searchplat.spec.model import StageFrom
from searchplat.spec.space import Categorical, Float

BASE = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 5}
search:
  rate: {type: float, low: 0.1, high: 1}
  kind: {type: categorical, choices: [plain, gated]}
  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}
  weight: {type: float, low: 0, high: 1}
stages:
  - {name: first, over: [rate], searcher: {name: pr, steps: 3}, trials: 4, fixed: {epochs: 1}}
  - {name: second.a, over: [kind, gate], searcher: {name: random}, trials: 4, from: {stage: first, top: 2}}
  - {name: third, over: [weight], searcher: {name: random}, trials: 4, from: {stage: second.a}}
controls:
  - {name: default}
"""


def spec(*overrides: str) -> SearchSpec:
    return load_text(BASE, overrides=overrides)


def problem(*overrides: str) -> str:
    with pytest.raises(SpecError) as caught:
        spec(*overrides)
    return str(caught.value)


@pytest.mark.parametrize(
    ("item", "read", "value"),
    [
        ("fixed.epochs=3", lambda s: s.fixed["epochs"], 3),
        ("search.rate.high=0.5", lambda s: s.space["rate"], Float("rate", 0.1, 0.5)),
        ("search.rate.high=5e-1", lambda s: s.space["rate"], Float("rate", 0.1, 0.5)),
        ("search.kind.choices=[gated]", lambda s: s.space["kind"], Categorical("kind", ("gated",))),
        ("stages.first.trials=9", lambda s: s.stages[0].trials, 9),
        ("stages.second.a.trials=9", lambda s: s.stages[1].trials, 9),
        ("stages.first.searcher.name=tpe", lambda s: dict(s.stages[0].searcher.options), {}),
        ("stages.first.fixed.depth=null", lambda s: dict(s.stages[0].fixed), {"epochs": 1, "depth": None}),
        ("stages.second.a.from=null", lambda s: s.stages[1].start_from, None),
        ("controls.default.trials=2", lambda s: s.controls[0].trials, 2),
        ("controls=null", lambda s: s.controls, ()),
        ("resources.concurrent=1", lambda s: s.resources.concurrent, 1),
        ("resources={cpu: 3}", lambda s: s.resources.cpu, 3),
        ("scheduler={name: asha, grace: 2}", lambda s: s.stages[2].scheduler.grace, 2),
        ("seed=3", lambda s: s.seed, 3),
        ("objective.metric=valid/ndcg@10", lambda s: s.objectives[0].metric, "valid/ndcg@10"),
        ("data.name=ml-100k", lambda s: s.data.name, "ml-100k"),
    ],
)
def test_dotted_keys(item: str, read: Any, value: Any) -> None:
    assert read(spec(item)) == value


def test_a_bare_field_is_fixed_everywhere() -> None:
    changed = spec("epochs=2")
    assert changed.fixed == {"epochs": 2}
    assert changed.stages[0].fixed == {}


def test_a_bare_parameter_leaves_the_search() -> None:
    changed = spec("gate=hard")
    assert changed.fixed == {"epochs": 5, "gate": "hard"}
    assert changed.space.names == ("rate", "kind", "weight")
    assert changed.stages[1].over == ("kind",)


def test_axes_that_can_no_longer_be_active_leave_too() -> None:
    changed = spec("kind=plain")
    assert changed.space.names == ("rate", "weight")
    assert [stage.name for stage in changed.stages] == ["first", "third"]
    assert changed.stages[1].start_from == StageFrom("first", 2)  # what the skipped stage built on
    assert spec("kind=gated").space.names == ("rate", "gate", "weight")


def test_a_first_stage_with_nothing_left_is_skipped() -> None:
    changed = spec("rate=0.3")
    assert [(stage.name, stage.start_from) for stage in changed.stages] == [
        ("second.a", None),
        ("third", StageFrom("second.a")),
    ]


def test_with_a_stage_goes_the_one_that_trains_its_best_again() -> None:
    again = "  - {name: again, over: [], searcher: {name: grid}, trials: 2, from: {stage: first, top: 2}}\n"
    text = BASE.replace("  - {name: second.a", again + "  - {name: second.a")
    assert len(load_text(text).stages) == 4
    assert [stage.name for stage in load_text(text, overrides=("rate=0.3",)).stages] == ["second.a", "third"]


def test_everything_fixed_is_one_trial() -> None:
    changed = spec("rate=0.3", "kind=plain", "weight=0.5")
    assert changed.space.names == ()
    assert [(stage.name, stage.trials) for stage in changed.stages] == [("search", 1)]


def test_a_bare_field_passes_over_what_is_no_name() -> None:
    assert "must be text, got a list" in problem("stages.first.over=[[rate]]", "rate=0.5")


def test_later_overrides_win() -> None:
    assert spec("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("item", "part"),
    [
        ("epochs", "--set epochs: an override has the form key=value"),
        ("=3", "--set =3: an override has the form key=value"),
        ("a..b=3", "an override has the form key=value"),
        ("seed=", "--set seed=: has no value"),
        ("seed=x", "--set seed=x seed: must be a whole number"),
        ("seed=[1", "--set seed=[1: is not valid YAML"),
        ("seed=!!int 3", "tags are not allowed"),
        ("epoch=3", "is neither a key of a space file nor a field of the method; did you mean epochs?"),
        ("epochs=0", "--set epochs=0 fixed.epochs: must be >= 1, got 0"),
        ("fixed.rate=0.3", "--set fixed.rate=0.3 fixed.rate: it is both fixed and searched"),
        ("rate.high=2", "did you mean search.rate.high?"),
        ("search.rate.high=0.01", "low <= high must hold, got low=0.1, high=0.01"),
        ("stages.frist.trials=3", "there is no element of stages with this name; did you mean first?"),
        ("stages.first=3", "which key of first to set is missing"),
        ("stages.first.name=x", "the name of an element cannot be set"),
        ("stages.first.trails=3", "is not a key of a stage; did you mean trials?"),
        ("scales.quick.seed=3", "choose one with --scale"),
        ("trials=3", "write it as stages.<name>.trials"),
        ("stages.first.over=[[rate]]", "stages.first.over[0]: must be text, got a list"),
        ("method=none", "this method is not installed"),
    ],
)
def test_errors_name_the_override(item: str, part: str) -> None:
    text = problem(item)
    assert f"--set {item}" in text or "low=0.1" in text
    assert part in text


def test_overrides_may_mend_what_the_file_leaves_open() -> None:
    broken = BASE.replace("trials: 4, fixed", "fixed")
    with pytest.raises(SpecError):
        load_text(broken)
    assert load_text(broken, overrides=["stages.first.trials=1"]).stages[0].trials == 1


def test_bare_field_of_a_method_that_was_overridden() -> None:
    text = "method: probe\ndata: {name: toy}\nobjective: {metric: valid/mrr, direction: maximize}\n"
    assert load_text(text, overrides=["method=plain", "size=3"]).fixed == {"size": 3}


def test_fixing_the_layout_takes_the_controls_of_one_choice_away() -> None:
    from searchplat.spec import find_space, load

    spec = load(find_space("darec"), scale="smoke", overrides=["layout=010-111"])
    assert "layout" not in spec.space
    assert {control.name for control in spec.controls} == {"popularity", "markov", "default", "random"}
