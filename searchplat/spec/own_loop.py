"""The space of a study: axes for somebody's own loop, of a space file or without any method of this platform.

Where there is a method, its space file is read as ever and all its axes are searched together, as in `searchplat.tune`.
Without one a file or dictionary says `search`, and may say `objective`, `fixed`, `constraints` and
`outcomes`, by the same grammar.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from searchplat.arguments import several
from searchplat.errors import InputError
from searchplat.searchers import check_options
from searchplat.spec.building.axes import build_axes
from searchplat.spec.building.constraints import check_stage, read_constraints
from searchplat.spec.building.searcher import breaks
from searchplat.spec.document.bounds import Bound, BoundError, clashes, parse_bound, read_outcomes
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN, Anything, Field, Fields, ListOf, MapOf, Text
from searchplat.spec.document.strict_yaml import MAX_BYTES, decode, read_file
from searchplat.spec.errors import Problems
from searchplat.spec.find import find_space
from searchplat.spec.grammar import AXIS, BODY, MOST_OUTCOMES
from searchplat.spec.load import load_text, refuse_secrets
from searchplat.spec.model import OWN_LOOP, DataSpec, Objective, PromotionSpec, Resources, SearcherSpec, SearchSpec
from searchplat.spec.model import StageSpec as Stage
from searchplat.spec.space import Constraint, Space
from searchplat.spec.values import SOURCE, text_of, without_lines

STAGE = "study"
"""The only stage of a study."""

DEFAULT_OBJECTIVE = {"value": "maximize"}

_DIRECTIONS = ("maximize", "minimize")
_OBJECTIVE = Fields(
    {
        "metric": Field(
            Text(r"[A-Za-z0-9_./@-]+", "metrics are named by a-z 0-9 _ . / @ -"), "its name", required=True
        ),
        "direction": Field(Text(words=_DIRECTIONS), "maximize or minimize", required=True),
    },
    what="an objective",
)
_AXES = MapOf(AXIS, r"[A-Za-z_][A-Za-z0-9_]*", "a parameter is named like a variable", least=1)
_STUDY = Fields(
    {
        "search": Field(_AXES, "the axes: parameter to domain", required=True),
        "objective": Field(ListOf(_OBJECTIVE, or_one=True), "what is told, and whether more of it is better"),
        "fixed": Field(MapOf(Anything()), "values that are not searched"),
        "constraints": BODY.fields["constraints"],
        "outcomes": BODY.fields["outcomes"],
    },
    what="the space of a study without a method",
)


def check_seed(seed: int) -> None:
    """See that every generator of random numbers takes a seed.

    Raises:
        InputError: If it is no whole number from 0 to 2**32 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise InputError(f"seed: must be a whole number from 0 to {2**32 - 1}, got {seed!r}")


def study_spec(
    space: Path | str | Mapping[str, Any] | Space,
    *,
    name: str,
    searcher: str | Mapping[str, Any],
    seed: int,
    objective: Mapping[str, str] | None = None,
    outcomes: Sequence[str] | None = None,
    scale: str | None = None,
    overrides: Sequence[str] = (),
) -> SearchSpec:
    """The search that a study is: one stage over all axes, without an end.

    Args:
        space: A space file's path or shipped name, what such a file would say, axes by name, or a `Space`.
        name: The study's.
        searcher: A name of `searchplat.searchers.SEARCHERS`, or that with options: `{"name": "pr", ...}`.
        seed: 0 to 2**32 - 1.
        objective: Metric to `maximize` or `minimize`, the first the most important; by default the space's own, else
            `DEFAULT_OBJECTIVE`.
        outcomes: Bounds on metrics; by default the space's own, else none.
        scale: Of a space file with a method; see `spec.load`.
        overrides: Likewise.

    Raises:
        InputError: If any of it breaks a rule.
    """
    check_seed(seed)
    spec = _read(space, name, scale, overrides)
    last = spec.stages[-1]
    given = {"name": searcher} if isinstance(searcher, str) else dict(searcher) if isinstance(searcher, Mapping) else {}
    if not isinstance(given.get("name"), str):
        raise InputError(f"searcher: must be a name, or a mapping with one under 'name', got {searcher!r}")
    found = SearcherSpec(given.pop("name"), given)
    check_options(found)
    objectives = spec.objectives if objective is None else _objectives(objective)
    stage = Stage(STAGE, spec.space.names, found, 0, last.data_fraction, last.fixed, seeds=last.seeds)
    if broken := breaks(stage, {axis.name: axis for axis in spec.space.domains}, len(objectives)):
        raise InputError(f"searcher: {broken}; choose another searcher")
    bounds = spec.outcomes if outcomes is None else _bounds(outcomes)
    return dataclasses.replace(
        spec, stages=(stage,), objectives=objectives, outcomes=bounds, controls=(), seed=seed, notify=()
    )


def _read(
    space: Path | str | Mapping[str, Any] | Space, name: str, scale: str | None, overrides: Sequence[str]
) -> SearchSpec:
    if isinstance(space, Space):
        return _bare(_checked(space), {}, (), name, Path("space"), "# A space that was made in Python.\n")
    if isinstance(space, Mapping):
        whole = space if _is_document(space) else {"search": space}
        with without_lines():
            return _of_text(text_of(whole), Path(SOURCE), name, scale, overrides)
    found = find_space(space)
    try:
        with found.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{found}: cannot be read ({error.strerror})") from error
    return _of_text(decode(data, str(found)), found, name, scale, overrides)


