from __future__ import annotations

import pytest

from searchplat.spec import SpecError, load_text
from searchplat.spec.building.stages import in_effect
from searchplat.spec.model import StageFrom

HEAD = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search:
  rate: {type: float, low: 0.1, high: 1}
  weight: {type: float, low: 0, high: 1}
  kind: {type: categorical, choices: [plain, gated]}
  gate: {type: categorical, choices: [soft, hard], when: {kind: gated}}
"""


def stages(*lines: str) -> str:
    rest = "searcher: {name: random}, trials: 2}"
    return HEAD + "stages:\n" + "".join(f"  - {{{line}, {rest}\n" for line in lines)


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        load_text(text)
    return str(caught.value)


def test_values_are_taken_over_along_the_chain() -> None:
    text = stages(
        "name: a, over: [rate]",
        "name: b, over: [weight], from: {stage: a}",
        "name: c, over: [kind, gate], from: {stage: b, top: 3}",
    )
    spec = load_text(text)
    assert spec.stages[2].start_from == StageFrom("b", 3)
    assert in_effect(spec.stages[2], spec.stages) == {"rate", "weight", "kind", "gate"}
    assert in_effect(spec.stages[1], spec.stages) == {"rate", "weight"}


def test_a_stage_may_train_the_best_again() -> None:
    text = stages(
        "name: a, over: [rate, weight, kind, gate], data_fraction: 0.1", "name: b, over: [], from: {stage: a, top: 3}"
    )
    spec = load_text(text)
    assert (spec.stages[1].over, spec.stages[1].start_from) == ((), StageFrom("a", 3))


def test_a_condition_may_look_at_what_is_taken_over_or_fixed_in_the_stage() -> None:
    a = "name: a, over: [rate, weight, kind]"
    load_text(stages(a, "name: b, over: [gate], from: {stage: a}"))
    load_text(stages(a, "name: b, over: [gate], fixed: {kind: gated}"))
    text = refusal(stages(a, "name: b, over: [gate]"))
    assert "stages.b: the condition of gate needs kind, which has no value in this stage" in text


@pytest.mark.parametrize(
    ("lines", "part"),
    [
        (["name: a, over: [rate, weight, kind]"], "search.gate: no stage searches it; add it to over of a stage (a)"),
        (["name: a, over: [rate, rate, weight, kind, gate]"], "elements must differ, got 'rate'"),
        (
            ["name: a, over: []"],
            "stages.a.over: a stage that searches nothing must train the best trials of an",
        ),
        (["over: [rate, weight, kind, gate]"], "stages[0]: must have the key name"),
        (["name: a, over: [rate, weight, kind, gate], from: {stage: a}"], "may build only on an earlier one"),
        (
            ["name: a, over: [rate]", "name: b, over: [rate, weight, kind, gate], from: {stage: a}"],
            "rate is taken over from stage a, so this stage cannot search it as well",
        ),
        (
            ["name: a, over: [rate]", "name: b, over: [weight, kind, gate], from: {stage: a}, fixed: {rate: 1}"],
            "rate is taken over into this stage, so it cannot be fixed in it as well",
        ),
        (["name: a, over: [rate, weight, kind, gate], fixed: {rat: 1}"], "stages.a.fixed.rat: is not a field of"),
    ],
)
def test_refuses(lines: list[str], part: str) -> None:
    assert part in refusal(stages(*lines))


def test_trials_need_a_searcher_and_the_other_way_round() -> None:
    text = refusal(HEAD)
    assert "a file without stages must have the key searcher" in text
    assert "a file without stages must have the key trials" in text


def test_a_broken_axis_makes_no_further_noise() -> None:
    text = stages("name: a, over: [rate, weight, kind, gate]").replace("low: 0.1", "low: low")
    assert len(refusal(text).splitlines()) == 1
