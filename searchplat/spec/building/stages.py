"""From the read document to typed stages: which parameter is searched where, and what a stage takes over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from searchplat.spec.document.nodes import Node
from searchplat.spec.document.shapes import BROKEN, whole
from searchplat.spec.errors import Problems, suggest
from searchplat.spec.model import CONTROLS, RepeatsSpec, SchedulerSpec, SearcherSpec, StageFrom, StageSpec, StopSpec
from searchplat.spec.space import Domain

SHORTHAND = ("searcher", "trials", "hours", "gpu_hours", "data_fraction", "seeds", "repeats", "points", "stop")
"""Keys of a file without stages: those of its only stage."""


def scheduler_spec(fields: Any) -> SchedulerSpec:
    """The scheduler of a read `scheduler:`; the default for None and for a broken one."""
    return SchedulerSpec(**fields) if fields and whole(fields) else SchedulerSpec()


def build_stages(
    root: Node, read: Mapping[str, Any], axes: Mapping[str, Domain | None], problems: Problems
) -> list[StageSpec | None]:
    """Return the stages in order; None stands for one whose problem is noted.

    A document without `stages` is one stage, `search`, over all axes. Without any axis it is one trial.
    """
    scheduler = scheduler_spec(read.get("scheduler"))
    if "stages" not in read:
        return [_implicit(root, read, axes, scheduler, problems)]
    for key in SHORTHAND:
        if key in read:
            rule = "stages have their own: it stands here only in a file without stages"
            problems.add(root.fields[key].key_place, key, rule, remedy=f"write it as stages.<name>.{key}")
    if read["stages"] is BROKEN:
        return [None]
    nodes = root.fields["stages"].items
    stages: list[StageSpec | None] = []
    for index, (node, fields) in enumerate(zip(nodes, read["stages"], strict=True)):
        stages.append(_build(node, fields, nodes[:index], nodes, scheduler, problems))
    _check_over(nodes, read["stages"], axes, problems)
    _check_seeds(nodes, stages, problems)
    _check_unsearched(root, nodes, read["stages"], axes, problems)
    return stages


def _implicit(
    root: Node,
    read: Mapping[str, Any],
    axes: Mapping[str, Domain | None],
    scheduler: SchedulerSpec,
    problems: Problems,
) -> StageSpec | None:
    searcher, trials, fraction = read.get("searcher"), read.get("trials", 1), read.get("data_fraction", 1.0)
    if axes:
        for key in ("searcher", "trials"):
            if key not in read:
                rule = f"a file without stages must have the key {key}"
                problems.add(root, "", rule, remedy=f"add {key}, or stages")
    bounds: dict[str, Any] = {key: read.get(key) for key in ("hours", "gpu_hours")}
    seeds, again, points = read.get("seeds", "own"), read.get("repeats"), read.get("points", [])
    stop = read.get("stop")
    if (
        not whole([searcher, trials, fraction, seeds, again, points, stop, *bounds.values()])
        or None in axes.values()
        or (axes and "searcher" not in read)
    ):
        return None
    spec = _searcher(searcher) if axes and searcher is not None else SearcherSpec("random")
    return StageSpec(
        "search",
        tuple(axes),
        spec,
        trials,
        fraction,
        {},
        None,
        scheduler,
        **bounds,
        seeds=seeds,
        repeats=_repeats(again),
        points=tuple(points),
        stop=_stop(stop),
    )


def _build(
    node: Node,
    fields: Any,
    before: Sequence[Node],
    everyone: Sequence[Node],
    scheduler: SchedulerSpec,
    problems: Problems,
) -> StageSpec | None:
    if fields is BROKEN:
        return None
    name, key = fields["name"], stage_key(node, everyone)
    earlier = [stage.name for stage in before if stage.name is not None]
    if name is not BROKEN and name in earlier:
        rule = "every stage has its own name"
        problems.add(node.fields["name"], f"{key}.name", rule, value=name, remedy="rename one of the two")
    if name == CONTROLS:
        rule = f"a stage may not be called {CONTROLS}: the ledger files the controls under it"
        problems.add(node.fields["name"], f"{key}.name", rule, remedy="choose another name")
    source = fields.get("from")
    if fields["over"] == [] and source is None:
        rule = "a stage that searches nothing must train the best trials of an earlier one again"
        problems.add(node.fields["over"], f"{key}.over", rule, remedy="add from, or parameters to search")
    if source is not None and whole(source):
        place = node.fields["from"].fields["stage"]
        later = [stage.name for stage in everyone[len(before) :] if stage.name is not None]
        if source["stage"] in earlier:
            pass
        elif source["stage"] in later:
            rule = "a stage may build only on an earlier one"
            problems.add(place, f"{key}.from.stage", rule, value=source["stage"], remedy="reorder the stages")
        else:
            remedy = suggest(source["stage"], earlier, "earlier stages are")
            rule = "there is no stage of this name"
            problems.add(place, f"{key}.from.stage", rule, value=source["stage"], remedy=remedy)
    if not whole(fields):
        return None
    return StageSpec(
        name=name,
        over=tuple(fields["over"]),
        searcher=_searcher(fields["searcher"]),
        trials=fields["trials"],
        data_fraction=fields.get("data_fraction", 1.0),
        fixed=fields.get("fixed", {}),
        start_from=StageFrom(**source) if source is not None else None,
        scheduler=scheduler_spec(fields["scheduler"]) if "scheduler" in fields else scheduler,
        hours=fields.get("hours"),
        gpu_hours=fields.get("gpu_hours"),
        priority=fields.get("priority", 0),
        seeds=fields.get("seeds", "own"),
        repeats=_repeats(fields.get("repeats")),
        points=tuple(fields.get("points", ())),
        stop=_stop(fields.get("stop")),
    )


def _searcher(fields: Mapping[str, Any]) -> SearcherSpec:
    return SearcherSpec(fields["name"], {key: value for key, value in fields.items() if key != "name"})


def _repeats(fields: Mapping[str, Any] | None) -> RepeatsSpec | None:
    return None if fields is None else RepeatsSpec(**fields)


def _stop(fields: Mapping[str, Any] | None) -> StopSpec | None:
    return None if fields is None else StopSpec(**fields)


def stage_key(node: Node, everyone: Sequence[Node]) -> str:
    if node.name is not None:
        return f"stages.{node.name}"
    return f"stages[{next(i for i, other in enumerate(everyone) if other is node)}]"


def _check_over(
    nodes: Sequence[Node], read: Sequence[Any], axes: Mapping[str, Domain | None], problems: Problems
) -> None:
    """Rules between `over`, `from` and a stage's own `fixed`."""
    inherited: dict[str, dict[str, str]] = {}  # stage -> parameter -> the stage that searched it
    for node, fields in zip(nodes, read, strict=True):
        if fields is BROKEN:
            continue
        key = stage_key(node, nodes)
        over = fields["over"] if fields["over"] is not BROKEN else []
        places = node.fields["over"].items if "over" in node.fields else []
        source = fields.get("from")
        taken = inherited.get(source["stage"], {}) if source is not None and whole(source) else {}
        for place, name in zip(places, over, strict=False):
            if name is BROKEN:
                continue
            if name not in axes:
                rule = "a stage searches parameters that have an axis under search"
                problems.add(place, f"{key}.over", rule, value=name, remedy=suggest(name, axes, "axes are"))
            elif name in taken:
                rule = f"{name} is taken over from stage {taken[name]}, so this stage cannot search it as well"
                problems.add(place, f"{key}.over", rule, remedy="remove it here, or remove from")
        for name, value in (node.fields["fixed"].fields if "fixed" in node.fields else {}).items():
            if name in over or name in taken:
                how = "searched by" if name in over else "taken over into"
                rule = f"{name} is {how} this stage, so it cannot be fixed in it as well"
                problems.add(value.key_place, f"{key}.fixed", rule, remedy="remove one of the two")
        if node.name is not None:
            inherited[node.name] = {**taken, **dict.fromkeys((n for n in over if n is not BROKEN), node.name)}


