"""`searchplat data`: which data sets there are, whether they are here, what is in one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from searchplat.cli import options


def data(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A data set, to see its statistics.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="K=V", help="An option of the data set, as under `data:`.")
    ] = None,
    json_: options.Json = False,
) -> None:
    """List the data sets, or the statistics of one and where to get it.

    Statistics are those after filtering. A data set that is not here yet is fetched for them if it can be.

    \b
    Examples:
      searchplat data
      searchplat data ml-100k --set min_length=5
    """
    from searchplat.assets import AssetStore
    from searchplat.cli.output import print_json, show, table
    from searchplat.errors import InputError
    from searchplat.methods import dataset_names, load_dataset

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
    from searchplat.cli.output import line, print_json, show, table
    from searchplat.cli.text import exact
    from searchplat.methods import load_dataset

    source = load_dataset(name)
    if not json_:  # before the statistics: if these cannot be had, the address is what a person needs
        show(line((source.name, "bold"), f"  {source.summary}"))
        show(line(source.where))
    statistics = source.statistics(store, chosen)
    if json_:
        print_json({"name": source.name, "summary": source.summary, "where": source.where, "statistics": statistics})
        return
    show("")
    rows = [(key.replace("_", " "), _figure(value, exact)) for key, value in statistics.items()]
    show(table(("after filtering", ">"), rows))


def _figure(value: Any, otherwise: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(otherwise(value))


def _options(items: list[str]) -> dict[str, Any]:
    from searchplat.errors import InputError
    from searchplat.spec.strict_yaml import read_value

    found = {}
    for item in items:
        key, sign, value = item.partition("=")
        if not key or not sign:
            raise InputError(f"--set {item}: an option has the form key=value; write --set min_length=5, say")
        found[key] = read_value(value, f"--set {item}").plain()
    return found
