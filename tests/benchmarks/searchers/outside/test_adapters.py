"""Every adapter honours the contract; those whose package is not here are skipped and say why.

Optuna is always here. To run the others as well name them by the variables of README.md.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from problems import PROBLEMS
from run import RANDOM_POINTS, Task, carry_out, main, random_points

from outside.catalogue import OUTSIDE, open_session
from outside.protocol import AbsentError, Axis, Opening, Session
from outside.searcher import axes_of, to_point, to_values
from searchplat.spec.space import Float, Int, Layout, Space

PROBLEM = "pairs-18"
AXES = (*(Axis(f"b{i}") for i in range(6)), Axis("x", bit=False, low=-1.0, high=2.0))
SLOW = {"smac-rf", "vizier-gp"}
"""These take seconds a point."""


def carried_out(searcher: str, folder: Path, evaluations: int, seed: int = 0) -> list[dict[str, Any]]:
    """Values of a run of the benchmark; skipped where the package is absent."""
    folder.mkdir(exist_ok=True)
    task = Task(PROBLEM, searcher, seed, evaluations)
    try:
        carry_out(task, folder)
    except AbsentError as error:
        pytest.skip(str(error))
    return [json.loads(line)["values"] for line in (folder / task.file).read_text().splitlines()]


def opened(searcher: str, axes: tuple[Axis, ...] = AXES, first: int = 4) -> Session:
    try:
        return open_session(Opening(searcher, axes, seed=3, first=first, budget=20))
    except AbsentError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("searcher", OUTSIDE)
def test_a_run_begins_with_the_shared_points_is_repeated_by_its_seed_and_continues(
    searcher: str, tmp_path: Path
) -> None:
    asked = 1 if searcher in SLOW else 3
    points = carried_out(searcher, tmp_path / "a", RANDOM_POINTS + asked)
    problem = PROBLEMS[PROBLEM](0)
    layout = problem.space["layout"]
    assert isinstance(layout, Layout)
    assert [layout.refusal(point["layout"]) for point in points] == [None] * (RANDOM_POINTS + asked)
    shared = random_points(problem, 0)
    assert (points[:RANDOM_POINTS] == shared) == (not OUTSIDE[searcher].own_first)
    # Stopped and taken up again: the rest is what it would have been.
    path = tmp_path / "b" / Task(PROBLEM, searcher, 0, RANDOM_POINTS + asked).file
    path.parent.mkdir()
    lines = (tmp_path / "a" / path.name).read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-1]))
    assert carried_out(searcher, tmp_path / "b", RANDOM_POINTS + asked) == points


@pytest.mark.parametrize("searcher", [name for name in OUTSIDE if name not in SLOW])
def test_points_of_bits_and_numbers_are_within_their_bounds(searcher: str) -> None:
    told = 0 if OUTSIDE[searcher].own_first else 4
    points = []
    with closing(opened(searcher)) as session:
        for number in range(told):
            session.tell(number, [number % 2, 0, 1, 1, number // 2, 0, number / 4], float(number))
        for number in range(told, told + 3):
            point, seconds = session.ask(number)
            session.tell(number, point, sum(point))
            points.append(point)
            assert seconds >= 0
    for point in points:
        assert len(point) == len(AXES)
        assert set(point[:6]) <= {0, 1}
        assert -1 <= point[6] <= 2


def test_a_process_of_another_interpreter_gives_the_same_points(monkeypatch: pytest.MonkeyPatch) -> None:
    def points() -> list[list[float]]:
        found = []
        with closing(opened("optuna-gp-cat")) as session:
            for number in range(5):
                session.tell(number, [number % 2, 0, 1, 1, 0, 0, number / 4], float(number))
            for number in (5, 6):
                point, _ = session.ask(number)
                session.tell(number, point, sum(point))
                found.append(point)
        return found

    here = points()
    monkeypatch.setenv("OUTSIDE_OPTUNA_PYTHON", sys.executable)
    assert points() == here


def test_an_error_in_the_other_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTSIDE_OPTUNA_PYTHON", sys.executable)
    session = opened("optuna-gp-int")
    with pytest.raises(RuntimeError, match="argument 2 is shorter"):
        session.tell(0, [0, 1], 1.0)


@pytest.mark.parametrize(
    ("searcher", "variable", "value", "why"),
    [
        ("bounce", "OUTSIDE_BOUNCE", "/nowhere", "OUTSIDE_BOUNCE names no folder, got '/nowhere'"),
        ("smac-rf", "OUTSIDE_SMAC_PYTHON", "/nowhere/python", "/nowhere/python: No such file or directory"),
        ("autosampler", "OUTSIDE_OPTUNAHUB", ".", "autosampler cannot be imported: "),
    ],
)
def test_a_searcher_whose_package_is_absent_is_skipped_with_a_line(
    searcher: str, variable: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = OUTSIDE[searcher]
    monkeypatch.delenv(f"OUTSIDE_{entry.package}_PYTHON", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(AbsentError, match=why):
        open_session(Opening(searcher, AXES, 0, 4, 20))


def test_the_benchmark_goes_on_without_an_absent_searcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OUTSIDE_BOUNCE", raising=False)
    results = tmp_path / "results.csv"
    arguments = ["--problems", PROBLEM, "--searchers", "bounce", "random", "--seeds", "2", "--evaluations", "12"]
    monkeypatch.setattr(
        sys, "argv", ["run.py", *arguments, "--results", str(results), "--working", str(tmp_path / "working")]
    )
    # The workers are processes, which import the script that started them by its name.
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    assert main() == 0
    said = capsys.readouterr().out
    assert said.count("bounce is skipped: OUTSIDE_BOUNCE names no folder, got None\n") == 1
    assert [line.split(",")[1] for line in results.read_text().splitlines()] == ["searcher", "random", "random"]


def test_points_and_values_are_each_others_inverse() -> None:
    space = Space((Layout("a", 2, ("r", "s"), ("no", "yes")), Float("x", -1.0, 1.0)))
    assert [axis.name for axis in axes_of(space)] == ["a.layer0.r", "a.layer0.s", "a.layer1.r", "a.layer1.s", "x"]
    values = {"a": "10-01", "x": 0.25}
    assert to_point(space, values) == [1, 0, 0, 1, 0.25]
    assert to_values(space, [1, 0, 0, 1, 0.25]) == values
    assert to_values(space, [1, 0, 0, 1, 1.0000001])["x"] == 1.0


def test_other_axes_are_refused() -> None:
    with pytest.raises(ValueError, match="n: outside searchers take layouts without limits and plain numbers"):
        axes_of(Space((Int("n", 0, 3),)))
