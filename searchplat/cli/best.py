"""`searchplat best`: the best trials of a search, and how to train the first of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options
from searchplat.views import TOP

if TYPE_CHECKING:
    from searchplat.ledger import TrialRecord
    from searchplat.views.belief import Believed
    from searchplat.views.snapshot import Snapshot


def best(
    search: options.Search,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many.")] = TOP,
    stage: Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Only this stage's trials.")] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="METRIC", help="By this objective alone. [default: all; the Pareto front first]"),
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="All of the Pareto front and nothing else, however many --top says.")
    ] = False,
    model: Annotated[
        bool,
        typer.Option(
            "--model",
            help="By what a model of a stage's trials says that each is worth without its noise.",
        ),
    ] = False,
    yaml: Annotated[
        bool, typer.Option("--yaml", help="Print only the first one's configuration, as YAML for a space file.")
    ] = False,
    set_: Annotated[
        bool, typer.Option("--set", help="Print only the `searchplat run` command that trains the first one again.")
    ] = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """Show the best trials, and the whole configuration of the first.

    Trials compare where they were measured on the same share of the users: that of the last stage with a value. Others
    are left out. With several objectives the Pareto front comes first, with bounds on outcomes what keeps them.

    The best of many noisy values is more often lucky than good. --model ranks a stage's configurations (by default
    those of the last stage that has values) by the posterior mean of a Gaussian process, whoever searched them.

    \b
    Examples:
      searchplat best darec-quick --top 3
      searchplat best fast-and-good --by valid/ndcg@10
      searchplat best fast-and-good --front --json
      searchplat best darec-quick --model --stage layout
      searchplat best darec-quick --yaml > best.yaml
      searchplat best darec-quick --set | sh
    """
    from searchplat.errors import InputError
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.ledger.ranking import place_of
    from searchplat.views import text
    from searchplat.views.belief import by_model
    from searchplat.views.choice import best_trials, document, no_best
    from searchplat.views.output import print_json, show
    from searchplat.views.reuse import fixed_yaml, run_command
    from searchplat.views.snapshot import take

    if model and (front or by is not None):
        raise InputError("--model: ranks by its own estimate; give it without --by and --front")
    if front and by is not None:
        raise InputError("--front: is of all objectives, and --by of one; give one of the two")
    if json_ + yaml + set_ > 1:
        raise InputError("each of them is the whole output; give one of --json, --yaml and --set")
    folder = SearchFolder(runs or runs_root(), search)
    with folder.read() as ledger:
        snapshot = take(search, folder.path, ledger)
        believed = by_model(snapshot, ledger, stage) if model else None
    ranked = best_trials(snapshot, top, stage=stage, by=by) if believed is None else believed.trials[:top]
    if front and ranked:
        ranked = snapshot.ranking.front(stage)
    if json_:
        marks = snapshot.ranking.on_front(stage)
        print_json([document(snapshot, trial, marks) | _estimate(believed, trial) for trial in ranked])
        return
    if not ranked:
        raise no_best(snapshot, stage)
    if yaml:
        print(fixed_yaml(ranked[0]))
    elif set_:
        if not (words := run_command(snapshot, ranked[0])):
            raise InputError(
                f"--set: {search!r} was trained by a loop of its own, and no command trains it; use --yaml"
            )
        print(text.shell_words(words))
    else:
        show(screen(snapshot, ranked, stage, place_of(snapshot.spec.objectives, by), believed))


def _estimate(believed: Believed | None, trial: TrialRecord) -> dict[str, Any]:
    found = None if believed is None else believed.estimates.get(trial.number)
    return {} if found is None else {"model": {"mean": found.mean, "sd": found.sd}}


def _seed(snapshot: Snapshot, trial: TrialRecord) -> str:
    shared = any(stage.seeds == "shared" for stage in snapshot.spec.stages if stage.name == trial.stage)
    return f"seed {trial.seed}" + (f", which the trials of stage {trial.stage} share" if shared else "")


def screen(
    snapshot: Snapshot,
    ranked: list[TrialRecord],
    stage: str | None,
    by: int | None = None,
    believed: Believed | None = None,
) -> Any:
    """The ranking, the first one's configuration, how to train it again."""
    import math

    from rich.console import Group

    from searchplat.ledger.outcomes import NONE_KEPT, broken_words
    from searchplat.views import text
    from searchplat.views.layout_picture import layout_grid
    from searchplat.views.live_picture import searched_values, shared_values
    from searchplat.views.output import Fitted, command, line, table
    from searchplat.views.reuse import run_command

    several, bounds = snapshot.ranking.several, snapshot.spec.outcomes
    marks = snapshot.ranking.on_front(stage)
    repeated = any(len(snapshot.ranking.trainings[trial.number].numbers) > 1 for trial in ranked)
    same = shared_values([searched_values(snapshot, trial) for trial in ranked])
    rows = []
    for place, trial in enumerate(ranked, start=1):
        values = text.values_line({k: v for k, v in searched_values(snapshot, trial).items() if k not in same}, 300)
        numbers = [text.metric(value) for value in trial.objectives or ()]
        standing = ["front" if marks[trial.number] else "dominated"] if several else []
        found = snapshot.ranking.trainings[trial.number]
        spread = [len(found.numbers), *(text.metric(v) if math.isfinite(v) else "-" for v in found.deviation)]
        numbers += map(str, spread if repeated else [])
        if believed is not None:
            found_ = believed.estimates.get(trial.number)
            numbers.append("-" if found_ is None else f"{text.metric(found_.mean)} ± {text.metric(found_.sd)}")
        kept = [broken_words(trial.broken) or "kept"] if bounds else []
        rows.append(
            (place, trial.number, trial.stage, *standing, *numbers, text.duration(trial.seconds), *kept, values)
        )
    named = [*(["Pareto"] if several else []), *(f">{metric}" for metric in snapshot.metrics)]
    named += [">trainings", *(">sd" for _ in snapshot.metrics)] if repeated else []
    named += [">model"] if believed is not None else []
    parts: list[Any] = [
        table((">", ">trial", "stage", *named, ">time", *(["bounds"] if bounds else []), "values"), rows)
    ]
    if believed is not None:
        what = f"model: posterior mean ± sd of the value without noise, by all trials of stage {believed.stage}"
        parts.append(line((what, "dim")))
    if several:
        how = "first those that together dominate most" if by is None else f"by {snapshot.metrics[by]} alone"
        whole = f"Pareto front of {text.plural(sum(marks.values()), 'trial')}, which no trial dominates; {how}"
        parts.append(line((whole, "dim")))
    if same:
        parts.append(line(("all with ", "dim"), text.values_line(same, 300)))
    left_out = [] if stage else [t for t in snapshot.ranking.ranked if t.data_fraction != snapshot.ranking.share]
    if left_out:
        names = ", ".join(dict.fromkeys(t.stage for t in left_out))
        share = f"{text.plural(len(left_out), 'trial')} of {names} on another share of the users left out"
        parts.append(line((f"{share}; see --stage", "dim")))
    if ranked[0].broken:
        parts.append(line((NONE_KEPT, "bold red")))
    if (stands := snapshot.ranking.not_beaten) and stage is None:
        parts.append(line((f"the best is {stands}", "bold red")))
    parts += [line(("ranked  ", "dim"), snapshot.ranked)] if snapshot.ranked else []
    first = ranked[0]
    about = f"  {first.method}, {_seed(snapshot, first)}"
    parts += ["", line((f"configuration of trial {first.number}", "bold"), about)]
    searched = searched_values(snapshot, first)
    fields = [(key, text.exact(value), "searched" if key in searched else "") for key, value in first.config.items()]
    parts.append(table(("field", "value", ""), sorted(fields, key=lambda row: row[2] == "")))
    layout = snapshot.spec.layout
    if layout is not None and isinstance(first.config.get(layout.name), str):
        value = first.config[layout.name]
        parts += ["", Fitted(lambda width: Group(*layout_grid(layout, value, min(width, 80))))]
    if words := run_command(snapshot, first):
        parts += ["", line(("to train it again", "bold")), command(text.shell_words(words))]
    return Group(*parts)
