"""Files for people, kept with a search's parent run: its report."""

from __future__ import annotations

from pathlib import Path

from searchplat import hints
from searchplat.errors import InputError, TryAgainError
from searchplat.tracking.queries import newest_parent
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store.address import Address, redact
from searchplat.tracking.store.files import moved


def attach(tracking_uri: str, search: str, file: Path, runs: Path | None = None) -> str:
    """Keep a file as an artifact of a search's parent run, in place of an earlier one of its name.

    Args:
        runs: The folder of all searches, for the command that mends what is wrong.

    Returns:
        The run's identifier.

    Raises:
        InputError: If MLflow has no such search, or its store was moved.
        TryAgainError: If it does not take the file now.
    """
    where = Address.parse(tracking_uri)
    sync = hints.on_search("sync", search, runs, *hints.store_words(where.uri))
    missing = InputError(f"{where.shown}: has no search {search!r}; this sends it: {sync}")
    if where.sqlite is not None and not where.sqlite.exists():
        raise missing
    with mlflow_client.impatient(where):
        try:
            client = mlflow_client.connect(where)
            experiment = client.get_experiment_by_name(search)
            parent = None if experiment is None else newest_parent(client, experiment.experiment_id)
            obstacle = None if experiment is None else moved(where, experiment, runs)
            if parent is not None and obstacle is None:
                client.log_artifact(parent.info.run_id, str(file))
        except Exception as error:  # MLflow raises whatever its store and its web client do
            raise TryAgainError(
                f"MLflow at {where.shown} did not take {file.name}: {redact(str(error))}; repeat it when it is there"
            ) from error
    if parent is None:
        raise missing
    if obstacle is not None:
        raise InputError(obstacle)
    return str(parent.info.run_id)
