"""Which configurations are measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from searches import LAYOUT, X, one_stage, rehearsal_spec

from searchplat.engine.sizing.cost_classes import MOST, cost_classes
from searchplat.methods import load_method
from searchplat.spec import load, shipped_spaces
from searchplat.spec.space import Categorical, Int, Space


def test_a_layout_is_measured_at_both_ends_and_between() -> None:
    spec = rehearsal_spec({"epochs": 4})
    layout, weights = (cost_classes(spec, stage) for stage in spec.stages)
    assert [one.name for one in layout] == ["all serial", "all parallel", "random layout"]
    assert [one.config["layout"] for one in layout[:2]] == ["000-000-000", "111-111-111"]
    assert LAYOUT.refusal(layout[2].config["layout"]) is None
    assert {one.config["epochs"] for one in layout} == {4}
    # The later stage searches a rate on an earlier layout: its trials cost the same.
    assert weights == layout


def test_a_real_axis_alone_leaves_the_defaults() -> None:
    spec = one_stage(rehearsal_spec(), 3)
    assert [(one.name, one.config["x"]) for one in cost_classes(spec, spec.stages[0])] == [("defaults", 0.5)]


def test_numbers_are_measured_at_their_largest_and_texts_one_by_one() -> None:
    axes = (Int("layers", 1, 6, step=2), Categorical("seconds", (0.1, 0.3, 0.2)), Categorical("kind", ("a", "b")), X)
    spec = rehearsal_spec()
    stage = replace(spec.stages[0], over=tuple(axis.name for axis in axes))
    spec = replace(spec, space=Space(axes), stages=(stage,))
    found = {one.name: one.config for one in cost_classes(spec, stage)}
    assert list(found) == ["defaults", "largest", "kind=b"]
    assert (found["largest"]["layers"], found["largest"]["seconds"]) == (5, 0.3)
    assert (found["kind=b"]["layers"], found["kind=b"]["kind"]) == (3, "b")


@pytest.mark.parametrize("space", shipped_spaces())
def test_every_shipped_space_has_classes_that_its_method_takes(space: str) -> None:
    spec = load(shipped_spaces()[space])
    for stage in spec.stages:
        found = cost_classes(spec, stage)
        assert 1 <= len(found) <= MOST
        assert found == cost_classes(spec, stage)
        for one in found:
            assert load_method(spec.method).Config(**one.config)
