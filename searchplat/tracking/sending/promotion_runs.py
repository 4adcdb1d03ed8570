"""A promotion's runs in MLflow: children of the search's parent run, each exactly once, whatever died when.

A run is sent when it has ended, whole: parameters, metrics, lineage, ranks. Its identifier is noted in the ledger
when MLflow has everything; until then it is found again by its tags, so that sending may be repeated.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchplat.contract import SAMPLED_RANKS, group_ranks_file
from searchplat.contract.measures import GROUPS
from searchplat.ledger import Ledger
from searchplat.spec.model import SearchSpec
from searchplat.tracking.sending.runs import SEARCH, SINK, is_of
from searchplat.tracking.sending.sink import MlflowSink
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address, redact
from searchplat.tracking.store.files import moved

if TYPE_CHECKING:
    from searchplat.promotion.record import Promotion, PromotionRun

CANDIDATE = "searchplat.candidate"
PHASE = "searchplat.phase"
PROMOTION = "searchplat.promotion"
SEARCH_NAME = "searchplat.search"
SEED = "searchplat.seed"
_CONNECT_S = 30.0
_log = logging.getLogger(__name__)


class PromotionSink:
    """Sends a promotion's ended runs. Never raises for MLflow's sake: what is not sent now is sent by a later call.

    Args:
        ledger: Open for writing, held by this process.
        search: The search's name, which is the experiment's.
        tracking_uri: A database or a server.

    Raises:
        InputError: If `tracking_uri` cannot be one.
    """

    def __init__(self, ledger: Ledger, spec: SearchSpec, search: str, tracking_uri: str) -> None:
        self._ledger, self._spec, self._search, self._uri = ledger, spec, search, tracking_uri
        self._where = Address.parse(tracking_uri)
        self._connected = False
        self._failed = False

    def send(self, load: Callable[[], Promotion], last: bool = False) -> int:
        """Send what has ended and was not sent; return the number of ended runs that MLflow has not got.

        Args:
            load: Gives the promotion as it stands.
            last: Try again even if it failed before.
        """
        waiting = self._unsent(load())
        if waiting and (last or not self._failed):
            try:
                with mlflow_client.impatient(self._where):
                    self._send(load(), waiting)
                self._failed = False
            except Exception as error:
                if not self._failed or last:
                    _log.warning(
                        "MLflow at %s cannot be written: %s; the runs stay in the ledger, and the same command "
                        "sends them", self._where.shown, redact(" ".join(str(error).split())),
                    )  # fmt: skip
                self._failed = True
        return self.backlog(load)

    def backlog(self, load: Callable[[], Promotion]) -> int:
        """Number of ended runs that MLflow has not got."""
        return len(self._unsent(load()))

    def unsent(self, promotion: Promotion) -> int:
        """Number of ended runs of a promotion that MLflow has not got."""
        return len(self._unsent(promotion))

    def _unsent(self, promotion: Promotion) -> list[PromotionRun]:
        known = self._ledger.sink_runs(SINK) if is_of(self._ledger, self._where) else {}
        ended = [run for run in promotion.runs if run.state == "finished"]
        return [run for run in ended if final_key(promotion, run) not in known]

    def _send(self, promotion: Promotion, waiting: list[PromotionRun]) -> None:
        if not self._connected:
            self._connect()
            self._connected = True
            waiting = self._unsent(promotion)  # another store has none of them
        client = mlflow_client.connect(self._where)
        parent = client.get_run(self._ledger.sink_runs(SINK)[SEARCH])
        files = moved(self._where, client.get_experiment(parent.info.experiment_id)) is None
        for run in waiting:
            self._send_one(client, parent, promotion, run, files)

    def _connect(self) -> None:
        """Bring the search itself up to date, its parent run above all."""
        sink = MlflowSink.of(self._ledger, self._spec, self._search, self._uri)
        sink.start()
        sink.flush(_CONNECT_S)
        sink.stop(_CONNECT_S)
        if sink.last_error or SEARCH not in self._ledger.sink_runs(SINK):
            raise ConnectionError(sink.last_error or "the search's own run could not be made")

    def _send_one(self, client: Any, parent: Any, promotion: Promotion, run: PromotionRun, files: bool) -> None:
        from mlflow.entities import Metric, Param, RunTag

        tags = final_tags(promotion, run, parent.data.tags[keys.SEARCH_ID], parent.info.run_id)
        found = client.search_runs(
            [parent.info.experiment_id],
            " and ".join(
                f"tags.`{name}` = '{tags[name]}'" for name in (keys.SEARCH_ID, PROMOTION, PHASE, CANDIDATE, SEED)
            ),
            max_results=1,
        )
        now_ms = round(time.time() * 1000)
        if found:
            run_id = found[0].info.run_id
        else:
            started_ms = now_ms - round(run.seconds * 1000)
            name = f"{run.phase} {run.candidate} seed {run.seed}"
            experiment = parent.info.experiment_id
            run_id = client.create_run(experiment, start_time=started_ms, tags=tags, run_name=name).info.run_id
        metrics = [Metric(key, value, now_ms, run.best_epoch) for key, value in final_metrics(run).items()]
        params = [Param(key, value) for key, value in keys.flat_params(run.config, seed=run.seed).items()]
        for start in range(0, len(params), 50):
            client.log_batch(run_id, params=params[start : start + 50])
        client.log_batch(run_id, metrics=metrics, tags=[RunTag(keys.STATE, run.state)])
        if files and run.ranks is not None:
            beside = (run.ranks.with_name(name) for name in (SAMPLED_RANKS, *map(group_ranks_file, GROUPS)))
            for path in (run.ranks, *beside, Path(run.folder) / "model.json"):
                if path.exists():
                    client.log_artifact(run_id, str(path))
        client.set_terminated(run_id, "FINISHED", now_ms)
        self._ledger.set_sink_run(SINK, final_key(promotion, run), run_id)


def final_tags(promotion: Promotion, run: PromotionRun, search_id: str, parent: str) -> dict[str, str]:
    """The tags of a final run: whose it is, and everything that it depends on.

    A run of a race is of the kind `race`; it has no test metrics.
    """
    tags = {
        keys.KIND: run.phase,
        keys.SEARCH_ID: search_id,
        SEARCH_NAME: promotion.search,
        PROMOTION: str(promotion.number),
        PHASE: run.phase,
        keys.STAGE: run.phase,
        CANDIDATE: run.candidate,
        keys.METHOD: run.method,
        SEED: str(run.seed),
        keys.PARENT: parent,
        keys.TRIAL: str(run.trial),
        **{f"searchplat.lineage.{name}": value for name, value in promotion.lineage.items()},
    }
    if run.control is not None:
        tags[keys.CONTROL] = run.control
    if run.data_fingerprint is not None:
        tags["searchplat.data_fingerprint"] = run.data_fingerprint
    return {name: keys.cut(redact(value)) for name, value in tags.items()}


def final_metrics(run: PromotionRun) -> dict[str, float]:
    """The metrics of a final run by MLflow's keys; what is not finite is left out."""
    rows = {
        **{_metric(name): value for name, value in run.valid.items()},
        **{f"test/{name}": value for name, value in run.test.items()},
        "time/train_seconds": run.seconds,
        "epochs": float(run.epochs),
        "best_epoch": float(run.best_epoch),
    }
    if run.peak_bytes is not None:
        rows["memory/peak_bytes"] = run.peak_bytes
    if run.parameters is not None:
        rows["parameters"] = float(run.parameters)
    return {keys.key(name): value for name, value in rows.items() if math.isfinite(value)}


def _metric(name: str) -> str:
    """The whole name of what is noted beside validation: objectives may be times and sizes too."""
    return name if name == "parameters" or name.startswith(("time/", "memory/")) else f"valid/{name}"


def final_key(promotion: Promotion, run: PromotionRun) -> str:
    """How the ledger notes a run's identifier, apart from trials' numbers."""
    return json.dumps([run.phase, promotion.number, run.candidate, run.seed])