def _check_seeds(nodes: Sequence[Node], stages: Sequence[StageSpec | None], problems: Problems) -> None:
    """A stage that only trains the best again, on the same users and the seed that it had, would learn nothing."""
    known = {stage.name: stage for stage in stages if stage is not None}
    for node, stage in zip(nodes, stages, strict=True):
        if stage is None or stage.over or stage.start_from is None:
            continue
        earlier = known.get(stage.start_from.stage)
        both = [(one.seeds, one.data_fraction, one.fixed) for one in (stage, earlier) if one is not None]
        if stage.seeds == "shared" and len(both) == 2 and both[0] == both[1]:
            rule = f"trains the best of stage {stage.start_from.stage} on the users and the seed that they had"
            place = node.fields.get("seeds", node)
            remedy = "write seeds: own, or another data_fraction or fixed"
            problems.add(place, f"{stage_key(node, nodes)}.seeds", rule, value=stage.seeds, remedy=remedy)


def _check_unsearched(
    root: Node,
    nodes: Sequence[Node],
    read: Sequence[Any],
    axes: Mapping[str, Domain | None],
    problems: Problems,
) -> None:
    """Every axis has a stage."""
    if any(fields is BROKEN or not whole(fields["over"]) for fields in read):
        return
    searched = {name for fields in read for name in fields["over"]}
    names = ", ".join(node.name for node in nodes if node.name is not None)
    for name, axis in axes.items():
        if name not in searched and axis is not None:
            place = root.fields["search"].fields[name].key_place
            rule = "no stage searches it"
            problems.add(place, f"search.{name}", rule, remedy=f"add it to over of a stage ({names}), or fix it")


def in_effect(stage: StageSpec, stages: Sequence[StageSpec]) -> set[str]:
    """The parameters that have a value in a trial of this stage: its own and those taken over."""
    names = set(stage.over)
    source = stage.start_from
    while source is not None:
        earlier = next(s for s in stages if s.name == source.stage)
        names |= set(earlier.over)
        source = earlier.start_from
    return names
