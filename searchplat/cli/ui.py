"""`searchplat ui`: what there is to look at, and MLflow's pages served on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from searchplat.cli import options


def ui(
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where MLflow answers.")] = 5000,
    tracking_uri: options.TrackingUri = None,
    runs: options.Runs = None,
) -> None:
    """Serve MLflow's pages to this machine, and say where the Ray dashboard and the reports are, until Ctrl-C.

    The server listens on 127.0.0.1 and nowhere else, runs no jobs and reads no pickles. For others to see it, put a
    server with authentication on a machine that they can reach, and give searches its --tracking-uri.

    \b
    Examples:
      searchplat ui
      searchplat ui --port 5001 --tracking-uri sqlite:///other.db
    """

    from searchplat.errors import SearchFailedError
    from searchplat.ledger.folder import SearchFolder, list_searches, runs_root
    from searchplat.tracking.store.address import Address, chosen_uri
    from searchplat.tracking.store.client import connect
    from searchplat.tracking.store.server import HOST, serving

    address = Address.parse(chosen_uri(tracking_uri))
    root = runs or runs_root()
    searches = [SearchFolder(root, name) for name in list_searches(root)]
    others = [line for folder in searches for line in _places(folder)]
    if address.remote:
        _say([f"MLflow   {address.shown}", *others])
        return
    print("starting MLflow's server ...", flush=True)
    with serving(address, port) as process:
        server = f"http://{HOST}:{port}"
        client = connect(address)
        views = [line for folder in searches for line in _views(client, server, folder.name)]
        _say([f"MLflow   {server}/#/experiments?workflowType=machine_learning", *views, *others, "Ctrl-C ends it"])
        try:
            code = process.wait()
        except KeyboardInterrupt:
            print("ended")
            return
    raise SearchFailedError(f"MLflow's server ended with code {code}")


def _views(client: Any, server: str, search: str) -> list[str]:
    from searchplat.tracking.pages.views import FRONT, STAGES, TRIALS, has_view, view_address

    experiment = client.get_experiment_by_name(search)
    if experiment is None:
        return []
    pages = {"trials": TRIALS, "curves": STAGES}
    if has_view(experiment.tags, FRONT):
        pages["front"] = FRONT
    return [
        f"{name:<8} {view_address(server, experiment.experiment_id, experiment.tags, view)}  ({search})"
        for name, view in pages.items()
    ]


def _places(folder: object) -> list[str]:
    from searchplat.ledger.folder import SearchFolder
    from searchplat.report.file import NAME

    assert isinstance(folder, SearchFolder)
    lines = []
    report: Path = folder.path / NAME
    if report.is_file():
        lines.append(f"report   {report.as_uri()}  ({folder.name})")
    if folder.running():
        with folder.read() as ledger:
            dashboard = ledger.meta("dashboard")
        if dashboard:
            lines.append(f"Ray      {dashboard}  ({folder.name}; it asks for what `ray get-auth-token` prints)")
    return lines


def _say(lines: list[str]) -> None:
    from searchplat.views import text

    for line in lines:
        print(text.visible(line), flush=True)
