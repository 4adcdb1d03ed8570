"""The method that a space names, and what it and the rest of the space ask of each other: data and objectives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from searchplat import methods
from searchplat.contract import Method, ProgramMethod
from searchplat.errors import InputError
from searchplat.programs.no_data import NONE
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.errors import Problems, show, suggest
from searchplat.spec.model import VALID


def find_method(name: str, where: Node | Place, key: str, problems: Problems) -> Method | None:
    """Return the installed method; None, with the problem noted, if there is none of this name."""
    names = methods.method_names()
    if name not in names and not methods.is_reference(name):
        problems.add(where, key, "this method is not installed", value=name, remedy=suggest(name, names, "known are"))
        return None
    try:
        method = methods.load_method(name)
        methods.check_leave(name, method)
        return method
    except InputError as error:
        named = methods.is_reference(name) or methods.ALLOW_IMPORT in str(error)
        remedy = "" if named else "mend the package that offers it"
        problems.add(where, key, str(error).rstrip("."), remedy=remedy)
        return None


def check_own_data(method: Method, name: str, root: Node, where: Node, key: str, problems: Problems) -> None:
    """Note if a program, which brings its own data, is given ours, or any other method is given none."""
    if "data" not in root.fields:
        return  # said already
    data = root.at(["data", "name"]).content
    if isinstance(method, ProgramMethod) and data != NONE:
        rule, remedy = f"method {name} brings its own data", f"write data: {{name: {NONE}}}"
        problems.add(where, key, rule, got=f"data {show(data)}", remedy=remedy)
    elif data == NONE and not isinstance(method, ProgramMethod):
        rule = f"method {name} needs a data set; {NONE} is for programs that bring their own"
        problems.add(where, key, rule, remedy="name a data set, see: searchplat data")


def unreported(method: Method, config: Any, objectives: Sequence[str]) -> tuple[int, str] | None:
    """The index of the first objective that a training does not report, and those that it does, if the method knows.

    Args:
        config: The training's, as the method's `Config`.
        objectives: Names of metrics.
    """
    if (reported := getattr(method, "reported", None)) is None:
        return None
    names = reported(config)
    for index, metric in enumerate(objectives):
        if metric.startswith(VALID) and metric not in names:
            return index, suggest(metric, names, "reported are")
    return None
