"""`searchplat data`: which data sets there are, whether they are here, what is in one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.contract import FileReport, PublishedSize


def _column(key: str, what: str) -> Any:
    return typer.Option(f"--{key}", metavar="COLUMN", help=f"With --check: the column with the {what}.")


def data(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A data set, to see its statistics.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="An option of the data set, as under `data:`.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option("--check", metavar="FILE", help="A file of your own, to see what is wrong with it.")
    ] = None,
    user: Annotated[str | None, _column("user", "users' ids")] = None,
    item: Annotated[str | None, _column("item", "items' ids")] = None,
    time: Annotated[str | None, _column("time", "times")] = None,
    title: Annotated[str | None, _column("title", "items' titles")] = None,
    rating: Annotated[str | None, _column("rating", "ratings")] = None,
    items: Annotated[
        Path | None, typer.Option("--items", metavar="FILE", help="With --check: a file with one item a row.")
    ] = None,
    json_: options.Json = False,
) -> None:
    """List the data sets, or the statistics of one and where to get it; or check a file of your own.

    Statistics are those after filtering; beside them stands what papers print. A data set that is not here yet is
    fetched for them if it can be. A check tells what is wrong with a file by line and column, and what is in it; its
    exit code is 2 if a search would refuse the file.

    \b
    Examples:
      searchplat data
      searchplat data ml-100k --set min_length=5
      searchplat data --check my.csv --user customer_id --item sku --time bought_at
    """
    from searchplat.assets import AssetStore
    from searchplat.errors import InputError
    from searchplat.methods import dataset_names, load_dataset
    from searchplat.views.output import print_json, show, table

    named = {"user": user, "item": item, "time": time, "title": title, "rating": rating, "items": items}
    named = {key: str(value) for key, value in named.items() if value is not None}
    if check is not None:
        if name is not None:
            raise typer.BadParameter("give NAME or --check FILE, not both", param_hint="NAME")
        _check({"file": str(check), **named, **_options(set_ or [])}, json_)
        return
    if named:
        raise typer.BadParameter("goes with --check FILE", param_hint=f"--{next(iter(named))}")
    store = AssetStore()
    if name is not None:
        _one(name, _options(set_ or []), store, json_)
        return
    found: list[tuple[str, bool, str]] = []
    for each in dataset_names():
        try:
            source = load_dataset(each)
            found.append((each, source.available(store), source.summary))
        except InputError as error:  # one broken package must not hide the others
            found.append((each, False, f"cannot be loaded: {error}"))
    if json_:
        print_json([{"name": each, "available": here, "summary": summary} for each, here, summary in found])
        return
    rows = [(each, "yes" if here else "no", summary) for each, here, summary in found]
    show(table(("data set", "here", "summary"), rows))
    print("\nWhere to get one, and what is in it: searchplat data NAME")


def _one(name: str, chosen: dict[str, Any], store: Any, json_: bool) -> None:
    from searchplat import protocol
    from searchplat.errors import InputError
    from searchplat.methods import load_dataset
    from searchplat.views.output import line, print_json, show, table

    source = load_dataset(name)
    published: Sequence[PublishedSize] = getattr(source, "published", ())
    defaults: Mapping[str, Any] = getattr(source, "defaults", {})
    if not json_:  # before the statistics: if these cannot be had, the address is what a person needs
        show(line((source.name, "bold"), f"  {source.summary}"))
        show(line(source.where))
        if defaults:
            show(line(f"Set by itself: {_settings(defaults)}"))
        if ranked := protocol.words(protocol.rank_met({protocol.OPTION: getattr(source, "rank_met", None)}, {})):
            show(line(f"Targets are ranked among {ranked}; a space may say otherwise by {protocol.OPTION}."))
    try:
        statistics = source.statistics(store, chosen)
        told = getattr(source, "warnings", None)
        warnings: list[str] = [] if told is None else list(told(store, chosen))
    except InputError:
        if published and not json_:
            show("", table(*_sizes(None, published)), *_notes({**defaults, **chosen}, published))
        raise
    if json_:
        content = {"name": source.name, "summary": source.summary, "where": source.where, "statistics": statistics}
        print_json(
            {
                **content,
                "warnings": warnings,
                "defaults": dict(defaults),
                "published": [vars(size) for size in published],
            }
        )
        return
    show("", table(*_sizes(statistics, published)), *_notes({**defaults, **chosen}, published))
    if warnings:
        show("", *(line(("warning", "bold"), f": {warning}") for warning in warnings))


def _check(chosen: dict[str, Any], json_: bool) -> None:
    from dataclasses import asdict

    from searchplat.contract import FILE
    from searchplat.methods import load_dataset
    from searchplat.views.output import line, print_json, show, table
    from searchplat.views.text import exact

    source: Any = load_dataset(FILE)
    report: FileReport = source.report(chosen)
    fatal = sum(problem.fatal for problem in report.problems)
    if json_:
        problems = [{**asdict(problem), "sentence": problem.sentence()} for problem in report.problems]
        print_json({"problems": problems, "notes": report.notes, "summary": report.summary})
        raise typer.Exit(2 if fatal else 0)
    for problem in report.problems:
        show(line(("error" if problem.fatal else "warning", "bold"), f": {problem.sentence()}"))
    for note in report.notes:
        show(line(("note", "bold"), f": {note}"))
    show(
        "",
        table(
            ("in the file", ">"),
            [(key.replace("_", " "), _figure(value, exact)) for key, value in report.summary.items()],
        ),
    )
    if fatal:
        show("", "A search would refuse this file; mend the lines above, of which the first few are named.")
        raise typer.Exit(2)
    keys = ", ".join(f"{key}: {json.dumps(value)}" for key, value in chosen.items())
    show("", line("In a space file: ", (f"data: {{{keys}}}", "bold")))


def _sizes(
    statistics: Mapping[str, Any] | None, published: Sequence[PublishedSize]
) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: ours, if we have the data, and beside it what papers print."""
    from searchplat.views.text import exact

    columns = [
        "after filtering",
        *([] if statistics is None else [">here"]),
        *(f">{size.source}" for size in published),
    ]
    rows = []
    known = ("users", "items", "interactions", "request_characters") if statistics is None else statistics
    for key in known:
        ours = [] if statistics is None else [_figure(statistics[key], exact)]
        theirs = [getattr(size, key, None) for size in published]
        if ours or any(theirs):
            rows.append([key.replace("_", " "), *ours, *("" if n is None else f"{n:,}" for n in theirs)])
    return columns, rows


def _notes(options: Mapping[str, Any], published: Sequence[PublishedSize]) -> list[Any]:
    """One line for each paper's size that wants other options, or of which there is something to know."""
    from searchplat.views.output import line

    notes = []
    for size in published:
        # What is not set at all has its default, which nobody here knows: it is said once too often.
        other = {key: value for key, value in size.options.items() if key not in options or options[key] != value}
        parts = [size.note, f"It is meant for {_settings(other)}." if other else ""]
        if any(parts):
            notes.append(line((size.source, "bold"), ": ", " ".join(filter(None, parts))))
    return ["", *notes] if notes else []


def _settings(options: Mapping[str, Any]) -> str:
    """As they are typed."""
    return " ".join(f"--set {key}={json.dumps(value)}" for key, value in options.items())


def _figure(value: Any, otherwise: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(otherwise(value))


def _options(items: list[str]) -> dict[str, Any]:
    from searchplat.errors import InputError
    from searchplat.spec.document.strict_yaml import read_value

    found = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not key or not sign:
            raise InputError(f"--set {item}: an option has the form key=value; write --set min_length=5, say")
        found[key] = read_value(value, f"--set {item}").plain()
    return found
