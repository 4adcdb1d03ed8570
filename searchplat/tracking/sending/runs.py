"""Which MLflow run belongs to the search and to each trial: exactly one, whatever died when.

A run's identifier goes into the ledger as soon as MLflow has given it. If this process dies between the two, or
the answer is lost on the way, the run exists and the ledger does not know: so before the first creation after
any such doubt, MLflow is asked for the runs that may have been forgotten, and they are adopted.
"""

from __future__ import annotations

import getpass
import logging
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from searchplat.errors import TryAgainError
from searchplat.ledger import Ledger, TrialRecord
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address

SINK = "mlflow"
"""The name of the cursor and of the identifiers in the ledger."""

PICTURES = "mlflow.pictures"
"""The cursor of the pictures, which follow the rows when there is time."""

SEARCH = "search"
"""The key of the parent run; a trial's key is its number."""

STORE = "mlflow.store"
"""The ledger's note of which store and experiment its cursor and identifiers belong to, without secrets."""

_PAGE = 1000
_log = logging.getLogger(__name__)


class Runs:
    """The runs of one search in one store.

    Args:
        client: An `MlflowClient`.
        experiment: The experiment's name; made if it does not exist.

    Raises:
        TryAgainError: If the experiment lies in MLflow's bin.
    """

    def __init__(self, ledger: Ledger, address: Address, client: Any, experiment: str) -> None:
        self._ledger, self._client = ledger, client
        self.search_id = _search_id(ledger)
        self.experiment_id = ensure_experiment(client, address, experiment)
        identity = f"{address.shown}#{self.experiment_id}"
        known = ledger.sink_runs(SINK)
        if ledger.meta(STORE) != identity or not self._exists(known.get(SEARCH)):
            # Another store than last time, or its file was deleted: everything is sent again, and what is
            # already there is found by its tags.
            ledger.forget_sink(SINK)
            ledger.forget_sink(PICTURES)
            ledger.set_meta(STORE, identity)
            known = {}
        self._known = known
        self._doubt = True  # what an earlier process created and could not note
        self._lost_answer = False

    def __getitem__(self, trial: int) -> str:
        """Identifier of a trial's run."""
        return self._known[str(trial)]

    def __contains__(self, trial: int) -> bool:
        return str(trial) in self._known

    @property
    def search(self) -> str:
        """Identifier of the parent run."""
        return self._known[SEARCH]

    def ensure_search(self, name: str, tags: Mapping[str, str]) -> bool:
        """Adopt or create the parent run; whether it was created."""
        if SEARCH in self._known:
            return False
        first = self._ledger.events(limit=1)
        start_ms = round(first[0].at * 1000) if first else None
        self._adopt(0)
        if SEARCH in self._known:
            return False
        self._create(SEARCH, name, start_ms, {keys.KIND: "search", keys.SEARCH_ID: self.search_id, **tags})
        return True

    def ensure_trials(self, trials: Iterable[TrialRecord]) -> set[int]:
        """Adopt or create the runs of `trials`; return those that had none known."""
        missing = {trial.number: trial for trial in trials if trial.number not in self}
        if not missing:
            return set()
        start_ms = {number: self._suggested_ms(trial) for number, trial in missing.items()}
        if self._doubt:
            self._adopt(min(start_ms.values()))
        for number, trial in missing.items():
            if number not in self:
                tags = keys.trial_tags(trial, self.search_id, self.search)
                self._create(str(number), keys.run_name(trial), start_ms[number], tags)
        return set(missing)

    def doubt(self) -> None:
        """Something failed: before the next creation, ask what is there."""
        self._doubt = True

    def heal(self) -> None:
        """If an answer was lost, look for runs that came into being twice, and put the second into MLflow's bin.

        A server may carry out a creation after its caller has given up on it and asked again.
        """
        if self._lost_answer:
            self._adopt(0)
            self._lost_answer = False

    def _create(self, key: str, name: str, start_ms: int | None, tags: Mapping[str, str]) -> None:
        tags = {**tags, "mlflow.user": _user(), "mlflow.source.name": "searchplat"}
        try:
            run = self._client.create_run(self.experiment_id, start_time=start_ms, tags=tags, run_name=name)
        except Exception:
            self._doubt = self._lost_answer = True
            raise
        self._note(key, run.info.run_id)

    def _note(self, key: str, run: str) -> None:
        self._ledger.set_sink_run(SINK, key, run)
        self._known[key] = run

    def _adopt(self, since_ms: int) -> None:
        """Find this search's runs that started at `since_ms` or later; a run starts when its trial was suggested."""
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment_id],
                f"tags.`{keys.SEARCH_ID}` = '{self.search_id}' and attributes.start_time >= {since_ms}",
                max_results=_PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
            for run in page:
                self._adopt_one(run)
            token = page.token
            if not token:
                break
        self._doubt = False

    def _adopt_one(self, run: Any) -> None:
        kind = run.data.tags.get(keys.KIND)
        key = SEARCH if kind == "search" else run.data.tags.get(keys.TRIAL) if kind == "trial" else None
        if key is None:
            return  # a final run of promotion
        if key not in self._known:
            self._note(key, run.info.run_id)
        elif self._known[key] != run.info.run_id:
            _log.warning("MLflow had two runs for %s; the second, %s, is deleted", key, run.info.run_id)
            self._client.delete_run(run.info.run_id)

    def _suggested_ms(self, trial: TrialRecord) -> int:
        return round(self._ledger.events(after=trial.suggested_at - 1, limit=1)[0].at * 1000)

    def _exists(self, run_id: str | None) -> bool:
        if run_id is None:
            return False
        try:
            run = self._client.get_run(run_id)
        except Exception as error:
            if mlflow_client.error_code(error) == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        if run.info.lifecycle_stage == "deleted":
            # The search is being sent to again, so somebody wants to see it.
            self._client.restore_run(run_id)
        return True


def is_of(ledger: Ledger, address: Address) -> bool:
    """Whether what a ledger has noted of MLflow, its cursor and the runs' identifiers, is of the store at `address`."""
    return (ledger.meta(STORE) or "").rpartition("#")[0] == address.shown


def _search_id(ledger: Ledger) -> str:
    """The identity of this ledger's search, made on first use: two searches of one name may share a server."""
    found = ledger.meta("search_id")
    if found is None:
        found = uuid.uuid4().hex
        ledger.set_meta("search_id", found)
    return found


def ensure_experiment(client: Any, address: Address, name: str) -> str:
    """Identifier of the experiment of this name, made if it does not exist.

    Raises:
        TryAgainError: If it lies in MLflow's bin.
    """
    found = client.get_experiment_by_name(name)
    if found is None:
        root = mlflow_client.artifact_root(address)
        try:
            return str(
                client.create_experiment(name, artifact_location=None if root is None else (root / name).as_uri())
            )
        except Exception as error:
            if mlflow_client.error_code(error) != "RESOURCE_ALREADY_EXISTS":
                raise
            found = client.get_experiment_by_name(name)  # another search of this name was quicker
    if found.lifecycle_stage != "active":
        raise TryAgainError(
            f"experiment {name!r} is deleted in MLflow; restore it with `mlflow experiments restore "
            f"--experiment-id {found.experiment_id}`, and what is missing follows"
        )
    return str(found.experiment_id)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # no such user in this container
        return "unknown"
