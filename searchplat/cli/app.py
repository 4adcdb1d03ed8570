"""All commands, and what happens when one of them fails: a sentence on stderr and an exit code."""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from searchplat import __version__
from searchplat.cli import (
    assets,
    best,
    check,
    compare,
    data,
    export,
    methods,
    predict,
    promote,
    report,
    run,
    search,
    status,
    sync,
    text,
    trials,
    ui,
)
from searchplat.errors import SearchplatError
from searchplat.redaction import redact

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class Guarded(TyperGroup):
    """A group whose commands end in a sentence and an exit code, never in a traceback unless one is asked for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command of `ctx`."""
        try:
            return super().invoke(ctx)
        except SearchplatError as error:
            _complain(f"error: {error}", ctx)
            raise typer.Exit(error.exit_code) from error
        except KeyboardInterrupt as error:
            _complain("interrupted", ctx)
            raise typer.Exit(INTERRUPTED) from error
        except BrokenPipeError:  # `searchplat trials x | head`: click ends quietly
            raise
        except Exception as error:
            if type(error).__module__.startswith("typer"):  # usage errors and exits
                raise
            _complain(f"error: {type(error).__name__}: {error}", ctx)
            if not ctx.params.get("traceback"):
                again = text.shell_words(["searchplat", "--traceback", *sys.argv[1:]])
                print(redact(f"This is a bug of searchplat. To see where: {again}"), file=sys.stderr)
            raise typer.Exit(1) from error


def _complain(message: str, ctx: Any) -> None:
    if ctx.params.get("traceback"):
        print(text.visible_lines(redact(traceback.format_exc())), file=sys.stderr)
    print(text.visible_lines(redact(message)), file=sys.stderr)


app = typer.Typer(
    cls=Guarded,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=(
        "\b\n"
        "Exit codes: 0 done, 1 the search failed, 2 the input is wrong,\n"
        "75 try again later, 130 or 143 interrupted and resumable.\n\n"
        "\b\n"
        "Example: searchplat check darec && searchplat search darec --scale quick"
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"searchplat {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show where an error was raised; goes before the command.")
    ] = False,
) -> None:
    """Hyperparameter and architecture search for recommenders built on language models."""


app.command("search")(search.search)
app.command("check")(check.check)
app.command("status")(status.status)
app.command("trials")(trials.trials)
app.command("best")(best.best)
app.command("run")(run.run)
app.command("promote")(promote.promote)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("sync")(sync.sync)
app.command("ui")(ui.ui)
app.command("methods")(methods.methods)
app.command("data")(data.data)
app.add_typer(assets.app, name="assets")


def entry() -> None:
    """Run the command line of this process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal without Unicode shows ? instead of an error
            stream.reconfigure(errors="replace")
    app()
