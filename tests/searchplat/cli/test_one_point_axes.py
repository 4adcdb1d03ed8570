"""A space of axes with one value each, beside one that varies or none: its plan, its report and its Optuna study."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from reports import Page, check
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec import load_text, to_document

from ..conftest import add

SPACE = """\
method: rehearsal
data: {{name: toy}}
objective: {{metric: valid/mrr, direction: maximize}}
search:
  layout: {{type: layout, per_layer: [a, b, c], choices: [serial, parallel], at_most: {{parallel: 0}}}}
  x: {{type: float, low: {low}, high: 0.5, log: true}}
  epochs: {{type: int, low: 4, high: 4, log: true}}
  kind: {{type: categorical, choices: [a]}}
searcher: {{name: {searcher}}}
trials: 12
"""


@pytest.mark.parametrize(("low", "searcher"), [(0.5, "grid"), (0.5, "pr"), (0.1, "grid"), (0.1, "pr")])
def test_it_is_planned_shown_and_exported(
    low: float, searcher: str, tmp_path: Path, cli: Callable[..., Result]
) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE.format(low=low, searcher=searcher))
    spec = load_text(space.read_text(), space)
    folder = SearchFolder(tmp_path / "runs", "first")
    folder.path.mkdir(parents=True)
    with Ledger.create(folder.ledger_path, to_document(spec), spec.objectives) as ledger:
        ledger.note("opened", {"pid": 1, "resumed": False})
        for n in range(10):
            x = low + (0.5 - low) * n / 9
            add(ledger, "search", {"layout": "000-000-000", "x": x, "epochs": 4, "kind": "a"}, 0.3 + n / 100)
    runs = str(tmp_path / "runs")

    planned = cli("check", str(space))
    assert planned.exit_code == 0
    assert f"size of the space  {'1' if low == 0.5 else 'unbounded'}\n" in planned.stdout

    shown = cli("report", "first", "--runs", runs)
    assert shown.exit_code == 0, shown.output
    page = Page(Path(shown.stdout.strip()))
    check(page)
    assert "Parallel coordinates" not in page.source  # of a single parameter, or of none

    out = tmp_path / "optuna.db"
    assert cli("export", "first", "--to", "optuna", "--out", str(out), "--runs", runs).exit_code == 0
    study = optuna.load_study(storage=f"sqlite:///{out}", study_name="first/search")
    assert [t.params["epochs"] for t in study.trials] == [4] * 10
