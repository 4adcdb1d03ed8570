"""`searchplat ui`: the live page of the searches here, and MLflow's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchplat.cli import options

if TYPE_CHECKING:
    from searchplat.ledger.folder import SearchFolder
    from searchplat.tracking.store.address import Address


def ui(
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=1, max=65535, help="Where the page answers.")
    ] = 5000,
    mlflow: Annotated[
        bool, typer.Option("--mlflow", help="Serve MLflow's pages alone; the page starts them only when asked to.")
    ] = False,
    tracking_uri: options.TrackingUri = None,
    runs: options.Runs = None,
) -> None:
    """Serve a live page to this machine until Ctrl-C: all searches, their trials and curves, buttons that steer them.

    Open the address that it prints: it has a token, without which nobody sees or changes anything. From another
    machine: ssh -L 5000:127.0.0.1:5000 THIS_MACHINE. MLflow's pages are a button on it, on the next port.

    Both listen on 127.0.0.1 and nowhere else. MLflow's runs no jobs and reads no pickles; for others to see it, put a
    server with authentication on a machine that they can reach, and give searches its --tracking-uri.

    \b
    Examples:
      searchplat ui
      searchplat ui --port 5001 --runs /data/runs
      searchplat ui --mlflow --tracking-uri sqlite:///other.db
    """
    from searchplat.ledger.folder import SearchFolder, list_searches, runs_root
    from searchplat.tracking.store.address import Address, chosen_uri

    address = Address.parse(chosen_uri(tracking_uri))
    root = runs or runs_root()
    if mlflow:
        _serve_mlflow(address, port, [SearchFolder(root, name) for name in list_searches(root)])
        return
    from searchplat.ui.server import serve

    def tell(url: str) -> None:
        _say([f"open     {url}", f"shows    the searches in {root}", "Ctrl-C ends it"])

    try:
        serve(root, address, port, tell)
    except KeyboardInterrupt:
        print("ended")


def _serve_mlflow(address: Address, port: int, folders: list[SearchFolder]) -> None:
    """MLflow's pages, and where the Ray dashboard and the reports are."""
    from searchplat.errors import SearchFailedError
    from searchplat.tracking.store.client import connect
    from searchplat.tracking.store.server import HOST, serving
    from searchplat.ui.mlflow_page import pages_on

    others = [line for folder in folders for line in _places(folder)]
    if address.remote:
        _say([f"MLflow   {address.shown}", *others])
        return
    print("starting MLflow's server ...", flush=True)
    with serving(address, port) as process:
        server = f"http://{HOST}:{port}"
        client = connect(address)
        views = [
            f"{name:<8} {url}  ({folder.name})"
            for folder in folders
            for name, url in pages_on(client, server, folder.name)
        ]
        _say([f"MLflow   {server}/#/experiments?workflowType=machine_learning", *views, *others, "Ctrl-C ends it"])
        try:
            code = process.wait()
        except KeyboardInterrupt:
            print("ended")
            return
    raise SearchFailedError(f"MLflow's server ended with code {code}")


def _places(folder: SearchFolder) -> list[str]:
    from searchplat.report.file import NAME

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
