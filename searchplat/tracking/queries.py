"""Asking MLflow for a search's best trials: what a dashboard or a notebook does, and `searchplat best` must equal.

The query, for the experiment of the search's name, best first by the metric `best/<objective>`:

    tags.`searchplat.kind` = 'trial' and tags.`searchplat.control` IS NULL and attributes.status = 'FINISHED'

`FINISHED` are the trials that ended with a value: all their epochs, or stopped early by the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchplat.errors import InputError
from searchplat.tracking import client as mlflow_client
from searchplat.tracking import names
from searchplat.tracking.address import Address

RANKED = f"tags.`{names.KIND}` = 'trial' and tags.`{names.CONTROL}` IS NULL and attributes.status = 'FINISHED'"
"""The documented query: trials of the search itself that ended with a value."""


@dataclass(frozen=True)
class RankedRun:
    """One trial as MLflow has it.

    Args:
        trial: Its number in the ledger.
        run_id: MLflow's identifier.
        value: The best value of the search's first objective.
        params: The flattened config, as text.
    """

    trial: int
    stage: str
    run_id: str
    value: float
    params: Mapping[str, str]


def best_trials(tracking_uri: str, search: str, top: int = 10, *, stage: str | None = None) -> list[RankedRun]:
    """A search's best trials in the order of `Ledger.ranking`: by value, ties by number.

    Args:
        search: The search's name.
        top: Number of trials at most, >= 1.
        stage: Only this stage's.

    Raises:
        InputError: If MLflow has no such search.
    """
    where = Address.parse(tracking_uri)
    if where.sqlite is not None and not where.sqlite.exists():
        raise InputError(f"{where.shown}: there is no such file; start a search, or give its tracking URI")
    with mlflow_client.impatient(where):
        client = mlflow_client.connect(where)
        experiment = client.get_experiment_by_name(search)
        parent = None if experiment is None else newest_parent(client, experiment.experiment_id)
        if experiment is None or parent is None:
            raise InputError(f"{where.shown}: has no search {search!r}; `searchplat sync {search}` sends it")
        objective = parent.data.tags[names.OBJECTIVE].split()[0]
        direction = "DESC" if parent.data.tags[names.DIRECTION].split()[0] == "maximize" else "ASC"
        metric = names.key(f"best/{objective}")
        query = f"{RANKED} and tags.`{names.SEARCH_ID}` = '{parent.data.tags[names.SEARCH_ID]}'"
        if stage is not None:
            query += f" and tags.`{names.STAGE}` = '{_quoted(stage)}'"
        # A trial's run starts when it was suggested, so of equal values the smaller number comes first.
        runs = client.search_runs(
            [experiment.experiment_id],
            query,
            max_results=top,
            order_by=[f"metrics.`{metric}` {direction}", "attributes.start_time ASC"],
        )
    return [_ranked(run, metric) for run in runs if metric in run.data.metrics]


def newest_parent(client: Any, experiment_id: str) -> Any:
    """The parent run; the newest where several searches of this name write to one server."""
    found = client.search_runs(
        [experiment_id], f"tags.`{names.KIND}` = 'search'", max_results=1, order_by=["attributes.start_time DESC"]
    )
    return found[0] if found else None


def _ranked(run: Any, metric: str) -> RankedRun:
    tags = run.data.tags
    return RankedRun(
        int(tags[names.TRIAL]), tags[names.STAGE], run.info.run_id, run.data.metrics[metric], dict(run.data.params)
    )


def _quoted(text: str) -> str:
    if "'" in text:
        raise InputError(f"stage {text!r}: a stage's name has no quotation mark")
    return text
