"""Searches on real ledgers, written without Ray, for the commands that read them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from searchplat.cli.app import app
from searchplat.engine.planning.configuration import full_config
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text, to_document
from searchplat.spec.model import CONTROLS, SearchSpec

SPACE = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 4, layers: 12}
search:
  layout: {type: layout, layers: 12, per_layer: [causal, context, recommend], choices: [serial, parallel]}
  x: {type: float, low: 0.0, high: 1.0}
  kind: {type: categorical, choices: [a, b]}
stages:
  - {name: layout, over: [layout], searcher: {name: random}, trials: 8, data_fraction: 0.2}
  - {name: weights, over: [x, kind], searcher: {name: tpe}, trials: 6, from: {stage: layout, top: 1}}
controls:
  - {name: default}
  - {name: all-serial, values: {layout: 000-000-000-000-000-000-000-000-000-000-000-000}}
scheduler: {name: asha, grace: 2, reduction: 2}
resources: {cpu: 1, gpu: 0}
"""

HOSTILE = "boom \x1b[31mred\x1b[0m [bold]not markup[/bold] \u202e"

Run = Callable[..., Result]


@pytest.fixture
def cli() -> Run:
    """Runs a command line in this process."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(app, list(words))

    return run


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "space.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def spec(space: Path) -> SearchSpec:
    return load_text(SPACE, space)


@pytest.fixture
def empty(spec: SearchSpec, tmp_path: Path) -> Iterator[tuple[SearchFolder, Ledger]]:
    """A search that was opened and has no trial."""
    folder = SearchFolder(tmp_path / "runs", "first")
    folder.path.mkdir(parents=True)
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        ledger.note("opened", {"pid": 1, "resumed": False})
        yield folder, ledger


@pytest.fixture(scope="session")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Written once: each of its 150 commits waits for the disk."""
    root = tmp_path_factory.mktemp("template")
    (root / "space.yaml").write_text(SPACE)
    spec = load_text(SPACE, root / "space.yaml")
    with Ledger.create(root / "ledger.sqlite", to_document(spec), spec.objectives) as ledger:
        ledger.note("opened", {"pid": 1, "resumed": False})
        _fill(ledger)
    return root


@pytest.fixture
def half_done(_template: Path, tmp_path: Path) -> Iterator[tuple[SearchFolder, Ledger]]:
    """All of stage `layout`, some of `weights`, with every kind of ending on the way."""
    folder = SearchFolder(tmp_path / "runs", "first")
    folder.path.mkdir(parents=True)
    shutil.copy(_template / "ledger.sqlite", folder.ledger_path)
    with Ledger.open(folder.ledger_path) as ledger:
        yield folder, ledger


def _fill(ledger: Ledger) -> None:
    add(ledger, CONTROLS, {}, 0.30, control="default")
    serial = "-".join(["000"] * 12)
    add(ledger, CONTROLS, {"layout": serial}, 0.28, control="all-serial")
    layouts = ["-".join(f"{(n * 37 + layer * 11) % 8:03b}" for layer in range(12)) for n in range(8)]
    for n, layout in enumerate(layouts):
        add(ledger, "layout", {"layout": layout}, 0.40 + n / 100, fraction=0.2, seconds=1.0)
    best = {"layout": layouts[-1]}
    add(ledger, "weights", {"x": 0.1, "kind": "a"}, 0.31, inherited=best)
    add(ledger, "weights", {"x": 0.62, "kind": "a"}, 0.35, inherited=best)
    add(ledger, "weights", {"x": 0.9, "kind": "b"}, None, inherited=best, state=TrialState.DIVERGED, cause=HOSTILE)
    add(ledger, "weights", {"x": 0.7, "kind": "b"}, 0.2, inherited=best, state=TrialState.STOPPED)
    add(ledger, "weights", {"x": 0.65, "kind": "a"}, 0.33, inherited=best, state=TrialState.RUNNING)


def add(
    ledger: Ledger,
    stage: str,
    values: dict[str, Any],
    score: float | None,
    *,
    control: str | None = None,
    inherited: dict[str, Any] | None = None,
    fraction: float = 1.0,
    seconds: float = 5.0,
    state: TrialState = TrialState.FINISHED,
    cause: str | None = None,
) -> int:
    """Write one trial with all its reports."""
    config = full_config("rehearsal", {"epochs": 4, "layers": 12, **(inherited or {}), **values})
    trial = ledger.suggest(
        stage=stage, method="rehearsal", values=values, config=config, data_fraction=fraction, seed=7,
        control=control, based_on=ledger.seq,
    )  # fmt: skip
    ledger.start(trial.number)
    if score is not None:
        for epoch in range(1, 5 if state is TrialState.FINISHED else 3):
            value = score - 0.01 * abs(epoch - 3)
            ledger.report(trial.number, epoch, {"valid/mrr": value, "time/train_seconds": seconds / 4})
    if state.final:
        ledger.end(trial.number, state, cause)
    return trial.number
