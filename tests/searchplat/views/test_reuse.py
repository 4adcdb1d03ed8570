"""The command that a search prints trains the very same configuration again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.plan import Plan
from searchplat.engine.planning.seeds import shared_seed
from searchplat.engine.without_ray.run_one import run_one
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.methods import imports
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text, to_document
from searchplat.views.reuse import configuration, run_command
from searchplat.views.snapshot import take

SPACE = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {noise: 0.1}
search:
  x: {type: float, low: 0.0, high: 1.0}
  kind: {type: categorical, choices: [a, b]}
  layout: {type: layout, layers: 1, per_layer: [causal, context, recommend], choices: [serial, parallel]}
stages:
  - {name: early, over: [layout], searcher: {name: random}, trials: 2, data_fraction: 0.2, fixed: {epochs: 2}}
  - {name: late, over: [x, kind], searcher: {name: random}, trials: 2, data_fraction: 0.5, fixed: {epochs: 3}}
scales:
  quick: {fixed: {layers: 1}}
"""


COMMAND = """\
method: command
data: {name: none}
objective: {metric: valid/ndcg, direction: maximize}
fixed: {command: [python, train.py, "{x}"]}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: 2
"""


@pytest.mark.parametrize("overrides", [(), ("x=0.25", "kind=b"), ("stages.early.data_fraction=0.5", "noise=0.2")])
@pytest.mark.parametrize("stage", [0, -1])
def test_config_seed_and_share_of_the_users_come_back(
    cli: Callable[..., Result], tmp_path: Path, overrides: tuple[str, ...], stage: int
) -> None:
    path = tmp_path / "my space.yaml"
    path.write_text(SPACE)
    spec = load_text(SPACE, path, overrides=overrides, name="s")
    at = spec.stages[stage]
    values = {"layout": "010"} if "layout" in at.over else {"x": 0.1 + 0.2, "kind": "b"}
    config = full_config("rehearsal", {**spec.fixed, **at.fixed, "layout": "010", **values})
    folder = SearchFolder(tmp_path / "runs", "s")
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        trial = ledger.suggest(
            stage=at.name, method="rehearsal", values=values, config=config, data_fraction=at.data_fraction, seed=5
        )
        words = run_command(take("s", folder.path, ledger), trial)

    result = cli(*shlex.split(shlex.join(words))[1:], "--json")
    assert result.exit_code == 0, result.stderr
    share = f" ({at.data_fraction:.0%} of the users)" if at.data_fraction < 1 else ""
    assert result.stderr.startswith(f"rehearsal on toy{share}: ")
    expected = [epoch["valid/mrr"] for epoch in run_one(spec, config, seed=5)]
    assert [epoch["valid/mrr"] for epoch in json.loads(result.stdout)["epochs"]] == expected


def test_a_command_is_trained_again_with_leave(cli: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(COMMAND)
    (tmp_path / "train.py").write_text("import sys\nprint('{\"ndcg\": %s}' % sys.argv[1])")
    with imports():
        spec = load_text(COMMAND, path, name="s")
        config = full_config("command", {**spec.fixed, "x": 0.25})
    folder = SearchFolder(tmp_path / "runs", "s")
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        trial = ledger.suggest(
            stage="search", method="command", values={"x": 0.25}, config=config, data_fraction=1.0, seed=5
        )
        words = run_command(take("s", folder.path, ledger), trial)
    assert words[3:] == ["--allow-import", "--set", "x=0.25", "--seed", "5"]
    result = cli(*words[1:], "--json")
    assert result.exit_code == 0, result.stderr
    assert [epoch["valid/ndcg"] for epoch in json.loads(result.stdout)["epochs"]] == [0.25]


def test_dotted_items_come_before_those_that_drop_stages() -> None:
    spec, values = configuration(
        lambda items: load_text(SPACE, overrides=items), ["x=0.5", "kind=a", "stages.late.data_fraction=0.9"]
    )
    assert values == {"x": 0.5, "kind": "a"}
    assert [(stage.name, stage.data_fraction) for stage in spec.stages] == [("early", 0.2), ("late", 0.9)]


def test_a_shared_seed_is_shown_and_is_that_of_run(cli: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE.replace("fixed: {epochs: 3}}", "fixed: {epochs: 3}, seeds: shared}"))
    spec = load_text(path.read_text(), path, name="s")
    folder = SearchFolder(tmp_path / "runs", "s")
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        trial = Plan(spec, ledger).suggest(spec.stages[-1])
        assert trial is not None
        ledger.start(trial.number)
        reports = run_one(spec, trial.config)  # no seed is given
        for epoch, metrics in enumerate(reports, start=1):
            ledger.report(trial.number, epoch, metrics)
        ledger.end(trial.number, TrialState.FINISHED)
    assert trial.seed == shared_seed(spec)
    values = [report["valid/mrr"] for report in reports]
    assert values == [report["valid/mrr"] for report in run_one(spec, trial.config, seed=shared_seed(spec))]
    where = ("--runs", str(tmp_path / "runs"))
    shown = cli("best", "s", *where)
    assert shown.exit_code == 0, shown.stderr
    assert f"seed {trial.seed}, which the trials of stage late share" in " ".join(shown.stdout.split())
    again = cli(*shlex.split(cli("best", "s", "--set", *where).stdout)[1:], "--json")
    assert again.exit_code == 0, again.stderr
    assert [epoch["valid/mrr"] for epoch in json.loads(again.stdout)["epochs"]] == values
