"""Asking MLflow for a search's best trials: what a dashboard or a notebook does, and `searchplat best` must equal.

The query, for the experiment of the search's name, best first by the metric `best/<objective>`:

    tags.`searchplat.kind` = 'trial' and tags.`searchplat.control` IS NULL and attributes.status = 'FINISHED'
    and params.`data_fraction` = '1.0'

`FINISHED` are the trials that ended with a value: all their epochs, or stopped early by the scheduler. Those compare
that were measured on the share of the users that the parent run's tag `searchplat.compared_on` says. With several
objectives, `tags.searchplat.front = 'yes'` is the Pareto front; with bounds on outcomes, of which the parent run's tag
`searchplat.outcomes` tells, the metric `violation` comes before it. See `searchplat.ledger.ranking`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from searchplat import hints
from searchplat.errors import InputError
from searchplat.ledger import pareto
from searchplat.ledger.ranking import gains, place_of
from searchplat.spec.model import Objective
from searchplat.tracking.pages.views import compares
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address

_PAGE = 1000

RANKED = f"tags.`{keys.KIND}` = 'trial' and tags.`{keys.CONTROL}` IS NULL and attributes.status = 'FINISHED'"
"""Trials of the search itself that ended with a value; the documented query also says on which share of the users."""


@dataclass(frozen=True)
class RankedRun:
    """One trial as MLflow has it.

    Args:
        trial: Its number in the ledger.
        run_id: MLflow's identifier.
        value: The value of the search's first objective.
        values: Those of all of them, by metric.
        front: Whether it is on the Pareto front; None for one objective.
        params: The flattened config, as text.
        violation: By how much it breaks bounds on outcomes; 0 if it keeps them, or there are none.
    """

    trial: int
    stage: str
    run_id: str
    value: float
    values: Mapping[str, float]
    front: bool | None
    params: Mapping[str, str]
    violation: float = 0.0


def best_trials(
    tracking_uri: str, search: str, top: int = 5, *, stage: str | None = None, by: str | None = None
) -> list[RankedRun]:
    """A search's best trials, those of `searchplat best` in its order: of `Ranking.best`.

    Args:
        search: The search's name.
        top: Number of trials at most, >= 1.
        stage: Only this stage's.
        by: The only objective that counts; by default all do.

    Raises:
        InputError: If MLflow has no such search, or the search no such objective.
    """
    where = Address.parse(tracking_uri)
    if where.sqlite is not None and not where.sqlite.exists():
        raise InputError(f"{where.shown}: there is no such file; start a search, or give its tracking URI")
    with mlflow_client.impatient(where):
        client = mlflow_client.connect(where)
        experiment = client.get_experiment_by_name(search)
        parent = None if experiment is None else newest_parent(client, experiment.experiment_id)
        if experiment is None or parent is None:
            sync = hints.on_search("sync", search, None, *hints.store_words(where.uri))
            raise InputError(f"{where.shown}: has no search {search!r}; this sends it: {sync}")
        tags = parent.data.tags
        ways = [way == "maximize" for way in tags[keys.DIRECTION].split()]
        objectives = [Objective(*one) for one in zip(tags[keys.OBJECTIVE].split(), ways, strict=True)]
        place = place_of(objectives, by)
        place = 0 if len(objectives) == 1 else place
        query = f"{RANKED} and tags.`{keys.SEARCH_ID}` = '{tags[keys.SEARCH_ID]}'"
        if stage is not None:
            query += f" and tags.`{keys.STAGE}` = '{_quoted(stage)}'"
        elif keys.SHARE in tags:
            query += f" and {compares(float(tags[keys.SHARE]))}"
        # Which few stand for a front depends on all of it, so of several objectives all trials are fetched.
        order, most = ["attributes.start_time ASC", "attributes.run_name ASC"], None
        if place is not None:
            way = "DESC" if objectives[place].maximize else "ASC"
            kept = [f"metrics.`{keys.VIOLATION}` ASC"] if keys.BOUNDS in tags else []
            order, most = [*kept, f"metrics.`{_key(objectives[place])}` {way}", *order], top
        runs = _search(client, experiment.experiment_id, query, order, most)
    found = [_ranked(run, objectives) for run in runs if all(_key(one) in run.data.metrics for one in objectives)]
    if place is not None or not found:
        return found
    found.sort(key=lambda one: (one.violation, one.trial))
    ranked: list[RankedRun] = []
    for _, equal in groupby(found, key=lambda one: one.violation):
        same = list(equal)
        gained = np.array([gains(list(one.values.values()), objectives) for one in same])
        ranked += [same[row] for row in pareto.order(gained, top)]
    return ranked[:top]


def newest_parent(client: Any, experiment_id: str) -> Any:
    """The parent run; the newest where several searches of this name write to one server."""
    found = client.search_runs(
        [experiment_id], f"tags.`{keys.KIND}` = 'search'", max_results=1, order_by=["attributes.start_time DESC"]
    )
    return found[0] if found else None


def _search(client: Any, experiment_id: str, query: str, order: list[str], most: int | None) -> list[Any]:
    """The first `most` runs of a query, or all."""
    found: list[Any] = []
    token = None
    while most is None or len(found) < most:
        size = _PAGE if most is None else min(_PAGE, most - len(found))
        page = client.search_runs([experiment_id], query, max_results=size, order_by=order, page_token=token)
        found += page
        token = page.token
        if not token:
            break
    return found


def _key(objective: Objective) -> str:
    return keys.key(f"best/{objective.metric}")


def _ranked(run: Any, objectives: Sequence[Objective]) -> RankedRun:
    tags, values = run.data.tags, {one.metric: run.data.metrics[_key(one)] for one in objectives}
    return RankedRun(
        int(tags[keys.TRIAL]),
        tags[keys.STAGE],
        run.info.run_id,
        values[objectives[0].metric],
        values,
        tags.get(keys.FRONT) == "yes" if len(objectives) > 1 else None,
        dict(run.data.params),
        run.data.metrics.get(keys.VIOLATION, 0.0),
    )


def _quoted(text: str) -> str:
    if "'" in text:
        raise InputError(f"stage {text!r}: a stage's name has no quotation mark")
    return text
