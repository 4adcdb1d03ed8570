"""A search as Optuna studies in a file, for optuna-dashboard and Optuna's own plots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as State

from searchplat.errors import InputError
from searchplat.ledger import Event, Ledger, TrialRecord
from searchplat.ledger.repeats import repeated
from searchplat.ledger.widenings import widenings
from searchplat.paths import sqlite_uri
from searchplat.searchers.contract import TrialState
from searchplat.searchers.optuna_adapter import quiet
from searchplat.spec.model import CONTROLS, SearchSpec
from searchplat.spec.space import Bool, Categorical, Domain, Float, Int, Layout


def write_studies(ledger: Ledger, spec: SearchSpec, search: str, path: Path) -> list[str]:
    """Write a new SQLite file with one Optuna study a stage, and one of the controls; return their names.

    A trial has its searched values, layouts as one parameter a bit; its curve of the first objective; state, times; and
    the rest as user attributes. A trial stopped early is Optuna's PRUNED, one without a value FAIL. How the space was
    widened is an attribute of each study. Bounds on outcomes are constraints, with the excess in shares of the limit.

    Raises:
        InputError: If the file exists or cannot be written.
    """
    if path.exists():
        raise InputError(f"{path}: exists already; remove it, or choose another --out")
    begun, ended = _times(ledger)
    widened = [{"at": one.at, **one.payload} for one in widenings(ledger)]
    directions = [StudyDirection.MAXIMIZE if o.maximize else StudyDirection.MINIMIZE for o in spec.objectives]
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    names = []
    try:
        with quiet():
            storage = optuna.storages.RDBStorage(sqlite_uri(part.absolute()))
            for stage in [*(stage.name for stage in spec.stages), CONTROLS]:
                trials = [trial for trial in ledger.trials() if trial.stage == stage]
                if not trials:
                    continue
                name = f"{search}/{stage}"
                study = optuna.create_study(storage=storage, study_name=name, directions=directions)
                study.set_metric_names([o.metric for o in spec.objectives])
                study.set_user_attr("searchplat.method", spec.method)
                study.set_user_attr("searchplat.data", spec.data.name)
                if widened:
                    study.set_user_attr("searchplat.widened", widened)
                study.add_trials([_frozen(ledger, spec, t, number, begun, ended) for number, t in enumerate(trials)])
                names.append(name)
            storage.engine.dispose()
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return names


def _frozen(
    ledger: Ledger,
    spec: SearchSpec,
    trial: TrialRecord,
    number: int,
    begun: Mapping[int, datetime],
    ended: Mapping[int, datetime],
) -> Any:
    state = {
        TrialState.FINISHED: State.COMPLETE,
        TrialState.STOPPED: State.PRUNED,
        TrialState.RUNNING: State.RUNNING,
        TrialState.WAITING: State.WAITING,
    }.get(trial.state, State.FAIL)
    params: dict[str, Any] = {}
    distributions: dict[str, BaseDistribution] = {}
    if trial.control is None:
        for domain in spec.space.domains:
            if domain.name in trial.values:
                for name, value, distribution in _params(domain, trial.values[domain.name]):
                    params[name], distributions[name] = value, distribution
    first = spec.objectives[0].metric
    curve = {
        report.epoch: report.metrics[first]
        for report in ledger.reports(trial.number)
        if math.isfinite(report.metrics.get(first, math.nan))
    }
    attributes = {
        "trial": trial.number, "state": trial.state.value, "seed": trial.seed, "seconds": trial.seconds,
        "data_fraction": trial.data_fraction, "config": trial.config,
    }  # fmt: skip
    if (other := repeated(trial)) is not None:
        attributes["repeats"] = other
    for name in ("control", "cause"):
        if (value := getattr(trial, name)) is not None:
            attributes[name] = value
    scored = trial.objectives is not None and state in (State.COMPLETE, State.PRUNED)
    several = len(spec.objectives) > 1
    if several and state is State.PRUNED:  # Optuna prunes one objective only
        state = State.COMPLETE if scored else State.FAIL
    frozen = FrozenTrial(
        number=number,
        trial_id=-1,
        state=state,
        value=None,
        values=list(trial.objectives or ()) if scored else None,
        datetime_start=None if state is State.WAITING else begun.get(trial.number),
        datetime_complete=ended.get(trial.number) if state.is_finished() else None,
        params=params,
        distributions=distributions,
        user_attrs=attributes,
        system_attrs={},
        intermediate_values={} if several else curve,
    )
    for outcome in trial.outcomes:
        if scored and math.isfinite(outcome.excess):
            frozen.set_constraint(outcome.bound.text, outcome.excess)
    return frozen


def _params(domain: Domain, value: Any) -> Iterator[tuple[str, Any, BaseDistribution]]:
    """Optuna's parameters of one value, with names and choices as people know them."""
    match domain:
        case Layout():
            two = CategoricalDistribution(domain.choices)
            for name, bit in zip(domain.names(), domain.decode(value), strict=True):
                yield f"{domain.name}.{name}", domain.choices[int(bit)], two
        case Float(low=low, high=high, log=log):
            yield domain.name, value, FloatDistribution(low, high, log=log)
        case Int(low=low, high=high, log=log) if max(abs(low), abs(high)) > 2**53:  # Optuna keeps numbers as floats
            yield domain.name, float(value), FloatDistribution(float(low), float(high), log=log)
        case Int(low=low, high=high, log=log):
            yield domain.name, value, IntDistribution(low, high, log=log)
        case Bool():
            yield domain.name, value, CategoricalDistribution((False, True))
        case Categorical(choices=choices) if len(set(choices)) < len(choices):
            # To Optuna 1, 1.0 and true are one choice: as texts they stay three.
            yield domain.name, json.dumps(value), CategoricalDistribution([json.dumps(choice) for choice in choices])
        case Categorical(choices=choices):
            yield domain.name, value, CategoricalDistribution(choices)


def _times(ledger: Ledger) -> tuple[dict[int, datetime], dict[int, datetime]]:
    begun: dict[int, datetime] = {}
    ended: dict[int, datetime] = {}
    for event in _events(ledger):
        if event.trial is None:
            continue
        # Optuna knows local times without a zone.
        at = datetime.fromtimestamp(event.at, UTC).astimezone().replace(tzinfo=None)
        begun.setdefault(event.trial, at)
        if event.kind == "ended":
            ended[event.trial] = at
    return begun, ended


def _events(ledger: Ledger) -> Iterator[Event]:
    seq = 0
    while events := ledger.events(after=seq):
        yield from events
        seq = events[-1].seq