def _is_document(space: Mapping[str, Any]) -> bool:
    """Whether it says what a file does; else it is axes by name, which may be called `method` and `search` too."""
    search = space.get("search")
    if isinstance(space.get("method"), str) or ("search" in space and not isinstance(search, Mapping)):
        return True
    return isinstance(search, Mapping) and not isinstance(search.get("type"), str)


def _of_text(text: str, source: Path, name: str, scale: str | None, overrides: Sequence[str]) -> SearchSpec:
    root = read_file(text, str(source))
    if "method" in root.fields:
        return load_text(text, source, scale=scale, overrides=overrides, name=name)
    if scale is not None or overrides:
        raise InputError(f"{source}: a space without a method has no scales and no overrides; change the space itself")
    refuse_secrets(text, str(source), ())
    problems = Problems()
    read = _STUDY.read(root, "", problems)
    if read is BROKEN:
        problems.raise_if_any()
    search, fixed = read["search"], read.get("fixed", {})
    if search is not BROKEN and fixed is not BROKEN:
        for both in [one for one in fixed if one in search]:
            rule = "it is both fixed and searched"
            problems.add(
                root.fields["fixed"].fields[both].key_place, f"fixed.{both}", rule, remedy="remove one of the two"
            )
        axes = build_axes(root.fields["search"], search, fixed, _layers_missing(problems), problems)
        _refuse_defaults(root, search, problems)
        problems.raise_if_any()
        objectives = tuple(Objective(o["metric"], o["direction"] == "maximize") for o in read.get("objective", ()))
        if len({one.metric for one in objectives}) < len(objectives):
            raise InputError(f"{source}: objective: every objective has its own metric; remove one of the two")
        texts = read_constraints(root, read, (*axes, *fixed), problems)
        made = Space(tuple(axis for axis in axes.values() if axis is not None), tuple(map(Constraint, texts)))
        check_stage(made, fixed, "the study", root, problems)
        bounds = read_outcomes(root, read, axes, problems, families=False)
        problems.raise_if_any()
        bare = _bare(made, fixed, objectives, name, source, text)
        return dataclasses.replace(bare, outcomes=bounds)
    problems.raise_if_any()
    raise AssertionError("a broken space without problems")


def _layers_missing(problems: Problems) -> Any:
    def layers_of(node: Node, key: str) -> int | None:
        if "layers" not in node.fields:
            problems.add(node, key, "a layout of a study says how many layers it has", remedy="add layers")
        return None

    return layers_of


def _refuse_defaults(root: Node, search: Mapping[str, Any], problems: Problems) -> None:
    for name in search:
        if (node := root.fields["search"].fields[name].fields.get("default")) is not None:
            rule = "an axis that is always searched has no default"
            problems.add(node.key_place, f"search.{name}.default", rule, remedy="remove it")


def _bare(
    space: Space, fixed: Mapping[str, Any], objectives: tuple[Objective, ...], name: str, source: Path, text: str
) -> SearchSpec:
    """A spec without a method."""
    return SearchSpec(
        name=name, method=OWN_LOOP, data=DataSpec("own-data"), objectives=objectives or _objectives(DEFAULT_OBJECTIVE),
        fixed=fixed, space=space, stages=(Stage(STAGE, space.names, SearcherSpec("random"), 0),), controls=(),
        resources=Resources(), promotion=PromotionSpec(), seed=0, scale=None, overrides=(), source=source, text=text,
    )  # fmt: skip


def _objectives(given: Mapping[str, str]) -> tuple[Objective, ...]:
    if not isinstance(given, Mapping) or not given or not all(isinstance(name, str) and name for name in given):
        raise InputError(f"objective: must say for each metric {' or '.join(_DIRECTIONS)}, got {given!r}")
    for name, direction in given.items():
        if direction not in _DIRECTIONS:
            raise InputError(f"objective: {name} must be {' or '.join(_DIRECTIONS)}, got {direction!r}")
    return tuple(Objective(name, direction == "maximize") for name, direction in given.items())


def _bounds(texts: Sequence[str]) -> tuple[Bound, ...]:
    several("outcomes", texts, str, "['size <= 1e6']")
    if len(texts) > MOST_OUTCOMES:
        raise InputError(f"outcomes: must be at most {MOST_OUTCOMES}, got {len(texts)}; remove some")
    found: list[Bound] = []
    for text in texts:
        try:
            bound = parse_bound(text)
        except BoundError as error:
            raise InputError(f"outcomes: {error.rule}, got {text!r}; {error.remedy}") from error
        if clash := clashes(bound, found):
            raise InputError(f"outcomes: {clash[0]}, got {text!r}; {clash[1]}")
        found.append(bound)
    return tuple(found)


def _checked(space: Space) -> Space:
    """A space that was not read, and so was not checked for what searchers rely on."""
    seen: set[str] = set()
    if not space.domains:
        raise InputError(f"{SOURCE}: has no axis; add one")
    for axis in space.domains:
        if axis.name in seen:
            raise InputError(f"{SOURCE}: every axis has its own name, got {axis.name!r} twice")
        for condition in axis.when:
            if condition.parameter not in seen:
                raise InputError(
                    f"{SOURCE}: an axis may depend only on axes before it, and {axis.name} depends on "
                    f"{condition.parameter}; reorder them"
                )
        seen.add(axis.name)
    return space
