"""Bounds on outcomes, and several objectives with early stopping: real searches from the outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from searchplat.tracking import best_trials

SPACE = """\
method: sasrec
data: {name: toy}
objective: OBJECTIVE
fixed: {epochs: 3, batch_size: 16, learning_rate: 0.01, num_heads: 1}
search:
  hidden_size: {type: categorical, choices: [4, 8, 16, 32], ordered: true}
  num_layers: {type: int, low: 1, high: 2}
  inner_size: {type: categorical, choices: [4, 16, 64], ordered: true}
searcher: {name: tpe, startup: 3}
trials: 10
seed: 3
scheduler: {name: asha, grace: 1, reduction: 2}
resources: {cpu: 1, gpu: 0}
controls: [{name: popularity, method: popularity}]
promotion: {top: 2, race: 0, seeds: 1, epochs: 2, test: [mrr]}
"""
MRR = "{metric: valid/mrr, direction: maximize}"
SIZE = "{metric: parameters, direction: minimize}"


def run(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "searchplat", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env={**os.environ, "COLUMNS": "200"})
    assert done.returncode == status, done.stderr + done.stdout
    return done


def asked(*words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_search_under_bounds_finds_what_keeps_them_and_shows_what_does_not() -> None:
    Path("small.yaml").write_text(SPACE.replace("OBJECTIVE", MRR) + "outcomes: [parameters <= 1500]\n")
    done = run("search", "small.yaml")
    assert "; breaks parameters <= 1500 by " in done.stdout
    trials = [trial for trial in asked("trials", "small") if trial["control"] is None]
    broken = {trial["number"] for trial in trials if trial["outcomes"]["parameters"] > 1500}
    assert 0 < len(broken) < len(trials) == 10
    assert {trial["number"] for trial in trials if not trial["feasible"]} == broken
    ranked = [trial["number"] for trial in asked("best", "small", "--top", "20")]
    kept = [number for number in ranked if number not in broken]
    assert ranked == [*kept, *ranked[len(kept) :]]
    assert not broken.intersection(kept)
    assert [one.trial for one in best_trials(f"sqlite:///{Path('mlflow.db').absolute()}", "small", 20)] == ranked
    assert not any(trial["state"] == "stopped" for trial in trials if trial["number"] == kept[0])
    refused = run("promote", "small", "--trial", str(min(broken)), status=2)
    assert f"--trial: trial {min(broken)} cannot be promoted: it breaks parameters <= 1500 by" in refused.stderr
    again = run("search", "small.yaml", "--set", "outcomes=[parameters <= 1501]", status=2)
    assert "outcomes: ['parameters <= 1500'] -> ['parameters <= 1501']" in again.stderr
    run("search", "small.yaml", "--set", "outcomes=[parameters <= 1e9]", "--fork", "large", "--name", "small")
    assert all(trial["feasible"] for trial in asked("trials", "large") if trial["control"] is None)


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_bound_on_what_nobody_reports_ends_the_search_before_a_trial_has_ended() -> None:
    Path("typo.yaml").write_text(SPACE.replace("OBJECTIVE", MRR) + "outcomes: [time/train_secs <= 60]\n")
    done = run("search", "typo.yaml", status=2)
    assert "does not report 'time/train_secs'; did you mean time/train_seconds?" in done.stderr
    assert not [t for t in asked("trials", "typo") if t["control"] is None and t["state"] not in ("running", "waiting")]


@pytest.mark.slow
@pytest.mark.by_hand
def test_two_objectives_stop_early_and_a_choice_from_the_front_is_promoted() -> None:
    Path("both.yaml").write_text(SPACE.replace("OBJECTIVE", f"[{MRR}, {SIZE}]"))
    run("search", "both.yaml")
    trials = [trial for trial in asked("trials", "both") if trial["control"] is None]
    assert "stopped" in {trial["state"] for trial in trials}
    front = [trial["number"] for trial in asked("best", "both", "--top", "20") if trial["front"]]
    values = {t["number"]: (t["objectives"]["valid/mrr"], -t["objectives"]["parameters"]) for t in trials}
    for number, (mrr, size) in values.items():
        ahead = [other for other in values.values() if other != (mrr, size) and other[0] >= mrr and other[1] >= size]
        assert (number in front) == (not ahead)
    smallest = min(front, key=lambda number: -values[number][1])
    assert asked("best", "both", "--by", "parameters")[0]["objectives"]["parameters"] == -values[smallest][1]
    assert "a promotion is decided on validation" in run("promote", "both", "--by", "parameters", status=2).stderr
    promoted = asked("promote", "both", "--trial", str(smallest))
    assert [one["candidate"] for one in promoted["candidates"]] == [f"trial-{smallest}", "popularity"]
    assert set(promoted["candidates"][0]["values"]) == {"mrr", "parameters"}
    assert promoted["candidates"][0]["values"]["parameters"] == -values[smallest][1]
