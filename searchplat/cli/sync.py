"""`searchplat sync`: send MLflow what it has not got."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from searchplat.cli import options


def sync(
    search: options.Search,
    tracking_uri: options.TrackingUri = None,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", min=1.0, help="Give up after so long.")] = 600.0,
    allow_import: options.AllowImport = False,
    runs: options.Runs = None,
    json_: options.Json = False,
) -> None:
    """Send MLflow what it has not got of a search, and of its promotions.

    Searches send by themselves; this is for after a server was down longer than the search ran, or for another
    store: everything is sent anew where there is nothing. Sending twice changes nothing.

    \b
    Examples:
      searchplat sync darec-quick
      searchplat sync darec-quick --tracking-uri http://mlflow.example:5000
    """
    from searchplat.errors import InputError, TryAgainError
    from searchplat.ledger import Ledger
    from searchplat.ledger.folder import SearchFolder, runs_root
    from searchplat.promotion.record import PromotionStore, numbers
    from searchplat.spec import from_document
    from searchplat.tracking.sending.sync import send_all
    from searchplat.tracking.store.address import chosen_uri, redact
    from searchplat.views import text
    from searchplat.views.output import print_json

    folder = SearchFolder(runs or runs_root(), search)
    folder.read().close()  # before the lock makes a folder of that name
    uri = chosen_uri(tracking_uri)

    def say(left: int) -> None:
        if not json_:
            print(f"{text.plural(left, 'row')} to send", file=sys.stderr, flush=True)

    with folder.held(), Ledger.open(folder.ledger_path) as ledger:
        store = PromotionStore(ledger, folder.path) if numbers(ledger) else None
        synced = send_all(ledger, store, from_document(ledger.document()), search, uri, timeout_s=timeout, say=say)
    if json_:
        print_json(
            {
                "sent": synced.sent,
                "unsent": synced.unsent,
                "unsent_runs": synced.unsent_runs,
                "models": [model.uri for model in synced.registered],
                "error": synced.error or synced.moved,
            }
        )
    if synced.error:
        left = f"{text.plural(synced.unsent, 'row')} and {text.plural(synced.unsent_runs, 'run')}"
        raise TryAgainError(
            f"MLflow at {redact(uri)} has not got {left} of search {search!r}: {synced.error}; "
            "the ledger keeps them, and the same command goes on"
        )
    if synced.moved:
        raise InputError(synced.moved)
    if not json_:
        models = f", {text.plural(len(synced.registered), 'model')} registered" if synced.registered else ""
        print(f"MLflow has all of {search}: {text.plural(synced.sent, 'row')} sent{models}")
        print(synced.address)
