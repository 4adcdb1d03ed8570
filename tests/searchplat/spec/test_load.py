from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.errors import InputError
from searchplat.spec import SpecError, diff, from_document, load, load_text, to_document
from searchplat.spec.load import MAX_SCALES
from searchplat.spec.model import (
    Control,
    DataSpec,
    Objective,
    PromotionSpec,
    RepeatsSpec,
    Resources,
    SchedulerSpec,
    SearcherSpec,
    StageFrom,
    StageSpec,
)
from searchplat.spec.space import Bool, Categorical, Condition, Float, Int, Layout

FULL = """\
method: probe
data: {name: toy, min_length: 5}
objective:
  - {metric: valid/mrr, direction: maximize}
  - {metric: valid/loss, direction: minimize}
fixed: {epochs: 3, rate: 1, depth: null, metrics: [mrr, ndcg@10]}
search:
  layout: {type: layout, per_layer: [a, b, c], choices: [serial, parallel], at_most: {parallel: 4}}
  kind:   {type: categorical, choices: [plain, gated], ordered: true}
  gate:   {type: categorical, choices: [soft, hard], when: {kind: gated}}
  weight: {type: float, low: 1e-3, high: 1, log: true, when: {kind: [gated, plain], epochs: 3}}
  tied:   {type: bool}
  width:  {type: int, low: 4, high: 16, step: 4}
stages:
  - {name: layout, over: [layout], searcher: {name: pr, steps: 10}, trials: 30, data_fraction: 0.2, fixed: {epochs: 3}}
  - name: rest
    over: [kind, gate, weight, tied, width]
    searcher: {name: tpe}
    trials: 20
    from: {stage: layout, top: 2}
    scheduler: {name: none}
resources: {cpu: 2, gpu: 0.5, concurrent: 4, timeout_s: 600}
promotion: {top: 2, seeds: 3, epochs: 40, data_fraction: 0.5, test: [mrr], race: 4, patience: 7}
controls:
  - {name: default}
  - {name: all-parallel, all: parallel, values: {rate: 1}}
  - {name: random, random: true, trials: 10, data_fraction: 0.1}
  - {name: other, method: plain, values: {size: 3}}
seed: 7
"""

SMALL = """\
method: probe
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search:
  rate: {type: float, low: 0.1, high: 1}
searcher: {name: random}
trials: 4
"""


def test_every_key_reaches_the_spec() -> None:
    spec = load_text(FULL, "dir/full.yaml")
    assert (spec.name, spec.method, spec.seed, spec.scale, spec.overrides) == ("full", "probe", 7, None, ())
    assert spec.data == DataSpec("toy", {"min_length": 5, "rank_met": True})
    assert spec.objectives == (Objective("valid/mrr", True), Objective("valid/loss", False))
    assert spec.fixed == {"epochs": 3, "rate": 1.0, "depth": None, "metrics": ["mrr", "ndcg@10"]}
    assert type(spec.fixed["rate"]) is float  # as the field is: 1 and 1.0 are one search
    gated = (Condition("kind", ("gated", "plain")), Condition("epochs", (3,)))
    assert spec.space.domains == (
        Layout("layout", 3, ("a", "b", "c"), ("serial", "parallel"), {"parallel": 4}),
        Categorical("kind", ("plain", "gated"), True),
        Categorical("gate", ("soft", "hard"), False, (Condition("kind", ("gated",)),)),
        Float("weight", 0.001, 1.0, True, None, gated),
        Bool("tied"),
        Int("width", 4, 16, False, 4),
    )
    assert spec.stages == (
        StageSpec("layout", ("layout",), SearcherSpec("pr", {"steps": 10}), 30, 0.2, {"epochs": 3}),
        StageSpec(
            "rest",
            ("kind", "gate", "weight", "tied", "width"),
            SearcherSpec("tpe"),
            20,
            1.0,
            {},
            StageFrom("layout", 2),
        ),
    )
    assert spec.resources == Resources(2, 0.5, 4, 600.0)
    assert spec.promotion == PromotionSpec(2, 3, 40, 0.5, ("mrr",), 4, 7)
    assert spec.controls == (
        Control("default"),
        Control("all-parallel", {"rate": 1.0, "layout": "111-111-111"}),
        Control("random", random=True, trials=10, data_fraction=0.1),
        Control("other", {"size": 3}, "plain"),
    )
    assert (spec.source, spec.text) == (Path("dir/full.yaml"), FULL)
    assert spec.layout is spec.space.domains[0]


