from __future__ import annotations

import json
from pathlib import Path

import pytest

from searchplat.spec import diff, digest, from_document, load_text, to_document

TEXT = """\
method: probe
data: {name: toy, min_length: 5}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 3}
search:
  layout: {type: layout, per_layer: [a, b, c], choices: [serial, parallel], at_most: {parallel: 4}}
  kind:   {type: categorical, choices: [plain, gated]}
  gate:   {type: categorical, choices: [soft, hard], when: {kind: gated}}
  rate:   {type: float, low: 1e-3, high: 1, log: true}
  tied:   {type: bool}
  width:  {type: int, low: 4, high: 16, step: 4}
stages:
  - {name: layout, over: [layout], searcher: {name: pr, steps: 10}, trials: 30, fixed: {epochs: 2}}
  - {name: rest, over: [kind, gate, rate, tied, width], searcher: {name: tpe}, trials: 20, from: {stage: layout}}
controls:
  - {name: random, random: true, trials: 10}
scheduler: {name: asha, grace: 2}
resources: {gpu: 0.5}
promotion: {test: [mrr]}
"""


def test_documents_turn_back_into_specs() -> None:
    spec = load_text(TEXT, overrides=["seed=3"])
    document = json.loads(json.dumps(to_document(spec)))
    assert document == to_document(spec)
    assert from_document(document) == spec
    assert digest(from_document(document)) == digest(spec)


def test_a_newer_document_is_refused() -> None:
    with pytest.raises(ValueError, match="version 1, got 2; use a newer searchplat"):
        from_document({**to_document(load_text(TEXT)), "version": 2})


@pytest.mark.parametrize(
    "overrides",
    [
        ["resources.cpu=4"],
        ["promotion.top=9"],
        ["promotion.test=[ndcg@10]"],
        ["fixed.epochs=3"],
        ["search.rate.high=1.0"],
        ["resources.timeout_s=5"],
    ],
)
def test_what_changes_no_trial_changes_no_digest(overrides: list[str]) -> None:
    old, new = load_text(TEXT, "a.yaml"), load_text(TEXT + "# a comment\n", Path("x/b.yaml"), overrides=overrides)
    assert digest(old) == digest(new)
    assert diff(to_document(old), to_document(new)) == []


@pytest.mark.parametrize(
    ("overrides", "lines"),
    [
        (["fixed.epochs=5"], ["fixed.epochs: 3 -> 5"]),
        (["fixed.heads=1"], ["fixed.heads: (none) -> 1"]),
        (["seed=1"], ["seed: 0 -> 1"]),
        (["search.rate.high=0.5"], ["search.rate.high: 1.0 -> 0.5"]),
        (["stages.rest.trials=21"], ["stages.rest.trials: 20 -> 21"]),
        (
            ["data.name=ml-100k"],
            [
                "data.name: 'toy' -> 'ml-100k'",
                "data.options.min_length: 5 -> (none)",
                "data.options.rank_met: true -> false",
            ],
        ),
        (["data.min_length=3"], ["data.options.min_length: 5 -> 3"]),
        (["stages.rest.searcher.name=gp"], ["stages.rest.searcher.name: 'tpe' -> 'gp'"]),
        (["controls.random.trials=2"], ["controls.random.trials: 10 -> 2"]),
        (["search.kind.choices=[gated, plain]"], ["search.kind.choices: ['plain', 'gated'] -> ['gated', 'plain']"]),
        (["objective.direction=minimize"], ["objective: [{metric: 'valid/mrr', maximize: true}] -> "]),
    ],
)
def test_what_changes_trials_is_named(overrides: list[str], lines: list[str]) -> None:
    old, new = load_text(TEXT), load_text(TEXT, overrides=overrides)
    assert digest(old) != digest(new)
    found = diff(to_document(old), to_document(new))
    assert len(found) == len(lines)
    for got, wanted in zip(found, lines, strict=True):
        assert got.startswith(wanted)


def test_the_order_of_axes_counts() -> None:
    moved = TEXT.replace("  tied:   {type: bool}\n", "").replace("search:\n", "search:\n  tied: {type: bool}\n")
    old, new = load_text(TEXT), load_text(moved)
    assert digest(old) != digest(new)
    assert diff(to_document(old), to_document(new))[0].startswith("search (order): ['layout',")
