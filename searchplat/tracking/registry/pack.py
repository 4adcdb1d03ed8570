"""The registry: a promotion's winner becomes a version of a registered model, once, with the alias `champion`.

`served` is what MLflow runs of it. What a package holds is the method's business: `contract.ServingMethod`.
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searchplat.assets import AssetStore
from searchplat.contract import AssetSource, Served, ServingMethod
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.methods import load_method
from searchplat.promotion.record import Promotion, PromotionRun
from searchplat.tracking.sending.promotion_runs import CANDIDATE, PROMOTION, SEARCH_NAME, SEED, final_key
from searchplat.tracking.sending.runs import SINK, ensure_experiment
from searchplat.tracking.store import client as mlflow_client
from searchplat.tracking.store import keys
from searchplat.tracking.store.address import Address, redact
from searchplat.tracking.store.files import found_here, moved

ALIAS = "champion"
ALIASED = "searchplat.aliased"
"""Set once the alias points, or pointed, to a version: from then on it is people who move it."""

_log = logging.getLogger(__name__)
_FOLDER = "model"
_PACKAGE = "package"
_NOISY = ("mlflow.pyfunc", "mlflow.models", "mlflow.utils", "mlflow.store", "mlflow.types", "alembic.runtime.migration")


@dataclass(frozen=True)
class Registered:
    """A version of a registered model. `created` is False where an earlier call had registered it."""

    name: str
    version: str
    created: bool

    @property
    def uri(self) -> str:
        """The version, e.g. `models:/darec-quick/1`."""
        return f"models:/{self.name}/{self.version}"


def register(
    promotion: Promotion,
    winner: PromotionRun,
    *,
    search_id: str,
    tracking_uri: str,
    run_id: str | None = None,
    assets: AssetSource | None = None,
) -> Registered:
    """Register a promotion's winner under the search's name; calling it again finds what is there.

    The version carries the tags of search, promotion and winner from the moment it exists, so a process that is
    killed at any point leaves none or one, and the same call afterwards completes it. A newer version takes the alias
    over; an alias that people moved is left where they put it.

    Args:
        winner: A finished final run.
        search_id: The search's identity in MLflow: two searches of one name may share a server.
        run_id: The MLflow run of `winner`, which gets the files; a run of its own is made if it is None.

    Raises:
        InputError: If the method cannot be served, the run's folder holds no model, or the store was moved.
    """
    method = load_method(winner.method)
    if not isinstance(method, ServingMethod):
        raise InputError(f"method {winner.method!r} cannot be registered: it has no `pack` and `load`; see the README")
    address = Address.parse(tracking_uri)
    with mlflow_client.impatient(address), _quiet():
        client = mlflow_client.connect(address)
        experiment = client.get_experiment_by_name(promotion.search)
        if experiment is not None and (obstacle := moved(address, experiment)) is not None:
            raise InputError(obstacle)
        name, wanted = promotion.search, {keys.SEARCH_ID: search_id, PROMOTION: str(promotion.number)}
        wanted |= {CANDIDATE: winner.candidate, SEED: str(winner.seed)}  # a run that failed may yet win when repeated
        version = _find(client, name, wanted)
        created = version is None
        if version is None:
            with tempfile.TemporaryDirectory(prefix="searchplat-") as temporary:
                package = Path(temporary) / _PACKAGE
                method.pack(winner.folder, package, assets or AssetStore())
                folder = Path(temporary) / _FOLDER
                _write_model(folder, package)
                run_id = run_id or _own_run(client, address, promotion, wanted)
                client.log_artifacts(run_id, str(folder), _FOLDER)
            _ensure_model(client, name, promotion)
            version = client.create_model_version(
                name,
                source=f"{client.get_run(run_id).info.artifact_uri}/{_FOLDER}",
                run_id=run_id,
                tags={**_tags(promotion, winner), **wanted},
                description=_describe(promotion, winner),
            )
        if version.tags.get(ALIASED) is None:
            client.set_registered_model_alias(name, ALIAS, version.version)
            client.set_model_version_tag(name, version.version, ALIASED, "true")
        return Registered(name, str(version.version), created)


def register_winner(ledger: Ledger, promotion: Promotion, tracking_uri: str) -> Registered | None:
    """Register the winner of a promotion whose final runs MLflow has; never raises, for the promotion is done.

    Args:
        ledger: The search's; it knows the identity of the search and the MLflow run of the winner.

    Returns:
        The version; None where MLflow has not got the winner's run (what is missing is sent, and registered, by the
        next call), or where the method cannot be served. The reason is logged.
    """
    winner = promotion.winner()
    if winner is None:
        return None
    search_id, run_id = ledger.meta("search_id"), ledger.sink_runs(SINK).get(final_key(promotion, winner))
    if not isinstance(load_method(winner.method), ServingMethod):
        _log.warning("method %s has no `pack` and `load`, so its winner is not registered as a model", winner.method)
        return None
    if search_id is None or run_id is None:
        _log.warning("MLflow has not got the winner's run yet; the same command sends it, and registers the model")
        return None
    try:
        return register(promotion, winner, search_id=search_id, tracking_uri=tracking_uri, run_id=run_id)
    except Exception as error:
        _log.warning(
            "the winner could not be registered at %s: %s; the same command tries again",
            Address.parse(tracking_uri).shown, redact(" ".join(str(error).split())),
        )  # fmt: skip
        return None


def fetch_package(uri: str, tracking_uri: str, folder: Path) -> Path:
    """The package of a registered model, brought into `folder` unless it lies in a folder of this machine already.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        InputError: If there is no such model, alias or version, or its files are gone.
    """
    address = Address.parse(tracking_uri)
    if address.sqlite is not None and not address.sqlite.exists():
        raise InputError(f"{address.shown}: there is no such file; give the tracking URI of the promotion")
    with mlflow_client.impatient(address), _quiet():
        client = mlflow_client.connect(address)
        version = _resolve(client, uri, address)
        source = client.get_model_version_download_uri(version.name, version.version)
        place = found_here(address, source, uri)
        if place is None:
            from mlflow.artifacts import download_artifacts

            place = Path(download_artifacts(artifact_uri=source, dst_path=str(folder), tracking_uri=address.uri))
    package = place / "artifacts" / _PACKAGE
    if not package.is_dir():
        raise InputError(f"{uri}: was not registered by searchplat: it has no {package.relative_to(place)}")
    return package


def load_package(folder: Path, assets: AssetSource) -> Served:
    """Make the model of a package or of a final training's folder ready to answer.

    Raises:
        InputError: If it holds no model, or the method is not installed or cannot be served, or is named by its code,
            which may not be imported.
    """
    name = method_of(folder)
    method = load_method(name)
    if not isinstance(method, ServingMethod):
        raise InputError(f"method {name!r} cannot answer: it has no `pack` and `load`; see the README")
    return method.load(folder, assets)


def method_of(folder: Path) -> str:
    """The method of a package or of a final training's folder, by the name that `load_method` takes.

    Raises:
        InputError: If it holds no model.
    """
    about = folder / "model.json"
    try:
        told = json.loads(about.read_text(encoding="utf-8"))
        return str(told.get("code", told["method"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: holds no trained model: {about.name} cannot be read ({error})") from error


def _write_model(folder: Path, package: Path) -> None:
    """The folder that MLflow loads: package, code by path, signature; no pickle."""
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Array, ColSpec, DataType, ParamSchema, ParamSpec, Schema

    from searchplat import __version__

    text, number = DataType.string, DataType.double
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(Path(__file__).with_name("served.py")),
        artifacts={_PACKAGE: str(package)},
        signature=ModelSignature(
            Schema([ColSpec(Array(text), "history"), ColSpec(text, "request", required=False)]),
            Schema([ColSpec(Array(text), "items"), ColSpec(Array(text), "titles"), ColSpec(Array(number), "scores")]),
            ParamSchema(
                [ParamSpec("k", DataType.long, 10), ParamSpec("exclude_history", DataType.boolean, True)]
            ),
        ),
        pip_requirements=[f"searchplat=={__version__}", f"mlflow=={mlflow.__version__}"],
    )  # fmt: skip


def _find(client: Any, name: str, wanted: Mapping[str, str]) -> Any:
    for version in client.search_model_versions(f"name = '{name}'"):
        if all(version.tags.get(key) == value for key, value in wanted.items()):
            return version
    return None


def _ensure_model(client: Any, name: str, promotion: Promotion) -> None:
    try:
        client.create_registered_model(name, tags={keys.KIND: "model"}, description=f"Search {promotion.search}")
    except Exception as error:
        if mlflow_client.error_code(error) != "RESOURCE_ALREADY_EXISTS":
            raise


def _own_run(client: Any, address: Address, promotion: Promotion, wanted: Mapping[str, str]) -> str:
    """A run to hold the files where the winner has none; that of an earlier, interrupted call if there is one."""
    experiment = ensure_experiment(client, address, promotion.search)
    tags = {keys.KIND: "model", **wanted}
    found = client.search_runs([experiment], " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items()))
    if found:
        return str(found[0].info.run_id)
    run = client.create_run(experiment, tags=tags, run_name=f"model of promotion {promotion.number}")
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _resolve(client: Any, uri: str, address: Address) -> Any:
    name, _, alias = uri.removeprefix("models:/").partition("@")
    version = None if alias else name.rpartition("/")[2]
    name = name if alias else name.rpartition("/")[0]
    if not uri.startswith("models:/") or not name or not (alias or version):
        raise InputError(f"model {uri!r}: must have the form models:/NAME@ALIAS or models:/NAME/VERSION")
    try:
        if alias:
            return client.get_model_version_by_alias(name, alias)
        return client.get_model_version(name, version)
    except Exception as error:
        if mlflow_client.error_code(error) not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        known = ", ".join(sorted(model.name for model in client.search_registered_models())) or "none"
        raise InputError(f"model {uri!r} is not registered at {address.shown}; registered are: {known}") from error


def _tags(promotion: Promotion, winner: PromotionRun) -> dict[str, str]:
    tags = {
        keys.KIND: "model",
        SEARCH_NAME: promotion.search,
        keys.METHOD: winner.method,
        "searchplat.data": promotion.data,
        "searchplat.data_fingerprint": promotion.data_fingerprint,
    }
    if winner.trial is not None:
        tags[keys.TRIAL] = str(winner.trial)
    return {key: keys.cut(value) for key, value in tags.items()}


def _describe(promotion: Promotion, winner: PromotionRun) -> str:
    figures = ", ".join(f"{metric} {winner.test[metric]:.4f}" for metric in promotion.metrics if metric in winner.test)
    return (
        f"{winner.method} {winner.candidate}, seed {winner.seed}, of promotion {promotion.number} of search "
        f"{promotion.search} on {promotion.data}. Test: {figures or 'not tested'}."
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, MLflow's advice on saving models is not shown: what it advises against is on purpose."""
    with mlflow_client.hushed(*_NOISY, level=logging.ERROR), warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*([Tt]ype hint|input example)", UserWarning)
        yield
