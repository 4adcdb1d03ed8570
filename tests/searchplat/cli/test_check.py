"""`searchplat check`: the plan and its cost, without starting anything."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import SearchSpec
from searchplat.views.plan_picture import cost

Run = Callable[..., Result]


def test_the_plan_names_axes_stages_controls_and_cost(cli: Run, space: Path) -> None:
    result = cli("check", str(space))
    assert result.exit_code == 0
    for expected in (
        "12 layers x (causal, context, recommend), each serial or parallel",
        "6.87e+10",
        "best of layout",
        "the method's defaults",
        "asha, at least 2 epochs, keeps 1 of 2",
        "16 trials, at most 64 epochs, as much as 38.4 epochs on all users",
        "not known before a few trials have run",
        f"searchplat search {space.name}",
    ):
        assert expected in result.stdout
    assert [path.name for path in Path.cwd().iterdir()] == ["space.yaml"]


def test_overrides_change_the_plan(cli: Run, space: Path) -> None:
    document = json.loads(cli("check", str(space), "--set", "epochs=2", "--set", "kind=a", "--json").stdout)
    assert document["cost"]["epochs"] == 32
    assert [axis["name"] for axis in document["space"]["search"]] == ["layout", "x"]
    assert document["size"] is None  # x has no step, so there is no end of points


def test_constraints_are_shown_with_the_share_of_the_space_that_they_leave(cli: Run, space: Path) -> None:
    space.write_text(space.read_text() + "constraints: [x < 0.75, epochs > 1]\n")
    shown = " ".join(cli("check", str(space)).stdout.split())
    document = json.loads(cli("check", str(space), "--json").stdout)
    assert "constraint x < 0.75 constraint epochs > 1 feasible about 7" in shown
    assert 0.7 < document["feasible"] < 0.8
    assert document["space"]["constraints"] == ["x < 0.75", "epochs > 1"]


def test_a_trial_that_is_too_large_for_this_machine_is_a_warning_here_and_refused_by_a_search(
    cli: Run, space: Path
) -> None:
    large = ("--set", f"resources.cpu={(os.cpu_count() or 1) + 1}")
    checked = cli("check", str(space), *large)
    assert checked.exit_code == 0
    assert "warning  resources.cpu: a trial takes" in checked.stdout
    [warning] = json.loads(cli("check", str(space), *large, "--json").stdout)["warnings"]
    assert "--address" in warning

    refused = cli("search", str(space), *large)
    assert refused.exit_code == 2
    assert "so it would wait for ever" in refused.stderr
    assert not list(Path("runs").iterdir())


def test_a_share_of_almost_all_has_no_exponent(cli: Run, space: Path) -> None:
    space.write_text(space.read_text() + "constraints: [x < 0.9999]\n")
    shown = " ".join(cli("check", str(space)).stdout.split())
    assert "feasible about 100 % of its points keep them" in shown


def test_what_is_measured_is_said(cli: Run, space: Path) -> None:
    def trial(*sets: str) -> str:
        words = [word for one in sets for word in ("--set", one)]
        lines = cli("check", str(space), *words).stdout.splitlines()
        return " ".join(next(line for line in lines if line.lstrip().startswith("a trial")).split())

    assert trial() == "a trial 1 CPU, 0 GPU"
    assert trial("resources.gpu=auto") == "a trial 1 CPU, a measured share of a GPU where there is one"
    said = trial("resources.cpu=auto", "resources.probe_s=90")
    assert said == "a trial a measured share of the cores, 0 GPU, measured within 1 min 30 s"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.file=/nope.csv", "data: file /nope.csv is not on this machine"),
        ("data={name: file}", "data: file must name a file of interactions"),
        ("data.core=-3", "data.core: must be >= 1, got -3"),
        ("stages.layout.searcher={name: pr, past: [nope]}", "past: search 'nope' does not exist in"),
    ],
)
def test_what_a_search_would_refuse_at_its_start_is_refused(cli: Run, space: Path, change: str, said: str) -> None:
    for command in ("check", "search"):
        refused = cli(command, str(space), "--set", change)
        assert refused.exit_code == 2
        assert said in " ".join(refused.output.split())


def test_what_a_search_that_has_begun_learnt_from_need_not_be_there(
    cli: Run, space: Path, half_done: tuple[SearchFolder, Ledger]
) -> None:
    words = (str(space), "--set", "stages.layout.searcher={name: pr, past: [nope]}", "--name", "first")
    assert cli("check", *words).exit_code == 0


def test_the_time_is_estimated_from_a_search_that_ran(half_done: tuple[SearchFolder, Ledger], spec: SearchSpec) -> None:
    estimate = cost(spec, "first")
    # Whole trials take 5 s for 4 epochs, on all users or (1 s) on a fifth of them.
    assert estimate.seconds == pytest.approx(38.4 * 5 / 4)
    assert estimate.measured_by == "14 trials of the search first"


def test_the_name_of_a_search_to_be_is_part_of_the_command_to_copy(cli: Run, space: Path) -> None:
    result = cli("check", str(space), "--name", "mine")
    assert result.exit_code == 0
    assert f"searchplat search {space.name} --name mine" in result.stdout


def test_the_schema_accepts_the_space(cli: Run, space: Path) -> None:
    jsonschema.validate(yaml.safe_load(space.read_text()), json.loads(cli("check", "--schema").stdout))