def test_shares_of_a_machine_may_be_measured() -> None:
    spec = load_text(SMALL + "resources: {cpu: auto, gpu: auto, probe_s: 30}\n")
    assert spec.resources == Resources(1, None, None, None, cpu_auto=True, probe_s=30.0)
    assert load_text(SMALL + "resources: {cpu: 2}\n").resources == Resources(2)
    with pytest.raises(SpecError, match=r"resources\.cpu: must be auto or a number > 0"):
        load_text(SMALL + "resources: {cpu: automatic}\n")


def test_without_stages_there_is_one_over_everything() -> None:
    spec = load_text(SMALL + "data_fraction: 0.5\nscheduler: {name: asha, grace: 2}\n")
    assert spec.stages == (
        StageSpec("search", ("rate",), SearcherSpec("random"), 4, 0.5, {}, None, SchedulerSpec("asha", 2)),
    )
    assert spec.resources == Resources()
    assert spec.promotion == PromotionSpec()
    assert spec.controls == ()


def test_a_stages_priority_is_read_and_remembered() -> None:
    spec = load_text(FULL.replace("trials: 20\n", "trials: 20\n    priority: -2\n"))
    assert [stage.priority for stage in spec.stages] == [0, -2]
    assert from_document(to_document(spec)) == spec
    assert "priority" not in to_document(load_text(SMALL))["stages"][0]


def test_seeds_of_a_stage_are_read_and_remembered() -> None:
    spec = load_text(SMALL + "seeds: shared\n")
    assert spec.stages[0].seeds == "shared"
    assert from_document(to_document(spec)) == spec
    assert "seeds" not in to_document(load_text(SMALL))["stages"][0]
    assert diff(to_document(load_text(SMALL)), to_document(spec)) == ["stages.search.seeds: (none) -> 'shared'"]


def test_repeats_of_a_stage_are_read_and_remembered() -> None:
    spec = load_text(SMALL + "repeats: {share: 0.2}\n")
    assert spec.stages[0].repeats == RepeatsSpec(0.2, top=3)
    assert from_document(to_document(spec)) == spec
    assert "repeats" not in to_document(load_text(SMALL))["stages"][0]
    assert diff(to_document(load_text(SMALL)), to_document(spec))


def test_hours_bound_a_stage_and_are_remembered() -> None:
    spec = load_text(SMALL + "hours: 2\ngpu_hours: 0.5\n")
    assert (spec.stages[0].hours, spec.stages[0].gpu_hours) == (2, 0.5)
    assert from_document(to_document(spec)) == spec
    assert "hours" not in to_document(load_text(SMALL))["stages"][0]
    assert diff(to_document(load_text(SMALL)), to_document(spec))


def test_without_axes_there_is_one_trial() -> None:
    spec = load_text("method: probe\ndata: {name: toy}\nobjective: {metric: valid/mrr, direction: maximize}\n")
    assert spec.stages == (StageSpec("search", (), SearcherSpec("random"), 1),)


def test_a_later_stage_may_search_a_parameter_again_if_it_does_not_inherit_it() -> None:
    text = SMALL.replace("searcher: {name: random}\ntrials: 4\n", "") + (
        "stages:\n"
        "  - {name: coarse, over: [rate], searcher: {name: random}, trials: 4, data_fraction: 0.1}\n"
        "  - {name: fine, over: [rate], searcher: {name: gp}, trials: 4}\n"
    )
    assert [stage.over for stage in load_text(text).stages] == [("rate",), ("rate",)]


SCALED = (
    SMALL
    + """\
fixed: {epochs: 5}
controls:
  - {name: default}
scales:
  smoke:
    trials: 2
    data: {name: ml-100k}
  quick:
    fixed: {epochs: 2, depth: null}
    search: {weight: {type: float, low: 0, high: 1}, rate: {high: 0.5}}
    controls: [{name: default, trials: 2}, {name: free, values: {weight: 0}}]
  paper: {trials: 100, seed: null}
"""
)


def test_quick_is_the_default_scale() -> None:
    spec = load_text(SCALED)
    assert spec.scale == "quick"
    assert spec.fixed == {"epochs": 2, "depth": None}
    assert spec.space["rate"] == Float("rate", 0.1, 0.5)
    assert spec.space.names == ("rate", "weight")
    assert [(c.name, c.trials) for c in spec.controls] == [("default", 2), ("free", 1)]


