from __future__ import annotations

import pickle

from searchplat.errors import InputError
from searchplat.spec import Problem, SpecError
from searchplat.spec.document.nodes import Place
from searchplat.spec.errors import Problems, show, suggest


def test_a_problem_is_one_sentence_on_one_line() -> None:
    problem = Problem(
        "spaces/darec.yaml",
        14,
        9,
        "search.learning_rate",
        "low <= high must hold",
        "low=0.01, high=0.001",
        "swap them",
    )
    assert str(problem) == (
        "spaces/darec.yaml:14:9 search.learning_rate: low <= high must hold, got low=0.01, high=0.001; swap them."
    )
    assert str(Problem("f", None, None, "", "cannot be read")) == "f: cannot be read."
    assert str(Problem("f", 1, 2, "a\nb", "is odd")) == "f:1:2 a\\nb: is odd."


def test_spec_error_sorts_and_keeps_each_problem_once() -> None:
    late, early = Problem("f", 9, 1, "", "late"), Problem("f", 2, 5, "", "early")
    error = SpecError([late, early, late])
    assert isinstance(error, InputError)
    assert error.exit_code == 2
    assert error.problems == [early, late]
    assert str(error) == "f:2:5: early.\nf:9:1: late."
    assert pickle.loads(pickle.dumps(error)).problems == error.problems


def test_problems_show_values_as_a_file_writes_them() -> None:
    problems = Problems()
    problems.raise_if_any()
    problems.add(Place("f", 1, 1), "k", "must differ", value=True, remedy="change it")
    assert str(problems.found[0]) == "f:1:1 k: must differ, got true; change it."
    assert show({"a": [None, 1.5, "x"]}) == "{a: [null, 1.5, 'x']}"
    assert len(show("x" * 500)) == 80


def test_suggest_names_the_nearest_and_all() -> None:
    assert suggest("epoch", ["epochs", "batch"]) == "did you mean epochs? Known are: batch, epochs"
    assert suggest("zzz", ["epochs"]) == "known are: epochs"
    assert suggest("zzz", []) == "known are: none"
