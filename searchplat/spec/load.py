"""Reads a space file: the way from a path to a `SearchSpec`, or to all of its problems at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path

from searchplat import methods, paths
from searchplat.contract import ProgramMethod
from searchplat.errors import InputError
from searchplat.redaction import secrets_in
from searchplat.spec.building.build import Origin, build_spec
from searchplat.spec.document.merge import merge
from searchplat.spec.document.nodes import Node, Place
from searchplat.spec.document.overrides import apply_overrides
from searchplat.spec.document.strict_yaml import MAX_BYTES, decode, line_and_column, read_file
from searchplat.spec.errors import Problem, Problems, SpecError, suggest
from searchplat.spec.find import find_space
from searchplat.spec.grammar import FILE
from searchplat.spec.model import SearchSpec

MAX_SCALES = 32
"""Every scale of a file is checked like a file of its own."""

_DEFAULT_SCALE = "quick"


def load(
    path: Path | str, *, scale: str | None = None, overrides: Sequence[str] = (), name: str | None = None
) -> SearchSpec:
    """Read and check a space file.

    Args:
        path: The file, or the bare name of a shipped one (`darec`); see `find_space`.
        scale: A name under the file's `scales`; by default its `default_scale`, else `quick` if there is one.
        overrides: Texts `key=value` as `--set` takes them, applied in order after the scale.
        name: The search's name; the file's stem by default.

    Raises:
        SpecError: If the file, the scale or an override breaks a rule; all problems at once.
        InputError: If there is no such file.
    """
    found = find_space(path)
    try:
        with found.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError([Problem(str(found), None, None, "", f"cannot be read: {reason}")]) from error
    spec = load_text(decode(data, str(found)), found, scale=scale, overrides=overrides, name=name)
    # Errors name the file as it was given; a search is gone on with from another folder too.
    return dataclasses.replace(spec, source=paths.resolve(found, "SPACE"))


def load_text(
    text: str,
    source: Path | str = "space.yaml",
    *,
    scale: str | None = None,
    overrides: Sequence[str] = (),
    name: str | None = None,
) -> SearchSpec:
    """Check the text of a space file; like `load`.

    Every scale of the file is checked, not only the chosen one; overrides apply to the chosen one.

    Args:
        text: The content.
        source: How errors name the file; its stem is the search's default name.
        scale: See `load`.
        overrides: See `load`.
        name: See `load`.

    Raises:
        SpecError: If something breaks a rule; all problems at once.
    """
    refuse_secrets(text, str(source), overrides)
    root = read_file(text, str(source))
    methods.look_in(Path(source).parent, _methods(root))
    problems = Problems()
    chosen, scales = _scales(root, str(source), scale, problems)
    base = root
    if isinstance(root.content, dict):
        content = {key: node for key, node in root.content.items() if key not in ("scales", "default_scale")}
        base = Node(content, root.place, root.key_place)
    origin = Origin(name or Path(source).stem, chosen, tuple(overrides), Path(source), text)
    wanted = merge(base, scales[chosen]) if chosen is not None else base
    wanted_problems = Problems()
    wanted = apply_overrides(wanted, overrides, _fields, wanted_problems)
    spec = build_spec(wanted, origin, wanted_problems)
    found = {chosen: wanted_problems.found}
    for other, part in scales.items():
        if other != chosen:
            others = Problems()
            build_spec(merge(base, part), dataclasses.replace(origin, scale=other, overrides=()), others, chosen=False)
            found[other] = others.found
    problems.found += _attributed(found)
    problems.raise_if_any()
    assert spec is not None, "a spec without problems was not built"
    return spec


def refuse_secrets(text: str, source: str, overrides: Sequence[str]) -> None:
    """Whatever a space says is copied to the ledger, to MLflow and to reports; errors after this one quote it."""
    problems, remedy = Problems(), "take it out, and change it if the file went anywhere"
    for offset, what in secrets_in(text):
        place = Place(source, *line_and_column(text[:offset]))
        problems.add(place, "", f"secrets do not belong in a space file, and this is {what}", remedy=remedy)
    for override in overrides:
        for _, what in secrets_in(override):
            place = Place(f"--set {override.partition('=')[0][:40]}")
            problems.add(place, "", f"secrets do not belong in a space, and this is {what}", remedy=remedy)
    problems.raise_if_any()


def _scales(root: Node, source: str, scale: str | None, problems: Problems) -> tuple[str | None, dict[str, Node]]:
    """The chosen scale and all of them; wrong ones are left out."""
    node = root.fields.get("scales")
    known: dict[str, Node] = {}
    if node is not None:
        FILE.fields["scales"].shape.read(node, "scales", problems)
        if len(node.fields) > MAX_SCALES:
            rule, remedy = f"a file has at most {MAX_SCALES} scales", "remove some"
            problems.add(node.key_place, "scales", rule, got=str(len(node.fields)), remedy=remedy)
        for name, part in list(node.fields.items())[:MAX_SCALES]:
            if isinstance(part.content, dict):
                known[name] = part
            else:
                remedy = "write the keys that differ"
                problems.add(part, f"scales.{name}", "must be a mapping", got=part.kind(), remedy=remedy)
            for key in ("scales", "default_scale"):
                if key in part.fields:
                    where = part.fields[key].key_place
                    problems.add(where, f"scales.{name}.{key}", "a scale has no scales", remedy="remove it")
                    known.pop(name, None)
    default = root.fields.get("default_scale")
    if default is not None and (not isinstance(default.content, str) or default.content not in known):
        shown = default.plain()
        remedy = suggest(str(shown), known, "scales are")
        problems.add(default, "default_scale", "must be a scale of this file", value=shown, remedy=remedy)
    if scale is not None:
        if scale not in known and (node is None or scale not in node.fields):
            where = Place(source) if node is None else node.key_place
            remedy = suggest(scale, known, "scales are") if known else "leave --scale out"
            problems.add(where, "scales", "the file has no such scale", value=scale, remedy=remedy)
        return (scale if scale in known else None), known
    if default is not None:
        return (default.content if isinstance(default.content, str) and default.content in known else None), known
    return (_DEFAULT_SCALE if _DEFAULT_SCALE in known else None), known


def _attributed(found: dict[str | None, list[Problem]]) -> list[Problem]:
    """All problems, each once; one that not every scale has names those that do."""
    where: dict[Problem, list[str]] = {}
    for scale, items in found.items():
        for problem in dict.fromkeys(items):
            where.setdefault(problem, []).append(scale or "")
    result = []
    for problem, scales in where.items():
        named = [scale for scale in scales if scale]
        if len(scales) < len(found) and named and problem.line is not None:
            at = f"at scale {named[0]}" if len(named) == 1 else f"at scales {', '.join(named)}"
            problem = dataclasses.replace(problem, rule=f"{problem.rule} ({at})")
        result.append(problem)
    return result


def _fields(root: Node) -> Collection[str]:
    """Names of the fields of a document's method; none if it cannot be found, which is noted elsewhere."""
    name = root.fields["method"].content if "method" in root.fields else None
    if not isinstance(name, str) or not (name in methods.method_names() or methods.is_reference(name)):
        return ()
    try:
        method = methods.load_method(name)
    except InputError:
        return ()
    fields = tuple(method.Config.model_fields)
    if not isinstance(method, ProgramMethod):
        return fields
    fixed = root.fields.get("fixed", root)
    named = method.named(fixed.plain())
    return (*fields, *fixed.fields, *((named.parameters if named is not None else None) or ()))


def _methods(root: Node) -> list[str]:
    """What a file names as methods, wherever it does."""
    parts = [root, *(root.fields["scales"].fields.values() if "scales" in root.fields else ())]
    controls = [one for part in parts if "controls" in part.fields for one in part.fields["controls"].items]
    named = [one.fields["method"].content for one in (*parts, *controls) if "method" in one.fields]
    return [name for name in named if isinstance(name, str)]