def test_another_scale_can_be_asked_for() -> None:
    spec = load_text(SCALED, scale="smoke")
    assert (spec.scale, spec.stages[0].trials, spec.data.name) == ("smoke", 2, "ml-100k")
    assert load_text(SCALED + "default_scale: paper\n").stages[0].trials == 100
    assert load_text(SCALED.replace("quick", "brief")).scale is None
    with pytest.raises(SpecError, match="no such scale, got 'papr'; did you mean paper"):
        load_text(SCALED, scale="papr")
    with pytest.raises(SpecError, match="no such scale, got 'paper'; leave --scale out"):
        load_text(SMALL, scale="paper")


def test_all_scales_are_checked_and_named() -> None:
    text = SCALED.replace("trials: 100", "trials: 0").replace("low: 0.1", "low: 2")
    with pytest.raises(SpecError) as caught:
        load_text(text)
    lines = str(caught.value).splitlines()
    assert lines == [
        "space.yaml:5:28 search.rate: low <= high must hold (at scale quick), got low=2, high=0.5; swap them.",
        "space.yaml:5:28 search.rate: low <= high must hold (at scales smoke, paper), got low=2, high=1; swap them.",
        "space.yaml:19:19 trials: must be a whole number >= 1 (at scale paper), got 0; give one in that range.",
    ]


def test_all_errors_of_a_file_come_at_once() -> None:
    text = (
        FULL.replace("epochs: 3, rate", "epochs: 0, rate")
        .replace("direction: minimize", "direction: down")
        .replace("low: 4", "low: 40")
        .replace("trials: 30", "trials: many")
        .replace("stage: layout, top", "stage: layuot, top")
        .replace("cpu: 2", "cpus: 2")
        .replace("size: 3", "size: big")
    )
    with pytest.raises(SpecError) as caught:
        load_text(text)
    assert [p.key for p in caught.value.problems] == [
        "objective[1].direction",
        "fixed.epochs",
        "search.width",
        "stages.layout.trials",
        "stages.rest.from.stage",
        "resources.cpus",
        "controls.other.values.size",
    ]


def test_load_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(SMALL)
    spec = load(path, overrides=["seed=3"], name="other-name")
    assert (spec.name, spec.source, spec.overrides, spec.seed) == ("other-name", path, ("seed=3",), 3)
    assert load(str(path)).name == "mine"


def test_load_refuses_names_and_files_in_words(tmp_path: Path) -> None:
    path = tmp_path / "My Space.yaml"
    path.write_text(SMALL)
    with pytest.raises(SpecError, match=r"My Space.yaml: a search's name has .*, got 'My Space'; rename the file"):
        load(path)
    assert load(path, name="mine").name == "mine"
    with pytest.raises(InputError, match="there is no such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * 300_000)
    with pytest.raises(SpecError, match="at most 262144 bytes"):
        load(tmp_path / "big.yaml")


@pytest.mark.parametrize(
    "extra", ["scales: 3\n", "scales: {}\n", "scales: {Big: {}}\n", "scales:\n  a: 3\n", "default_scale: []\n"]
)
def test_broken_scales_are_refused(extra: str) -> None:
    with pytest.raises(SpecError, match="scale"):
        load_text(SMALL + extra)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("# postgresql://ann:correct-horse@db/x", "a URL with a password"),
        ("seed: hf_" + "aB3" * 10, "an access token"),
        ('name: "-----BEGIN PRIVATE KEY-----"', "a private key"),
    ],
)
def test_a_space_with_a_secret_is_refused_without_repeating_it(line: str, what: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(SMALL + line, "space.yaml")
    assert f"secrets do not belong in a space file, and this is {what}" in str(caught.value)
    assert str(caught.value).startswith("space.yaml:8:")
    assert line[-15:] not in str(caught.value)


def test_an_override_with_a_secret_is_refused_without_repeating_it() -> None:
    token = "hf_" + "aB3" * 10
    with pytest.raises(SpecError) as caught:
        load_text(SMALL, "space.yaml", overrides=[f"fixed.name={token}"])
    assert str(caught.value).startswith("--set fixed.name: secrets do not belong in a space")
    assert token not in str(caught.value)


def test_a_file_has_a_largest_number_of_scales() -> None:
    scales = "".join(f"  s{n}: {{}}\n" for n in range(MAX_SCALES))
    load_text(f"{SMALL}scales:\n{scales}", scale="s0")
    with pytest.raises(SpecError, match=f"a file has at most {MAX_SCALES} scales, got {MAX_SCALES + 1}"):
        load_text(f"{SMALL}scales:\n{scales}  more: {{}}\n")
