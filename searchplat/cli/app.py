"""All commands, and what happens when one of them fails: a sentence on stderr and an exit code."""

from __future__ import annotations

import shutil
import signal
import sys
import traceback
from contextlib import suppress
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
    mcp,
    methods,
    predict,
    promote,
    report,
    run,
    search,
    status,
    steer,
    streams,
    sync,
    table,
    trials,
    ui,
)
from searchplat.errors import InputError, SearchplatError, TryAgainError, barred, disk_full
from searchplat.redaction import redact
from searchplat.signals import Interrupted, exit_code, raising
from searchplat.views import text


class Guarded(TyperGroup):
    """A group whose commands end in a sentence and an exit code, never in a traceback unless one is asked for."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command of `ctx`."""
        try:
            return super().invoke(ctx)
        except (SearchplatError, streams.OutputError) as error:
            _complain(f"error: {error}", ctx)
            raise typer.Exit(error.exit_code) from error
        except (KeyboardInterrupt, Interrupted) as error:
            _complain("interrupted", ctx)
            raise typer.Exit(getattr(error, "exit_code", exit_code(signal.SIGINT))) from error
        except BrokenPipeError:  # `searchplat trials x | head`: click ends quietly
            raise
        except Exception as error:
            if type(error).__module__.startswith("typer"):  # usage errors and exits
                raise
            if disk_full(error):
                _complain(f"error: {error}; free some space and run the same command again", ctx)
                raise typer.Exit(TryAgainError.exit_code) from error
            if remedy := barred(error):
                _complain(f"error: {remedy}", ctx)
                raise typer.Exit(InputError.exit_code) from error
            _complain(f"error: {type(error).__name__}: {error}", ctx)
            if not ctx.params.get("traceback"):
                again = text.shell_words(["searchplat", "--traceback", *sys.argv[1:]])
                print(redact(f"This is a bug of searchplat. To see where: {again}"), file=sys.stderr)
            raise typer.Exit(1) from error


def _complain(message: str, ctx: Any) -> None:
    with suppress(OSError):  # the exit code says it too
        if ctx.params.get("traceback"):
            print(text.visible_lines(redact(traceback.format_exc())), file=sys.stderr)
        print(text.visible_lines(redact(message)), file=sys.stderr)


def _help_width() -> int | None:
    """Of help texts on a terminal narrower than click's least of 50; None for click's own choice."""
    columns = shutil.get_terminal_size().columns
    return max(30, columns - 1) if columns < 52 else None


app = typer.Typer(
    cls=Guarded,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "terminal_width": _help_width()},
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
app.command("stop")(steer.stop)
app.command("pause")(steer.pause)
app.command("resume")(steer.resume)
app.command("set")(steer.set_)
app.command("trials")(trials.trials)
app.command("best")(best.best)
app.command("run")(run.run)
app.command("promote")(promote.promote)
app.command("compare")(compare.compare)
app.command("table")(table.table)
app.command("report")(report.report)
app.command("predict")(predict.predict)
app.command("export")(export.export)
app.command("sync")(sync.sync)
app.command("ui")(ui.ui)
app.command("mcp")(mcp.mcp)
app.command("methods")(methods.methods)
app.command("data")(data.data)
app.add_typer(assets.app, name="assets")


def entry() -> None:
    """Run the command line of this process."""
    from searchplat.engine.shutdown.supervisor import leave

    streams.mend()
    raising()
    try:
        app()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except streams.OutputError as error:  # of a help text, say
        with suppress(OSError):
            print(f"error: {error}", file=sys.stderr)
        code = error.exit_code
    except (KeyboardInterrupt, Interrupted) as error:  # outside any command
        code = getattr(error, "exit_code", exit_code(signal.SIGINT))
    leave(streams.settle(code))
