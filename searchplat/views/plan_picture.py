"""What a search is going to do: its axes, stages and cost, from its spec alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchplat import hints
from searchplat.engine.cluster.room import lack, this_machine
from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.methods import load_method
from searchplat.spec.building.constraints import kept, named_outside
from searchplat.spec.model import Control, SearchSpec, StageSpec
from searchplat.spec.space import Categorical, Domain, Float, Int, Layout
from searchplat.views import text
from searchplat.views.output import cell, command, line, table

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Cost:
    """What a search costs at most; early stopping makes it less.

    Args:
        trials: Of all stages and controls.
        epochs: Trials times their epochs.
        user_epochs: Epochs weighted by the share of the users: what training time grows with.
        seconds: Training time of all trials one after the other; None without a search to measure by.
        measured_by: That search and how many of its trials.
    """

    trials: int
    epochs: int
    user_epochs: float
    seconds: float | None = None
    measured_by: str | None = None


def cost(spec: SearchSpec, name: str | None = None, runs: Path | None = None) -> Cost:
    """Estimate the cost of a search; the time by what an earlier run of it took per epoch.

    Args:
        name: The search to measure by; by default that of the space's own name.
        runs: The folder of all searches.
    """
    trials, epochs, weighted = 0, 0, 0.0
    for number, each, fraction in _batches(spec):
        trials += number
        epochs += number * each
        weighted += number * each * fraction
    folder = folder_of(spec, name, runs)
    if not folder.exists():
        return Cost(trials, epochs, weighted)
    with folder.read() as ledger:
        ended = [t for t in ledger.trials() if t.seconds > 0 and t.epoch > 0 and t.method == spec.method]
    if not ended:
        return Cost(trials, epochs, weighted)
    per_epoch = sum(t.seconds for t in ended) / sum(t.epoch * t.data_fraction for t in ended)
    by = f"{text.plural(len(ended), 'trial')} of the search {folder.name}"
    return Cost(trials, epochs, weighted, per_epoch * weighted, by)


def folder_of(spec: SearchSpec, name: str | None, runs: Path | None) -> SearchFolder:
    """Where the search would be, or is; arguments as of `cost`."""
    return SearchFolder(runs or runs_root(), _default_name(spec) if name is None else name)


def screen(spec: SearchSpec, estimate: Cost, runs: Path | None = None) -> RenderableType:
    """The plan for people.

    Args:
        runs: The folder of all searches.
    """
    from rich.console import Group

    scale = f" at scale {spec.scale}" if spec.scale else ""
    goal = ", ".join(f"{'maximize' if o.maximize else 'minimize'} {o.metric}" for o in spec.objectives)
    options = "".join(f", {key} {text.exact(value)}" for key, value in spec.data.options.items())
    parts: list[RenderableType] = [
        line((spec.name, "bold"), f"  {spec.method} on {spec.data.shown}{options}{scale}"),
        line(goal),
        "",
        _axes_table(spec),
        line(("size of the space  ", "dim"), text.count(spec.space.size())),
        *_constraints(spec),
        "",
        _stages_table(spec),
        "",
    ]
    if spec.controls:
        rows = [(c.name, c.trials, f"{c.data_fraction:.0%}", control_text(c)) for c in spec.controls]
        parts += [table(("control", ">trials", ">users", "what"), rows), ""]
    parts.append(table(("", ""), [(cell(label, "dim"), content) for label, content in _facts(spec, estimate)]))
    parts += [line(("warning  ", "bold"), text.visible(one)) for one in _warnings(spec)]
    name = spec.name if spec.name != spec.source.stem else None
    start = hints.goes_on(spec, name, runs or runs_root())
    parts += ["", line("valid; nothing was started. To start it:"), command(start)]
    return Group(*parts)


def document(spec: SearchSpec, estimate: Cost) -> dict[str, Any]:
    """The plan for scripts."""
    from searchplat.spec import digest, to_document

    full = to_document(spec)
    del full["text"]
    size = {"size": spec.space.size(), "feasible": feasible_share(spec)}
    about = {**size, "cost": asdict(estimate), "warnings": _warnings(spec), "space": full}
    return {"valid": True, "digest": digest(spec), **about}


def _warnings(spec: SearchSpec) -> list[str]:
    """What is no error, as the space may be meant for another machine."""
    found = lack(spec.resources, this_machine())
    return [] if found is None else [f"{found.key}: {found.rule}; to search here {found.remedy}"]


def feasible_share(spec: SearchSpec) -> float:
    """Share of the points that keep the constraints, estimated from 4,000 drawn over all axes."""
    if not spec.space.constraints:
        return 1.0
    given = {name: value for name, value in spec.fixed.items() if name not in spec.space}
    given |= named_outside(spec.space, load_method(spec.method).Config, given, ())
    return kept(spec.space, given).share


def _constraints(spec: SearchSpec) -> list[RenderableType]:
    rows: list[RenderableType] = [
        line(("constraint  ", "dim"), text.visible(one.text)) for one in spec.space.constraints
    ]
    if spec.space.constraints:
        rows.append(line(("feasible  ", "dim"), f"about {100 * feasible_share(spec):.3g} % of its points keep them"))
    rows += [line(("outcome  ", "dim"), text.visible(bound.text)) for bound in spec.outcomes]
    return rows


def axis_text(axis: Domain) -> str:
    """An axis in words."""
    if isinstance(axis, Layout):
        most = "".join(f", at most {number} {choice}" for choice, number in axis.at_most.items())
        roles = ", ".join(axis.roles)
        return f"{axis.layers} layers x ({roles}), each {axis.choices[0]} or {axis.choices[1]}{most}"
    if isinstance(axis, (Float, Int)):
        step = f", step {text.value(axis.step)}" if axis.step not in (None, 1) else ""
        return f"{text.value(axis.low)} to {text.value(axis.high)}{', log' if axis.log else ''}{step}"
    if isinstance(axis, Categorical):
        return ", ".join(text.exact(choice) for choice in axis.choices) + (" (ordered)" if axis.ordered else "")
    return "true or false"


def control_text(control: Control) -> str:
    """What a control is, in words."""
    parts = [f"the method {control.method}"] if control.method else []
    parts += ["searched parameters drawn at random"] if control.random else []
    parts += [text.values_line(control.values, 200)] if control.values else []
    return ", ".join(parts) or "the method's defaults"


def _axes_table(spec: SearchSpec) -> RenderableType:
    rows = []
    for axis in spec.space.domains:
        when = " and ".join(f"{c.parameter} is {' or '.join(map(text.exact, c.values))}" for c in axis.when)
        what = axis_text(axis) + (f"; only when {when}" if when else "")
        rows.append((axis.name, type(axis).__name__.lower(), text.count(axis.size()), what))
    return table(("parameter", "type", ">values", "what"), rows)


def _stages_table(spec: SearchSpec) -> RenderableType:
    from searchplat.engine.planning.epochs import most_epochs

    rows = []
    for stage in spec.stages:
        searcher = stage.searcher.name + "".join(f" {k}={text.value(v)}" for k, v in stage.searcher.options.items())
        if stage.repeats is not None:
            searcher += f", {stage.repeats.share:.0%} repeats of the best {stage.repeats.top}"
        if stage.stop is not None:
            searcher += f", until the next {stage.stop.trials} trials gain less than {stage.stop.gain:g}"
        start = ""
        if stage.start_from is not None:
            top = stage.start_from.top
            start = f"best of {stage.start_from.stage}" if top == 1 else f"best {top} of {stage.start_from.stage}"
        over = ", ".join(stage.over) or "nothing"
        epochs = most_epochs(spec, stage)
        rows.append(
            (stage.name, over, searcher, stage.trials, stage.seeds, epochs, f"{stage.data_fraction:.0%}", start)
        )
    return table(("stage", "over", "searcher", ">trials", "seeds", ">epochs", ">users", "builds on"), rows)


def _facts(spec: SearchSpec, estimate: Cost) -> list[tuple[str, str]]:
    resources = spec.resources
    cpu = "a measured share of the cores" if resources.cpu_auto else f"{resources.cpu:g} CPU"
    gpu = "a measured share of a GPU where there is one" if resources.gpu is None else f"{resources.gpu:g} GPU"
    within = "" if resources.probe_s is None else f", measured within {text.duration(resources.probe_s)}"
    if resources.workers > 1:
        cpu = f"{resources.workers} workers of {cpu}"
        gpu = "a GPU each where there are any" if resources.gpu is None else f"{resources.gpu:g} GPU each"
    most = f", at most {resources.concurrent} at once" if resources.concurrent else ""
    trials = text.plural(estimate.trials, "trial")
    weight = f", as much as {estimate.user_epochs:.4g} epochs on all users"
    facts = [
        ("a trial", f"{cpu}, {gpu}{most}{within}"),
        ("stopping", _stopping(spec)),
        ("cost", f"{trials}, at most {text.plural(estimate.epochs, 'epoch')}{weight}"),
    ]
    if estimate.seconds is not None:
        facts.append(("time", f"about {text.duration(estimate.seconds)} of training, by {estimate.measured_by}"))
    else:
        facts.append(("time", "not known before a few trials have run"))
    promotion = spec.promotion
    facts.append(
        (
            "promotion",
            f"the best {promotion.top} with {text.plural(promotion.seeds, 'seed')} each, on "
            f"{promotion.data_fraction:.0%} of the users, tested by {', '.join(promotion.test)}",
        )
    )
    return facts


def _stopping(spec: SearchSpec) -> str:
    def words(stage: StageSpec) -> str:
        scheduler = stage.scheduler
        if scheduler.name == "asha":
            return f"asha, at least {text.plural(scheduler.grace, 'epoch')}, keeps 1 of {scheduler.reduction}"
        if scheduler.name == "median":
            return f"median, at least {text.plural(scheduler.grace, 'epoch')}, from {scheduler.min_trials} trials on"
        return "none"

    found = {stage.name: words(stage) for stage in spec.stages}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{name}: {what}" for name, what in found.items())


def _batches(spec: SearchSpec) -> list[tuple[int, int, float]]:
    """Trials, epochs each, share of the users: of every stage and control."""
    from searchplat.engine.planning.configuration import full_config
    from searchplat.engine.planning.epochs import epochs_of, most_epochs

    found = [(stage.trials, most_epochs(spec, stage), stage.data_fraction) for stage in spec.stages]
    for control in spec.controls:
        fixed = {} if control.method else {**spec.fixed, **spec.stages[-1].fixed}
        config = full_config(control.method or spec.method, {**fixed, **control.values})
        found.append((control.trials, epochs_of(config) or 1, control.data_fraction))
    return found


def _default_name(spec: SearchSpec) -> str:
    return f"{spec.name}-{spec.scale}" if spec.scale else spec.name
