"""PR as an Optuna sampler, for any study: `optuna.create_study(sampler=PRSampler(seed=0))`."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from searchplat.arguments import whole
from searchplat.errors import InputError
from searchplat.searchers.options import PROptions
from searchplat.searchers.points import seed_of
from searchplat.searchers.pr.optuna_study.study_space import Params, StudySpace
from searchplat.searchers.pr.proposal import Known, propose

_PARAMS = "pr:params"
_ATTRIBUTE_LENGTH = 2045  # Optuna's databases hold this many characters an attribute

_ONE_AT_A_TIME = threading.Lock()
"""Of a study's threads, each must see the points that the others were given; and torch counts threads a process."""


def _no_layer(name: str) -> int | None:
    """No parameter is a bit of a layout. A named function, as samplers are pickled."""
    return None


class PRSampler(BaseSampler):
    """Bayesian optimisation with probabilistic reparameterization over categorical, integer and float parameters.

    Works with `optimize`, ask and tell, past trials added by `add_trial`, and several objectives. The first trial of an
    empty study is random, for Optuna learns a study's parameters from its trials. Parameters that only some trials have
    are searched jointly with the rest: under which levels of other parameters the objective asks for them is told from
    the trials, and where it does not ask they say nothing. Complete trials are observations; pruned ones, with their
    last intermediate value, too, where there is one objective; failed ones, and those with a value that is not finite,
    lower the worth of points like theirs; running ones are pending. Each constraint (`trial.set_constraint`, broken
    above 0) has a model of its own, and a point is worth less the less likely it keeps them.

    Up to 300 trials the model is exact; of more it knows a subset, the best, the newest and a spread, which depends on
    nothing but the trials and the order in which they ended (`models.subset`).

    Pickled and copied like any other sampler; `layer_of` must then be a function that can be. Threads of one process
    are served one after the other.

    Args:
        seed: A whole number, 0 or more. Equal seeds and trials give equal points, in any process; None draws a seed.
        layer_of: For a yes-or-no parameter that is a bit of a layout, the number of its layer, else None. Pairs of bits
            within a layer, and of neighbouring layers, then have kernel parts of their own.
        options: See `PROptions`; its defaults if None.

    Raises:
        InputError: If one of them is none of these.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        layer_of: Callable[[str], int | None] = _no_layer,
        options: PROptions | None = None,
    ) -> None:
        if not callable(layer_of):
            raise InputError(f"layer_of: must be a function from a parameter's name to its layer, got {layer_of!r}")
        if not isinstance(options, PROptions | None):
            raise InputError(f"options: must be a PROptions, got {options!r}")
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else whole("seed", seed, 0)
        self._layer_of = layer_of
        self._options = options or PROptions()

    def reseed_rng(self) -> None:
        """Nothing to do: a trial's number, not a generator's state, tells parallel trials apart."""

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """All parameters that any trial has had, with their newest distributions, but those of a single value."""
        space: dict[str, BaseDistribution] = {}
        for past in study.get_trials(deepcopy=False):
            space.update(past.distributions)
        return {name: d for name, d in sorted(space.items()) if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A point for the parameters of `search_space`, all of them.

        Random values get those that the objective is not expected to ask for, and all once every point was tried.
        """
        params: Params = {}
        if not all(distribution.single() for distribution in search_space.values()):
            with _ONE_AT_A_TIME:
                params = self._proposed(study, trial, search_space)
        return {
            name: params[name] if name in params else self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
        }

    def _proposed(self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]) -> Params:
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        space = StudySpace(search_space, self._layer_of, trials)
        signs = [1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        known = _known(trials, torch.tensor(signs, dtype=torch.float64), space)
        tried_NA = known.tried
        proposal = propose(
            space.encoding,
            known,
            self._seed,
            trial.number,
            self._options,
            accept=lambda code_A: not space.among(code_A, tried_NA),
        )
        if proposal is None:
            return {}
        params = space.params(proposal.code_A)
        # Other processes must see this point as pending before its objective asks for it.
        text = json.dumps(space.internal(params))
        for start in range(0, len(text), _ATTRIBUTE_LENGTH):
            chunk = text[start : start + _ATTRIBUTE_LENGTH]
            study._storage.set_trial_system_attr(trial._trial_id, f"{_PARAMS}:{start // _ATTRIBUTE_LENGTH}", chunk)
        study._storage.set_trial_system_attr(trial._trial_id, "pr:info", proposal.info)
        return params

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A random value, for a parameter that no earlier trial had."""
        seed = seed_of(self._seed, "independent", trial.number, param_name) % 2**32
        return RandomSampler(seed=seed).sample_independent(study, trial, param_name, param_distribution)


def _known(trials: Sequence[FrozenTrial], signs_J: Tensor, space: StudySpace) -> Known:
    scored: list[Params] = []
    pending: list[Params] = []
    failed: list[Params] = []
    values, seconds = [], []
    known_at: list[int] = []
    failed_at: list[int] = []
    constraints: list[dict[str, float]] = []
    for trial in trials:
        if not trial.state.is_finished():
            pending.append({**_announced(trial, space), **trial.params})
        elif (scores := _scores(trial, len(signs_J))) is None:
            if space.knows(trial.params):
                failed.append(trial.params)
                failed_at.append(_ended(trial))
        else:
            scored.append(trial.params)
            values.append(scores)
            known_at.append(_ended(trial))
            constraints.append(trial.constraints)
            whole = trial.state == TrialState.COMPLETE and trial.duration is not None
            seconds.append(trial.duration.total_seconds() if whole and trial.duration else math.nan)
    objectives = torch.tensor(values, dtype=torch.float64).reshape(len(values), len(signs_J)) * signs_J
    seconds_N = torch.tensor(seconds, dtype=torch.float64)
    # A trial that has neither announced nor asked for anything that is searched is nowhere.
    return Known(
        space.codes(scored),
        objectives,
        space.codes([params for params in pending if space.knows(params)]),
        space.codes(failed),
        seconds_N,
        torch.tensor(known_at, dtype=torch.int64),
        torch.tensor(failed_at, dtype=torch.int64),
        excess_NB=_excess(constraints),
    )


def _ended(trial: FrozenTrial) -> int:
    """When a trial ended, in microseconds: of parallel trials not in the order of their numbers."""
    return (trial.datetime_complete - datetime.min) // timedelta(microseconds=1) if trial.datetime_complete else 0


def _excess(constraints: Sequence[Mapping[str, float]]) -> Tensor | None:
    """Values of a study's constraints, above 0 where they are broken; infinite where a trial has none.

    Each in its own unit, the median of what it is off by: parameters and seconds differ by many orders of magnitude.
    """
    names = sorted({name for own in constraints for name in own})
    if not names:
        return None
    excess_NB = torch.tensor([[own.get(name, math.inf) for name in names] for own in constraints], dtype=torch.float64)
    for excess_N in excess_NB.T:
        off = excess_N[torch.isfinite(excess_N) & (excess_N != 0)].abs()
        if len(off):
            excess_N /= off.median()
    return excess_NB


def _announced(trial: FrozenTrial, space: StudySpace) -> Params:
    """The point that a running trial was given, also in the part that its objective has not asked for."""
    chunks: list[str] = []
    while (chunk := trial.system_attrs.get(f"{_PARAMS}:{len(chunks)}")) is not None:
        chunks.append(chunk)
    if not chunks:
        return {}
    try:
        return space.external(json.loads("".join(chunks)))
    except json.JSONDecodeError:  # another process is still writing it
        return {}


def _scores(trial: FrozenTrial, objectives: int) -> list[float] | None:
    """Finite objective values of an ended trial, if it has them."""
    if trial.state == TrialState.COMPLETE:
        scores = trial.values
    elif trial.state == TrialState.PRUNED and objectives == 1 and trial.intermediate_values:
        scores = [trial.intermediate_values[max(trial.intermediate_values)]]
    else:
        return None
    return scores if scores and all(map(math.isfinite, scores)) else None
