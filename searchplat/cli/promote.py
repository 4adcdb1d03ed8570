"""`searchplat promote`: a search's winners raced, trained in full, tested once."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchplat.cli import options, streams

if TYPE_CHECKING:
    from searchplat.notify.receivers import Receiver
    from searchplat.promotion.promote import PromotionOutcome


def promote(
    search: options.Search,
    top: Annotated[
        int | None, typer.Option("--top", metavar="N", min=1, help="Configurations. [default: the space's]")
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="METRIC", help="By this objective alone. [default: all; the Pareto front first]"),
    ] = None,
    trial: Annotated[
        list[int] | None,
        typer.Option("--trial", metavar="NUMBER", min=0, help="This trial, instead of the best; may be repeated."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", metavar="N", min=1, help="Final trainings of each. [default: the space's]")
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option("--epochs", metavar="N", min=1, help="Epochs of a final training at most. [default: the space's]"),
    ] = None,
    race: Annotated[
        int | None,
        typer.Option("--race", metavar="N", min=0, help="Seeds of the race before; 0 for none. [default: the space's]"),
    ] = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="Processes that train each final run together.")
    ] = 1,
    again: Annotated[
        bool, typer.Option("--again", help="Promote once more; counts, and says so, that the test split was seen.")
    ] = False,
    allow_changed: Annotated[
        bool,
        typer.Option("--allow-changed", help="Go on although data, code or packages are not those of the search."),
    ] = False,
    notify: Annotated[
        list[str] | None,
        typer.Option(
            "--notify",
            metavar="WHO",
            help="Who is told of the end or a failure: a variable or a file with a webhook's URL, or a mapping "
            "{command: [...]}; repeatable.",
        ),
    ] = None,
    address: options.Address = None,
    tracking_uri: options.TrackingUri = None,
    storage: options.Storage = None,
    insecure_cluster: options.InsecureCluster = False,
    allow_import: options.AllowImport = False,
    runs: options.Runs = None,
    json_: options.Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a search's winners in full, and test each training once.

    The best configurations and the controls first race on fresh seeds at the search's scale, on validation; who can
    no longer win stops. The others are trained on all the data with several seeds, and stopped early by validation.
    Only then the test split is opened, once for every training, and every opening is counted. The same command after
    a crash goes on where it was.

    With several objectives the Pareto front is promoted: of more trials than asked for, those that together dominate
    most; if it has fewer, the front of the other trials follows. --by chooses one objective instead, --trial what you
    like of the front. No trial that breaks a bound on outcomes is promoted. Whoever the space's `notify` names hears of
    searches; of this promotion hears who is named by --notify.

    \b
    Examples:
      searchplat promote darec-quick
      searchplat promote darec-quick --top 3 --seeds 3
      searchplat promote fast-and-good --trial 12 --trial 31
      searchplat promote darec-paper --address auto --workers 4 --notify SLACK_WEBHOOK_URL
    """
    from searchplat.engine.places import Places
    from searchplat.ledger.folder import runs_root
    from searchplat.notify.receivers import receivers
    from searchplat.promotion.candidates import Asked
    from searchplat.promotion.outcome import document
    from searchplat.promotion.promote import run_promotion
    from searchplat.spec.building.notify import notify_option
    from searchplat.views.output import print_json, show
    from searchplat.views.text import visible_lines

    def say(line: str) -> None:
        with suppress(OSError):  # a promotion outlives who reads of it
            if quiet:
                return
            # With --json, stdout is the document's alone.
            print(time.strftime("%H:%M:%S"), visible_lines(line), flush=True, file=sys.stderr if json_ else sys.stdout)

    to = receivers(list(map(notify_option, notify or ())), commands=True)
    with _telling(search, to) as ended:
        outcome = run_promotion(
            search,
            asked=Asked(top=top, by=by, trials=trial or None, seeds=seeds, race=race, epochs=epochs),
            workers=workers,
            again=again,
            allow_changed=allow_changed,
            places=Places(address, insecure_cluster, tracking_uri, storage, runs),
            say=say,
        )
        ended(outcome)
    with streams.outlived(outcome.exit_code):
        if json_:
            print_json(document(outcome))
        elif not quiet:
            show("", screen(outcome, runs or runs_root()))
        if outcome.state != "done":
            print(visible_lines(outcome.message), file=sys.stderr)
    raise typer.Exit(outcome.exit_code)


