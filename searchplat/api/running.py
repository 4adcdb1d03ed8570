"""Running a search and being shown it: for the command line, and for Python."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from searchplat import methods, paths
from searchplat.api.search import Search
from searchplat.api.settings import set_items
from searchplat.arguments import named_as_arguments, several, texts, whole
from searchplat.engine.cluster.auth import load_ray
from searchplat.engine.monitor import SearchOutcome, Several
from searchplat.engine.places import HERE, Places
from searchplat.engine.search import run_search, search_name
from searchplat.errors import InputError, SearchFailedError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.notify.notifier import Notifier
from searchplat.notify.receivers import receivers
from searchplat.signals import exit_code
from searchplat.spec import load
from searchplat.spec.building.notify import notify_option
from searchplat.spec.model import NotifySpec, SearchSpec
from searchplat.spec.values import load_values
from searchplat.tracking.store.address import chosen_uri, redact
from searchplat.views.monitors import watching
from searchplat.views.output import show
from searchplat.views.snapshot import take, wall_seconds
from searchplat.views.summary import summary

if TYPE_CHECKING:
    from rich.console import RenderableType


@named_as_arguments
def search(
    space: Path | str | Mapping[str, Any],
    *,
    name: str | None = None,
    trials: int | None = None,
    scale: str | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    runs: Path | str | None = None,
    tracking_uri: str | None = None,
    storage: str | None = None,
    address: str | None = None,
    insecure_cluster: bool = False,
    fork: str | None = None,
    widen: bool = False,
    allow_import: bool = False,
    notify: str | Sequence[str] = (),
    allow_command: bool = False,
    quiet: bool = False,
) -> Search:
    """Run a search, or go on with it where it was, as `searchplat search` does; returns when it has ended.

    Progress goes to stdout: a picture on a terminal, lines in a notebook. Ctrl-C, and a notebook's interrupt, end the
    search in good order: what is returned then has what there is, and the same call goes on from there. Ray starts and
    ends with the call. A second call in the same process works like the first.

    Args:
        space: A space file's path, the bare name of a shipped one (`darec`), or what such a file says, as a dictionary;
            that is kept as `space.yaml` in the search's folder.
        name: The search's name; by default the space's and its scale, `darec-quick`. A dictionary needs one.
        trials: Trials of all stages together; more than before extends a search.
        scale: A scale of the space.
        overrides: Changes to the space by key, `{"epochs": 1, "search.rate.high": 0.1}`; or texts `key=value`.
        runs: The folder of all searches; default `SEARCHPLAT_RUNS`, else `./runs`.
        tracking_uri: MLflow's; default `MLFLOW_TRACKING_URI`, else `sqlite:///mlflow.db`.
        storage: Where workers keep checkpoints; by default in the search's folder.
        address: A Ray cluster, `auto` or `host:port`; by default Ray starts on this machine.
        insecure_cluster: Connect also to a cluster on other machines that lets anybody in.
        fork: Start a new search of this name from the trials of `name`, under a changed space.
        widen: Go on with the search in a changed space of which each of its trials is a point.
        allow_import: Let a method be named `module:attribute`, which runs that module's code.
        notify: Who is told how the search stands, beside those of the space: the name of an environment variable or a
            file that holds a webhook's URL, or a text `{command: [...], on: [end]}`; or several.
        allow_command: Let a command that the space names tell somebody.
        quiet: Print nothing.

    Raises:
        InputError: If the input is wrong, or this process is connected to Ray already: `ray.shutdown()` first, and
            give `address` to use the same cluster. Nothing was started.
        SearchFailedError: If the search ended without a usable result.
        TryAgainError: If another process runs the same search, Ray ended, or no space is left on a disk.
    """
    root = runs_root() if runs is None else paths.resolve(runs, "runs")
    texts(name=name, scale=scale, tracking_uri=tracking_uri, storage=storage, address=address, fork=fork)
    notify = (notify,) if isinstance(notify, str) else notify
    several("notify", notify, str, "['SLACK_WEBHOOK_URL']")
    trials = None if trials is None else whole("trials", trials, 1)
    with methods.imports() if allow_import else nullcontext():
        spec = _spec(space, scale, set_items(overrides), name, root)
        try:
            outcome = watched(
                spec, sys.stdout, quiet=quiet, name=name, trials=trials, fork=fork, widen_it=widen,
                places=Places(address, insecure_cluster, tracking_uri, storage, root),
                notify=tuple(map(notify_option, notify)),
                allow_command=allow_command,
            )  # fmt: skip
        except KeyboardInterrupt:
            # Before the search was under way, or at once: what there is, is in the ledger.
            found = SearchFolder(root, search_name(spec, name) if fork is None else fork)
            if not found.exists():
                raise
            return Search(found.name, runs=root)
    if outcome.state == "failed":
        raise (InputError if outcome.exit_code == InputError.exit_code else SearchFailedError)(outcome.message)
    if outcome.exit_code == exit_code(signal.SIGTERM):
        os.kill(os.getpid(), signal.SIGTERM)  # it was meant for the process, whose own handlers are back
    if not quiet:
        show("", last_screen(outcome, spec, tracking_uri))
        if outcome.state == "interrupted":
            print(outcome.message.replace("command", "call"))
    return Search(outcome.name, runs=root)


def watched(
    spec: SearchSpec,
    out: TextIO,
    *,
    quiet: bool = False,
    name: str | None = None,
    trials: int | None = None,
    fork: str | None = None,
    widen_it: bool = False,
    places: Places = HERE,
    notify: Sequence[NotifySpec] = (),
    allow_command: bool = False,
) -> SearchOutcome:
    """Run a search and show it: what `searchplat search` and `search` both do.

    Args:
        out: Where it is shown.
        places: Where it runs and what it writes to.
        notify: Who is told, beside those of the space.
        allow_command: Whether a command that the space names may tell somebody.

    Raises:
        SearchplatError: As `engine.search.run_search`; InputError also if this process is connected to Ray already.
    """
    refuse_connected(places.address)
    told = receivers([*spec.notify, *notify], commands=allow_command)
    with watching(out, quiet=quiet) as shown:
        monitor = Several([shown, Notifier(told, shown.event)]) if told else shown
        return run_search(spec, name=name, trials=trials, fork=fork, widen_it=widen_it, places=places, monitor=monitor)


def last_screen(outcome: SearchOutcome, spec: SearchSpec, tracking_uri: str | None) -> RenderableType:
    """What is shown of a search that has ended or was interrupted."""
    with Ledger.read(outcome.ledger_path) as ledger:
        return summary(
            take(outcome.name, outcome.ledger_path.parent, ledger, spec),
            wall_seconds=wall_seconds(ledger),
            tracking_uri=redact(chosen_uri(tracking_uri)),
            unsent_rows=outcome.unsent_rows,
        )


def refuse_connected(address: str | None = None) -> None:
    """See that this process is not connected to Ray yet.

    A process has one connection. To take the caller's would mean to end it with the search, and to run trials in an
    environment and with an access that nobody checked.

    Args:
        address: The cluster that is going to be used; None for a Ray on this machine.

    Raises:
        InputError: If it is; or if Ray was imported in a way in which no Ray on this machine can be started.
    """
    ray = sys.modules.get("ray")
    if ray is not None and getattr(ray, "is_initialized", bool)():
        raise InputError(
            "this process is connected to Ray already, and a search makes and ends a connection of its own; call "
            "ray.shutdown() first, and give address to use the same cluster"
        )
    if ray is not None and address is None:
        load_ray(None)  # said now rather than once the search has a folder


def _spec(
    space: Path | str | Mapping[str, Any], scale: str | None, items: tuple[str, ...], name: str | None, root: Path
) -> SearchSpec:
    if not isinstance(space, Mapping):
        return load(space, scale=scale, overrides=items, name=name)
    if name is None:
        raise InputError("name: a search whose space is a dictionary needs one; give name='my-search', say")
    return load_values(space, name=name, source=SearchFolder(root, name).space_path, scale=scale, overrides=items)
