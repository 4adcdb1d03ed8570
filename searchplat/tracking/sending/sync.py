"""Sends whatever MLflow has not got of a search: after a server was down, or to another store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from searchplat.ledger import Ledger
from searchplat.promotion.record import PromotionStore, numbers
from searchplat.spec.model import SearchSpec
from searchplat.tracking.registry.pack import Registered, register_winner
from searchplat.tracking.sending.promotion_runs import PromotionSink
from searchplat.tracking.sending.sink import MlflowSink
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import files
from searchplat.tracking.store.address import Address


@dataclass(frozen=True)
class Synced:
    """What came of it.

    Args:
        sent: Events of the ledger that MLflow has got now; all of them where it is another store than before.
        unsent: Events that it has not got.
        unsent_runs: Ended runs of promotions that it has not got.
        registered: Winners of promotions as registered models, the oldest promotion first.
        error: Why something is unsent, without secrets; None if nothing is.
        moved: Why the store has no files, and no model is registered, although it has every row; None if it may have.
        address: Where a person finds the runs.
    """

    sent: int
    unsent: int
    unsent_runs: int
    registered: tuple[Registered, ...]
    error: str | None
    moved: str | None
    address: str


def send_all(
    ledger: Ledger,
    store: PromotionStore | None,
    spec: SearchSpec,
    search: str,
    tracking_uri: str,
    *,
    timeout_s: float,
    say: Callable[[int], None] = lambda left: None,
) -> Synced:
    """Send what is missing, events first, then the runs of promotions and their models.

    Args:
        ledger: Open for writing, held by this process.
        store: The search's promotions; None if it has none.
        search: The search's name.
        timeout_s: Bound of the time spent on events while MLflow takes them.
        say: Told every second or so how many events are left.

    Raises:
        InputError: If `tracking_uri` cannot be one. Nothing else is raised for MLflow's sake.
    """
    sink = MlflowSink.of(ledger, spec, search, tracking_uri)
    deadline = time.monotonic() + timeout_s
    sink.start()
    while (left := sink.flush(min(2.0, max(0.0, deadline - time.monotonic())))) and not sink.last_error:
        if time.monotonic() >= deadline:
            break
        say(left)
    error = sink.last_error
    left = sink.stop(max(1.0, deadline - time.monotonic()))
    error = error or sink.last_error
    if left and error is None:
        error = f"{timeout_s:g} s were not enough"
    moved = None if error else _moved(Address.parse(tracking_uri), search, ledger.path.parent.parent)
    runs, models = 0, []
    if store is not None:
        promotions = PromotionSink(ledger, spec, search, tracking_uri)
        for number in numbers(ledger):
            if error:
                runs += promotions.unsent(store.load(number))
                continue
            runs += promotions.send(lambda number=number: store.load(number), last=True)  # type: ignore[misc]
            if moved is None:
                models.append(register_winner(ledger, store.load(number), tracking_uri))
        if runs and not error:
            error = "MLflow refused a run; see above"
    return Synced(sink.sent, left, runs, tuple(m for m in models if m is not None), error, moved, sink.address)


def _moved(where: Address, search: str, runs: Path) -> str | None:
    if where.sqlite is None:
        return None
    with mlflow_client.impatient(where):
        experiment = mlflow_client.connect(where).get_experiment_by_name(search)
    return None if experiment is None else files.moved(where, experiment, runs)