@contextmanager
def _telling(search: str, to: Sequence[Receiver]) -> Iterator[Callable[[PromotionOutcome], None]]:
    """Tells of the end that is given to what this yields, or of a failure."""
    from searchplat.errors import InputError, SearchplatError
    from searchplat.notify.notices import promotion_notice
    from searchplat.notify.notifier import tell
    from searchplat.report.promoted import result_line
    from searchplat.views.text import visible_lines

    def warn(line: str) -> None:
        with suppress(OSError):
            print(visible_lines(f"warning: {line}"), file=sys.stderr)

    def ended(outcome: PromotionOutcome) -> None:
        promotion = outcome.promotion
        winner = promotion.winner() if outcome.state == "done" else None
        said = f"{outcome.state}: {result_line(promotion) if winner is not None else outcome.message}"
        finals = [] if winner is None else promotion.finals(winner.candidate)
        value = fmean(run.valid[promotion.objective] for run in finals) if finals else None
        notice = promotion_notice(search, outcome.state, said, promotion.objective, value)
        tell(to, notice, warn, signalled=outcome.state == "interrupted")

    try:
        yield ended
    except InputError:  # is said to whoever typed it
        raise
    except SearchplatError as error:
        tell(to, promotion_notice(search, "failed", f"FAILED: {error}"), warn)
        raise


def screen(outcome: PromotionOutcome, root: Path) -> Any:
    """A line for each candidate, who won, how often the test split was opened, what to type next.

    Args:
        root: The folder of all searches.
    """
    from rich.console import Group

    from searchplat import hints, protocol
    from searchplat.methods import ALLOW_IMPORT, is_reference
    from searchplat.promotion.outcome import rows
    from searchplat.report.promoted import result_line
    from searchplat.views import text
    from searchplat.views.output import command, line, table

    promotion = outcome.promotion
    winner = promotion.winner() if outcome.state == "done" else None
    lines = []
    for row in rows(promotion):
        best = winner is not None and row["candidate"] == winner.candidate
        tests = [_mean_and_sd(row["test"][metric]) for metric in promotion.metrics]
        numbers = [_figure(value) for value in (row["search"], row["race"], *row["values"].values())]
        name = line((row["candidate"], "bold")) if best else row["candidate"]
        lines.append((name, row["method"], *numbers, *tests, row["seeds"], text.duration(row["seconds"]), row["note"]))
    objective = promotion.objective
    several = len(promotion.objectives) > 1
    finals = [f">final valid {one.metric}" if several else ">final valid" for one in promotion.objectives]
    columns = (
        "candidate", "method", f">search {objective}", ">race", *finals,
        *(f">test {metric}" for metric in promotion.metrics), ">seeds", ">time", "",
    )  # fmt: skip
    parts: list[Any] = [
        table(columns, lines, f"promotion {promotion.number} of {promotion.search}, mean ± sd over seeds"),
        "",
    ]
    if winner is not None:
        parts.append(
            line(("winner  ", "dim"), (winner.candidate, "bold"), f", chosen on validation; weights in {winner.folder}")
        )
        parts.append(line(("        ", ""), result_line(promotion)))
        if ranked := protocol.words(protocol.rank_met(promotion.data_options, winner.config)):
            parts.append(line(("ranked  ", "dim"), ranked))
    opened = promotion.test_openings
    over, trained = "once for each final training", len(promotion.finals())
    if promotion.number > 1:
        over = f"over {promotion.number} promotions"
    elif opened != trained:  # a worker ended between the permit and what it measured
        over = f"for {text.plural(trained, 'final training')}"
    parts.append(line(("test    ", "dim"), f"opened {text.plural(opened, 'time')} for this search, {over}"))
    if outcome.unsent_runs:
        parts.append(
            line(
                ("mlflow  ", "dim"),
                f"has not got {text.plural(outcome.unsent_runs, 'run')}; the same command sends them",
            )
        )
    next_ = [hints.on_search("compare", promotion.search, root)]
    if outcome.registered is not None:
        champion = f"models:/{outcome.registered.name}@champion"
        parts.append(
            line(("model   ", "dim"), f"{outcome.registered.uri}, registered in MLflow; see its alias champion")
        )
        leave = [ALLOW_IMPORT] if winner is not None and is_reference(winner.method) else []
        next_.append(text.shell_words(["searchplat", "predict", champion, "--history", "TITLE OR ID", *leave]))
    parts += ["", line(("next", "bold")), *map(command, next_)]
    return Group(*parts)


def _figure(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else "-"


def _mean_and_sd(spread: dict[str, float]) -> str:
    mean, sd = spread["mean"], spread["sd"]
    return _figure(mean) + (f" ± {sd:.4f}" if math.isfinite(sd) else "")
