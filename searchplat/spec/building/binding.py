"""A space file against the installed method: its fields, their types and bounds, and the layout's layers.

The method's pydantic `Config` owns those rules. Here it is asked about every value that the file names,
about the ends of every axis, and about sampled points, so that no trial dies of a wrong config later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from searchplat import protocol
from searchplat.contract import SAMPLED, Method, ProgramMethod
from searchplat.errors import AssetError, InputError
from searchplat.spec.building.constraints import check_stage, named_outside
from searchplat.spec.building.method import unreported
from searchplat.spec.building.points import check_whole, sample_with
from searchplat.spec.building.searcher import grid_is_empty
from searchplat.spec.building.stages import in_effect, stage_key
from searchplat.spec.document.nodes import Node
from searchplat.spec.document.typed import (
    about,
    add_error,
    check_names,
    check_values,
    errors_of,
    field_error,
    instantiate,
    rule_of,
)
from searchplat.spec.errors import UNSAID, Problems, show, suggest
from searchplat.spec.model import Control, StageSpec
from searchplat.spec.space import Bool, Categorical, Constraint, Domain, Float, Int, Layout, NoPointError, Space

_SAMPLES = 16
"""Points tried of each stage: enough to meet a rule between fields that a fair share of the space breaks."""


class Binding:
    """One document's method, and what it says about the document.

    Args:
        method: The method.
        name: Its name in the file.
        root: The document.
        searched: Names of the axes.
        problems: Takes what is wrong.
        strict: Whether missing weights are a problem; at scales that nobody asked for they are not.
        objectives: Metrics that every trial must report.
        from_space: Values that a program's method has of the space file where the document gives none.
    """

    def __init__(
        self,
        method: Method,
        name: str,
        root: Node,
        searched: Sequence[str],
        problems: Problems,
        *,
        strict: bool,
        objectives: Sequence[str] = (),
        from_space: Mapping[str, Any] | None = None,
    ) -> None:
        self.config: type[BaseModel] = method.Config
        self.owner = f"a field of method {name}"
        self._method, self._name, self._root, self._problems, self._strict = method, name, root, problems, strict
        self.objectives = objectives
        self._program = method if isinstance(method, ProgramMethod) else None
        self._used = _used(self._program, root)
        entries = root.fields["fixed"].fields if "fixed" in root.fields else {}
        for both in [entry for entry in entries if entry in searched]:
            rule = "it is both fixed and searched"
            remedy = f"remove one of the two; to fix it from outside use --set {both}=VALUE"
            problems.add(entries[both].key_place, f"fixed.{both}", rule, remedy=remedy)
        known = self._names(entries, "fixed")
        where = root.fields.get("fixed", root)
        self.fixed = {**(from_space or {}), **check_values(self.config, known, {}, where, "fixed", problems)}
        """The right ones of the values under `fixed`."""

    def layers_of(self, node: Node, key: str) -> int | None:
        """Number of layers of the method's layout; a problem where it has none. See `axes.LayersOf`."""
        if key.rpartition(".")[2] not in self.config.model_fields:
            if self._program is not None and "layers" not in node.fields:
                rule = "only the file can say how many layers a program's layout has"
                self._problems.add(node, key, rule, remedy="add layers")
            return None  # noted as an unknown field, where it is one
        try:
            config = instantiate(self.config, self.fixed)
        except (ValueError, InputError):
            if not self._problems.found and "layers" not in node.fields:
                rule = f"method {self._name} cannot say the number of layers from the values under fixed"
                self._problems.add(node, key, rule, remedy="fix what it depends on, or add layers")
            return None
        try:
            layers = self._method.layout_layers(config)
        except InputError as error:
            # The file may say what the method cannot know yet, and weights may be missing at scales nobody asked for.
            if "layers" not in node.fields and (self._strict or not isinstance(error, AssetError)):
                self._problems.add(node, key, str(error).rstrip("."))
            return None
        if layers is None:
            rule = f"method {self._name} has no layout under these values"
            self._problems.add(node, key, rule, remedy="use another type of axis, or another method")
        return layers

    def check_axes(self, axes: Mapping[str, Domain | None]) -> None:
        """Note axes that are no fields, and values on an axis that its field refuses."""
        nodes = self._root.fields["search"].fields if "search" in self._root.fields else {}
        known = self._names({name: nodes[name] for name in axes}, "search")
        for name, axis in axes.items():
            if axis is None or name not in known:
                continue
            for where, key, value in _probes(axis, nodes[name]):
                if error := field_error(self.config, name, value, self.fixed):
                    remedy = about(self.config, name, value)
                    value = where.plain() if isinstance(axis, (Float, Int)) else value  # as the file writes it
                    if isinstance(axis, Float) and error["type"] in ("int_type", "int_from_float"):
                        where, key, value, remedy = nodes[name].fields["type"], ".type", "float", "use type: int"
                    add_error(self._problems, where, f"search.{name}{key}", error, value, remedy)

    def check_stage_values(self, nodes: Sequence[Node]) -> None:
        """Note wrong names and values under the stages' own `fixed`."""
        for node in nodes:
            if "fixed" in node.fields:
                where, key = node.fields["fixed"], f"{stage_key(node, nodes)}.fixed"
                known = self._names(where.fields, key)
                check_values(self.config, known, self.fixed, where, key, self._problems)

    def check_points(self, stages: Sequence[StageSpec], space: Space) -> None:
        """Note stages of which some points make no valid config, and axes that no trial would set."""
        nodes = self._root.fields["stages"].items if "stages" in self._root.fields else []
        for index, stage in enumerate(stages):
            key = f"stages.{stage.name}" if nodes else "search"
            where = nodes[index] if nodes else self._root.fields.get("search", self._root)
            effective = in_effect(stage, stages)
            # What the stage searches or takes over has that value or none, never the axis' default.
            given = {name: value for name, value in {**self.fixed, **stage.fixed}.items() if name not in effective}
            own = space.only(tuple(effective))
            lonely = [
                (axis.name, c.parameter)
                for axis in own.domains
                for c in axis.when
                if c.parameter not in effective and c.parameter not in given
            ]
            for axis_name, parent in lonely:
                rule = f"the condition of {axis_name} needs {parent}, which has no value in this stage"
                self._problems.add(where, key, rule, remedy=f"search {parent} here as well, fix it, or add from")
            if self._program is not None:
                self._check_stage(stage, {**self.fixed, **stage.fixed}, effective, where, key)
            if lonely:
                continue
            seen = {**given, **named_outside(own, self.config, given, effective)}
            what = f"stage {stage.name}" if nodes else "the search"
            if check_stage(own, seen, what, self._root, self._problems):
                self._check_points(own, given, seen, where, key)
                if stage.start_from is None and not self._problems.found:
                    self._check_alone(stage, own, seen, where, key)

    def _check_stage(
        self, stage: StageSpec, values: Mapping[str, Any], effective: Collection[str], where: Node, key: str
    ) -> None:
        """What a stage asks of a program: to train on a share of the data, and to say how long it trains."""
        assert self._program is not None
        named = self._program.named(values)
        if stage.data_fraction < 1 and named is not None and "data_fraction" not in named.given:
            rule, remedy = (
                f"method {self._name} makes no use of data_fraction",
                "let it take that, or leave it out here",
            )
            self._problems.add(where, f"{key}.data_fraction", rule, value=stage.data_fraction, remedy=remedy)
        if stage.scheduler.name == "asha" and values.get("epochs") is None and "epochs" not in effective:
            rule = "asha must know how many epochs there are"
            self._problems.add(where, f"{key}.scheduler", rule, remedy="give epochs under fixed, or use median")

    def _missing(self, values: Mapping[str, Any], where: Node, key: str) -> bool:
        """Note a name that a program needs and that has no value; whether there is one."""
        named = None if self._program is None else self._program.named(values)
        for name in sorted(named.required if named is not None else ()):
            if values.get(name) is None:
                rule = f"method {self._name} needs a value for {name}"
                remedy = "add it under fixed or search, or put the words that name it in a list of their own"
                self._problems.add(where, key, rule, remedy=remedy)
                return True
        return False

    def _unreported(self, values: Mapping[str, Any], control: tuple[Node, str] | None) -> bool:
        """Note an objective that a training under these values does not report, as far as the method says; if any.

        Args:
            control: The place and key of the control that has the values; None for points of the search.
        """
        found = unreported(self._method, instantiate(self.config, values), self.objectives)
        if found is None:
            return False
        index, remedy = found
        if "metrics" in self.config.model_fields:
            remedy += f"; metrics, under {'fixed' if control is None else 'its values'}, may name others"
        wrong = self.objectives[index]
        if control is None:  # one mistake, which is not repeated for every control
            self.objectives = [one for one in self.objectives if one != wrong]
            node = self._root.fields["objective"]
            control = (node.items or [node])[index].fields["metric"], "objective"
        rule = f"method {self._name} does not report the objective"
        self._problems.add(*control, rule, value=wrong, remedy=remedy)
        return True

    def _names(self, entries: Mapping[str, Node], key: str) -> dict[str, Node]:
        """Note every name that the method does not take; return the other entries."""
        if self._program is None:
            return check_names(self.config, entries, key, self.owner, self._problems)
        known = {}
        for name, node in entries.items():
            if name in self._program.given or name == protocol.FORMER:
                what = self._program.given.get(name, "it had a meaning of its own once")
                rule = f"is not a name that a parameter may have: {what}"
                self._problems.add(node.key_place, f"{key}.{name}", rule, remedy="choose another name")
            elif name in self.config.model_fields or self._used is None or name in self._used:
                known[name] = node
            else:
                rule = f"is not {self.owner}, and its command makes no use of {{{name}}}"
                remedy = suggest(name, [*self.config.model_fields, *self._used], "known are")
                self._problems.add(node.key_place, f"{key}.{name}", rule, remedy=remedy)
        return known

    def _check_alone(self, stage: StageSpec, space: Space, seen: Mapping[str, Any], where: Node, key: str) -> None:
        """What can be known of a stage that takes nothing over: that its points and its grid keep the constraints."""
        if space.constraints and grid_is_empty(stage, space, seen):
            rule = "no point of the grid keeps the constraints"
            self._problems.add(where, key, rule, remedy="give the grid more points, or take another searcher")
        defaults = {name: value for name, value in self.fixed.items() if name in space}
        base = {name: value for name, value in {**self.fixed, **stage.fixed}.items() if name not in space}

        def refused(values: Mapping[str, Any]) -> str | None:
            errors = errors_of(self.config, {**base, **values})
            return f"makes no valid config: {rule_of(errors[0])}" if errors else None

        check_whole(self._root, stage, space, seen, defaults, refused, self._problems)

    def _check_points(
        self, space: Space, given: Mapping[str, Any], seen: Mapping[str, Any], where: Node, key: str
    ) -> None:
        rng = np.random.default_rng(0)
        for _ in range(_SAMPLES if space.domains else 1):
            values = space.sample(rng, seen)
            errors = errors_of(self.config, {**given, **values})
            if errors:
                error = errors[0]
                field = ".".join(map(str, error["loc"]))
                if error["type"] == "missing":
                    rule = f"method {self._name} needs a value for {field}"
                    self._problems.add(where, key, rule, remedy="add it under fixed or search")
                else:
                    prefix = f"every point must make a valid config, but {f'{field} ' if field else ''}"
                    remedy = "narrow the space, or add a constraint"
                    add_error(self._problems, where, key, error, values or UNSAID, remedy, prefix)
                return
            if self._missing({**given, **values}, where, key) or self._unreported({**given, **values}, None):
                return
            for axis in space.domains:
                if isinstance(axis, Layout) and axis.name in values:
                    layers = self._layers({**given, **values})
                    if layers not in (None, axis.layers):
                        rule = f"a layout's layers must be the same at every point; {axis.name} has {axis.layers}"
                        remedy = "fix what decides the number of layers"
                        self._problems.add(where, key, rule, got=f"{layers} at {show(values)}", remedy=remedy)
                        return

    def _layers(self, values: Mapping[str, Any]) -> int | None:
        try:
            return self._method.layout_layers(instantiate(self.config, values))
        except (InputError, ValueError):
            return None

    def check_control(self, control: Control, base: Mapping[str, Any], space: Space, node: Node, key: str) -> None:
        """Note what is wrong with a control of this method.

        Args:
            control: The control.
            base: The values under it, `fixed` among them; empty for another method.
            space: The searched axes.
            node: The control's place.
            key: Its dotted key.
        """
        entries = node.fields["values"].fields if "values" in node.fields else {}
        where = node.fields.get("values", node)
        known = self._names(entries, f"{key}.values")
        before = len(self._problems.found)
        check_values(self.config, known, base, where, f"{key}.values", self._problems)
        if len(known) < len(entries) or len(self._problems.found) > before:
            return
        given = {name: value for name, value in base.items() if name not in space}
        seen = {**given, **named_outside(space, self.config, given, ())}
        drawn: Mapping[str, Any] = {}
        rule = next((f"breaks the constraint {show(c.text)}" for c in self._broken_by(control, base, seen, space)), "")
        if control.random:
            try:
                drawn = sample_with(space, np.random.default_rng(0), seen, control.values)
            except NoPointError:
                rule = "whatever is drawn beside its values breaks a constraint"
        if rule:
            own = f"{key}.values" if entries else key
            self._problems.add(where, own, rule, remedy="change its values, or the constraint")
            return
        for error in errors_of(self.config, {**base, **drawn, **control.values}):
            if control.random and error["type"] != "missing":
                continue  # the stages' points are checked by themselves
            field = ".".join(map(str, error["loc"]))
            prefix = f"{field}: " if field else ""
            add_error(self._problems, node, key, error, UNSAID, "change its values", prefix)
            return
        values = {**base, **drawn, **control.values}
        if not self._missing(values, node, key):
            self._unreported(values, (where, f"{key}.values" if entries else key))

    def _broken_by(
        self, control: Control, base: Mapping[str, Any], outside: Mapping[str, Any], space: Space
    ) -> list[Constraint]:
        """The constraints that a control breaks which has all its values."""
        if control.random:
            return []
        fields = self.config.model_fields
        defaults = {name: fields[name].get_default(call_default_factory=True) for name in space.names if name in fields}
        seen = {**defaults, **outside, **base, **control.values}
        there = {
            d.name: seen[d.name]
            for d in space.domains
            if d.name in seen and (d.name in control.values or space.active(d, seen))
        }
        return space.broken(there, seen)

    def check_field(self, name: str, node: Node, key: str, why: str) -> None:
        """Note if the method has no field of this name, or the field refuses the value at `node`."""
        if name not in self.config.model_fields:
            rule = f"method {self._name} has no field {name}"
            self._problems.add(node.key_place, key, rule, remedy=why)
            return
        if error := field_error(self.config, name, node.plain(), self.fixed):
            add_error(self._problems, node, key, error, node.plain(), about(self.config, name))

    def check_tested(self, node: Node) -> None:
        """Note metrics of `promotion.test` that the method cannot measure, where it says what it can."""
        if self._program is not None or "metrics" not in self.config.model_fields:
            return
        for place, name in enumerate(node.plain()):
            if error := field_error(self.config, "metrics", [name.removeprefix(SAMPLED)], self.fixed):
                remedy = "docs/measures.md has all"
                add_error(self._problems, node.at([place]), "promotion.test", error, name, remedy)

    def canonical(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Whole numbers of real-valued fields as floats, so that 1 and 1.0 are the same search."""
        result = dict(values)
        for name, value in values.items():
            if type(value) is int:
                try:
                    read = getattr(instantiate(self.config, {**self.fixed, name: value}), name)
                except (ValueError, InputError):
                    continue
                result[name] = float(value) if isinstance(read, float) else value
        return result


def _used(program: ProgramMethod | None, root: Node) -> frozenset[str] | None:
    """Names that a program makes use of anywhere in a document; None if it takes any, or its fixed values are wrong."""
    if program is None:
        return None
    fixed = root.fields["fixed"].plain() if "fixed" in root.fields else {}
    if not isinstance(fixed, dict):
        return None
    parts = [("stages", "fixed"), ("controls", "values")]
    more = [
        item.fields[part].plain() for key, part in parts if key in root.fields for item in root.fields[key].items
        if part in item.fields
    ]  # fmt: skip
    found = [program.named({**fixed, **values}) for values in [{}, *more] if isinstance(values, dict)]
    if any(one is None or one.parameters is None for one in found):
        return None
    return frozenset(name for one in found if one is not None for name in one.parameters or ())


def _probes(axis: Domain, node: Node) -> Iterator[tuple[Node, str, Any]]:
    """Values that stand for an axis, each with its place and the key's ending."""
    if isinstance(axis, (Float, Int)):
        for end in ("low", "high"):
            yield node.fields[end], f".{end}", getattr(axis, end)
    elif isinstance(axis, Categorical):
        yield from ((item, ".choices", item.plain()) for item in node.fields["choices"].items)
    elif isinstance(axis, Bool):
        yield node, "", True
    else:
        yield node, "", axis.sample(np.random.default_rng(0))
