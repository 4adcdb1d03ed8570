"""`searchplat best`: the best trials of a search, and how to train the first of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.cli.snapshot import Snapshot
    from searchplat.ledger import TrialRecord


def best(
    search: options.Search,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="How many.")] = 5,
    stage: Annotated[str | None, typer.Option("--stage", metavar="NAME", help="Only this stage's trials.")] = None,
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

    Trials of an earlier stage on another share of the users are left out: their metrics do not compare.

    \b
    Examples:
      searchplat best darec-quick --top 3
      searchplat best darec-quick --yaml > best.yaml
      searchplat best darec-quick --set | sh
    """
    from searchplat.cli import text
    from searchplat.cli.output import print_json, show
    from searchplat.cli.reuse import fixed_yaml, run_command
    from searchplat.cli.snapshot import take
    from searchplat.cli.trials import document
    from searchplat.engine.folder import SearchFolder, runs_root
    from searchplat.errors import InputError, SearchFailedError

    folder = SearchFolder(runs or runs_root(), search)
    with folder.read() as ledger:
        snapshot = take(search, folder.path, ledger)
    known = [s.name for s in snapshot.spec.stages]
    if stage is not None and stage not in known:
        raise InputError(f"--stage: must be one of {', '.join(known)}, got {stage!r}; correct the name")
    ranked = [t for t in snapshot.comparable if stage is None] or [t for t in snapshot.ranking if t.stage == stage]
    ranked = ranked[:top]
    if json_:
        metrics = [objective.metric for objective in snapshot.spec.objectives]
        print_json([document(trial, metrics) for trial in ranked])
        return
    if not ranked:
        where = f"stage {stage!r} of search" if stage else "search"
        raise SearchFailedError(
            f"{where} {search!r} has no trial that ended with a value yet; see why with: searchplat trials {search}"
        )
    if yaml:
        print(fixed_yaml(ranked[0]))
    elif set_:
        print(text.shell_words(run_command(snapshot, ranked[0])))
    else:
        show(screen(snapshot, ranked, stage))


def shared_values(several: list[dict[str, Any]]) -> dict[str, Any]:
    """What all have in common, where there is more than one: it need not be repeated for each."""
    if len(several) < 2:
        return {}
    missing = object()
    return {k: v for k, v in several[0].items() if all(other.get(k, missing) == v for other in several[1:])}


def screen(snapshot: Snapshot, ranked: list[TrialRecord], stage: str | None) -> Any:
    """The ranking, the first one's configuration, how to train it again."""
    from rich.console import Group

    from searchplat.cli import text
    from searchplat.cli.layout import layout_grid
    from searchplat.cli.output import command, line, table
    from searchplat.cli.reuse import run_command
    from searchplat.cli.view import searched_values

    metrics = [objective.metric for objective in snapshot.spec.objectives]
    same = shared_values([searched_values(snapshot, trial) for trial in ranked])
    rows = []
    for place, trial in enumerate(ranked, start=1):
        values = text.values_line({k: v for k, v in searched_values(snapshot, trial).items() if k not in same}, 300)
        numbers = [text.metric(value) for value in trial.objectives or ()]
        rows.append((place, trial.number, trial.stage, *numbers, text.duration(trial.seconds), values))
    named = [f">{metric}" for metric in metrics]
    parts: list[Any] = [table((">", ">trial", "stage", *named, ">time", "values"), rows)]
    if same:
        parts.append(line(("all with ", "dim"), text.values_line(same, 300)))
    left_out = 0 if stage else len(snapshot.ranking) - len(snapshot.comparable)
    if left_out:
        names = ", ".join(dict.fromkeys(t.stage for t in snapshot.ranking if t not in snapshot.comparable))
        share = f"{text.plural(left_out, 'trial')} of {names} on another share of the users left out"
        parts.append(line((f"{share}; see --stage", "dim")))
    if snapshot.not_beaten and stage is None:
        parts.append(line((f"the best is {snapshot.not_beaten}", "bold red")))
    parts += [line(("ranked  ", "dim"), snapshot.ranked)] if snapshot.ranked else []
    first = ranked[0]
    parts += ["", line((f"configuration of trial {first.number}", "bold"), f"  {first.method}, seed {first.seed}")]
    searched = searched_values(snapshot, first)
    fields = [(key, text.exact(value), "searched" if key in searched else "") for key, value in first.config.items()]
    parts.append(table(("field", "value", ""), sorted(fields, key=lambda row: row[2] == "")))
    layout = snapshot.spec.layout
    if layout is not None and isinstance(first.config.get(layout.name), str):
        parts += ["", *layout_grid(layout, first.config[layout.name])]
    parts += ["", line(("to train it again", "bold")), command(text.shell_words(run_command(snapshot, first)))]
    return Group(*parts)
