from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from searchplat.errors import InputError
from searchplat.searchers import SEARCHERS, History, check_options, make_searcher
from searchplat.searchers.options import PROptions
from searchplat.spec.model import SearcherSpec
from searchplat.spec.space import Bool, Condition, Domain, Float, Int, Layout, Space

SPACE = Space((Bool("a"), Int("b", 0, 3)))


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("anneal", {}, ["anneal", "random, grid, tpe, gp, cmaes, nsga2, pr"]),
        ("tpe", {"start": 3}, ["searcher tpe", "startup, candidates, multivariate", "'start'"]),
        ("random", {"n": 3}, ["searcher random", "none", "'n'"]),
        ("pr", {"acquisition": "best"}, ["searcher pr", "acquisition", "'ei', 'ucb' or 'thompson'", "'best'"]),
        ("nsga2", {"population": 1}, ["searcher nsga2", "population", "greater than or equal to 2", "got 1"]),
    ],
)
def test_wrong_searchers_and_options_say_what_is_right(name: str, options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make_searcher(SearcherSpec(name, options), SPACE, (True,), 0)

    for word in words:
        assert word in str(error.value)


def test_cmaes_takes_one_objective() -> None:
    with pytest.raises(InputError, match="one objective, got 2; take nsga2"):
        make_searcher(SearcherSpec("cmaes"), SPACE, (True, True), 0)


def test_a_grid_too_large_is_refused_with_its_size() -> None:
    space = Space((Layout("layout", 12, ("a", "b", "c"), ("s", "p")),))

    with pytest.raises(InputError, match=r"at most 100,000 points, got 6\.87194767e\+10; narrow"):
        make_searcher(SearcherSpec("grid"), space, (True,), 0)


def test_the_values_of_a_wide_axis_are_never_listed() -> None:
    """A list of 2^40 numbers would take all memory."""
    wide = Int("n", 0, 2**40)
    space = Space((wide, Bool("a", when=(Condition("n", (1, 2)),))))

    assert make_searcher(SearcherSpec("pr"), space, (True,), 0).suggest(History(), 0) is not None
    with pytest.raises(InputError, match="at most 100,000 points"):
        make_searcher(SearcherSpec("grid"), space, (True,), 0)


@pytest.mark.parametrize(
    ("axis", "values"),
    [
        (Float("x", -1.7e308, 1.7e308), [-1.7e308, 0.0, 1.7e308]),
        (Float("x", 0.0, 1e-300), [0.0, 5e-301, 1e-300]),
        (Float("x", 1.0, 1.0000000000000002), [1.0, 1.0000000000000002]),
        (Float("x", 0.001, 0.001), [0.001]),
        (Int("n", 7, 8, log=True), [7, 8]),
    ],
)
def test_a_grid_of_extreme_ends_keeps_them(axis: Domain, values: list[float]) -> None:
    searcher = make_searcher(SearcherSpec("grid", {"points": 3, "shuffle": False}), Space((axis,)), (True,), 0)

    points = [point[axis.name] for _, point in searcher._points()]  # type: ignore[attr-defined]

    assert points == values


def test_options_are_typed() -> None:
    assert check_options(SearcherSpec("pr", {"restarts": 4})) == PROptions(restarts=4)


def test_every_searcher_has_a_summary() -> None:
    assert all(entry.summary and entry.options.__doc__ for entry in SEARCHERS.values())


def test_importing_and_checking_loads_neither_optuna_nor_torch() -> None:
    code = (
        "import sys; from searchplat.searchers import SEARCHERS, check_options;"
        "from searchplat.spec.model import SearcherSpec;"
        "[check_options(SearcherSpec(name)) for name in SEARCHERS];"
        "print([m for m in ('optuna', 'torch', 'ray', 'botorch') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_a_random_or_grid_search_loads_neither_optuna_nor_torch() -> None:
    code = (
        "import sys; from searchplat.searchers import *;"
        "from searchplat.spec.model import *; from searchplat.spec.space import *;"
        "[make_searcher(SearcherSpec(n), Space((Bool('a'),)), (True,), 0).suggest(History(), 0) for n in"
        " ('random', 'grid')]; print([m for m in ('optuna', 'torch') if m in sys.modules])"
    ).replace("from searchplat.searchers import *", "from searchplat.searchers import make_searcher, History")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"


def test_the_grid_has_ends_and_logarithms() -> None:
    space = Space((Float("x", 0.01, 1.0, log=True), Int("n", 1, 100, log=True)))
    searcher = make_searcher(SearcherSpec("grid", {"points": 3, "shuffle": False}), space, (True,), 0)

    first = searcher.suggest(History(), 0)

    assert first is not None
    assert first.values == {"x": 0.01, "n": 1}
    assert first.info == {"route": "grid", "position": 0, "points": 9}
    points = [values for _, values in searcher._points()]  # type: ignore[attr-defined]
    assert sorted({round(p["x"], 9) for p in points}) == [0.01, 0.1, 1.0]
    assert sorted({p["n"] for p in points}) == [1, 10, 100]
