"""The notebooks under `examples/` run from top to bottom and hold no outputs; the OptunaHub package is one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from searchplat.searchers import PRSampler

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.ipynb"))

RUNNER = """\
# As a notebook does it: cell after cell in one namespace, and what a cell ends with is shown.
import ast, json, sys

names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] != "code":
        continue
    body = ast.parse("".join(cell["source"]))
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, sys.argv[1], "exec"), names)
    if last is not None:
        shown = eval(compile(ast.Expression(last.value), sys.argv[1], "eval"), names)
        for form in ("_repr_html_", "__repr__"):
            assert isinstance(getattr(shown, form, shown.__repr__)(), str)
"""


def run(name: str) -> None:
    path = next(path for path in EXAMPLES if path.stem == name)
    done = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path)], capture_output=True, text=True, timeout=800, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_notebooks_hold_no_outputs(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["nbformat"] == 4
    cells = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert cells
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_the_loop_of_ones_own_runs() -> None:
    run("own_loop")
    assert Path("runs/polynomials/ledger.sqlite").exists()


@pytest.mark.by_hand
@pytest.mark.slow  # each starts Ray
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["first_search", "reading_results"])
def test_searches_in_notebooks_run(name: str) -> None:
    run(name)


def test_the_package_for_optunahub_is_one() -> None:
    (package,) = (Path(__file__).parents[1] / "examples" / "optunahub" / "samplers").iterdir()
    _, front, page = (package / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert {"author", "title", "description", "tags", "optuna_versions", "license"} == set(yaml.safe_load(front))
    assert [line[3:] for line in page.splitlines() if line.startswith("## ")] == [
        "Abstract",
        "APIs",
        "Installation",
        "Example",
        "Others",
    ]
    assert (package / "LICENSE").exists()
    # As `optunahub.load_local_module` does it.
    spec = importlib.util.spec_from_file_location(package.name, package / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    study = optuna.create_study(direction="maximize", sampler=module.PRSampler(seed=0))
    study.optimize(lambda trial: trial.suggest_int("bit", 0, 1), n_trials=2)
    assert isinstance(study.sampler, PRSampler)
