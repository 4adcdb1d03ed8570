from __future__ import annotations

import pytest

from searchplat.spec import SpecError, load_text
from searchplat.spec.model import Control

HEAD = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search:
  layout: {type: layout, per_layer: [a], choices: [serial, parallel], at_most: {parallel: 1}}
  rate: {type: float, low: 0.1, high: 1}
searcher: {name: random}
trials: 4
data_fraction: 0.5
controls:
"""


def controls(*lines: str) -> tuple[Control, ...]:
    return load_text(HEAD + "".join(f"  - {{{line}}}\n" for line in lines)).controls


def test_defaults() -> None:
    assert controls("name: default") == (Control("default", data_fraction=0.5),)


def test_a_control_may_leave_the_space() -> None:
    found = controls("name: a, all: parallel", "name: b, values: {rate: 1e-9, layout: 1-1-1}")
    assert found[0].values == {"layout": "1-1-1"}
    assert found[1].values == {"rate": 1e-9, "layout": "1-1-1"}


def test_random_with_values_fixes_those() -> None:
    assert controls("name: r, random: true, trials: 9, values: {epochs: 1}")[0].random


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("name: a, all: both", "controls.a.all: layout has no such choice, got 'both'"),
        ("name: a, all: serial, values: {layout: 0-0-0}", "all sets layout, which values sets as well"),
        ("name: a, values: {layout: 0-0}", "must be 3 groups of 1 bits, such as 0-0-0, got '0-0'"),
        ("name: a, values: {rate: 0}", "controls.a.values.rate: must be > 0, got 0"),
        ("name: a, values: {rat: 0}", "controls.a.values.rat: is not a field of method probe; did you mean rate?"),
        ("name: a, values: {heads: 3}", "heads must divide width, got heads=3, width=8; change one."),
        ("name: a, method: plain", "size: "),
        ("name: a, method: plain, values: {size: x}", "controls.a.values.size: must be a whole number, got 'x'"),
        ("name: a, method: plain, values: {rate: 1}", "is not a field of method plain"),
        ("name: a, method: plain, values: {size: 1}, random: true", "method and random exclude each other"),
        ("name: a, method: plain, values: {size: 1}, all: serial", "method and all exclude each other"),
        ("name: a, method: nothing", "controls.a.method: this method is not installed, got 'nothing'"),
        ("values: {rate: 1}", "controls[0]: must have the key name"),
        ("name: a b", "names are 1 to 64"),
    ],
)
def test_refuses(line: str, part: str) -> None:
    with pytest.raises(SpecError) as caught:
        controls(line)
    assert part in str(caught.value)


def test_a_scale_and_an_override_leave_controls_out() -> None:
    text = HEAD + "  - {name: a}\n  - {name: b}\n  - {name: c}\nscales: {small: {controls: [{name: b, drop: true}]}}\n"
    assert [control.name for control in load_text(text, scale="small").controls] == ["a", "c"]
    found = load_text(text, scale="small", overrides=["controls.a=null"])
    assert [control.name for control in found.controls] == ["c"]
    with pytest.raises(SpecError, match=r"controls\.d\.drop: .*has none of this name"):
        load_text(text.replace("name: b, drop", "name: d, drop"))
