"""PR as an Optuna sampler, for any study: `optuna.create_study(sampler=PRSampler(seed=0))`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.points import seed_of
from searchplat.searchers.pr.encoding import Axis, Encoding, Kind
from searchplat.searchers.pr.proposal import Known, propose

_MOST_LEVELS = 12  # an integer axis with more levels is searched as a real one and rounded
_PARAMS = "pr:params"
_ATTRIBUTE_LENGTH = 2045  # Optuna's databases hold this many characters an attribute
_Params = dict[str, Any]


class PRSampler(BaseSampler):
    """Bayesian optimisation with probabilistic reparameterization over categorical, integer and float parameters.

    Works with `optimize`, ask and tell, past trials added by `add_trial`, and several objectives. The first trial of an
    empty study is random, for Optuna learns a study's parameters from its trials. Parameters that only some trials have
    are searched jointly with the rest, and are neutral in trials without them. Complete trials are observations; pruned
    ones, with their last intermediate value, too, where there is one objective; failed ones lower the worth of points
    like theirs; running ones are pending.

    Args:
        seed: Equal seeds and trials give equal points, in any process; None draws a seed.
        layer_of: For a yes-or-no parameter that is a bit of a layout, the number of its layer, else None. Pairs of bits
            within a layer, and of neighbouring layers, then have kernel parts of their own.
        options: See `PROptions`; its defaults if None.
    """

    def __init__(
        self,
        *,
        seed: int | None = None,
        layer_of: Callable[[str], int | None] = lambda _: None,
        options: PROptions | None = None,
    ) -> None:
        self._seed = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
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
        """A point for the parameters of `search_space`."""
        if not search_space:
            return {}
        codec = _Codec(search_space, self._layer_of)
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        signs = [1.0 if d == StudyDirection.MAXIMIZE else -1.0 for d in study.directions]
        known = _known(trials, torch.tensor(signs, dtype=torch.float64), codec)
        tried = {tuple(codec.params(code_A).items()) for code_A in known.tried if not bool(code_A.isnan().any())}
        proposal = propose(
            codec.encoding,
            known,
            self._seed,
            trial.number,
            self._options,
            accept=lambda code_A: tuple(codec.params(code_A).items()) not in tried,
        )
        if proposal is None:  # every point was tried: Optuna has no way to say so, and samples again
            return {}
        params = codec.params(proposal.code_A)
        internal = {name: search_space[name].to_internal_repr(value) for name, value in params.items()}
        # Other processes must see this point as pending before its objective asks for it.
        text = json.dumps(internal)
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


class _Codec:
    """Optuna's parameters to rows of codes and back."""

    def __init__(self, space: dict[str, BaseDistribution], layer_of: Callable[[str], int | None]) -> None:
        self.space = space
        self.encoding = Encoding([_axis(name, d, layer_of(name)) for name, d in space.items()])

    def codes(self, params: _Params) -> list[float]:
        """One row; NaN where a parameter is missing. Numbers beyond a range that has changed count as its end."""
        row = []
        for axis, (name, distribution) in zip(self.encoding.axes, self.space.items(), strict=True):
            if name not in params:
                row.append(math.nan)
            elif isinstance(distribution, CategoricalDistribution):
                row.append(float(distribution.choices.index(params[name])))
            else:
                assert isinstance(distribution, IntDistribution | FloatDistribution)
                row.append(_position(distribution, axis, float(params[name])))
        return row

    def params(self, code_A: Tensor) -> _Params:
        """The parameters of one row without NaN."""
        found: _Params = {}
        rows = zip(self.encoding.axes, self.space.items(), code_A.tolist(), strict=True)
        for axis, (name, distribution), code in rows:
            if isinstance(distribution, CategoricalDistribution):
                found[name] = distribution.choices[int(code)]
            else:
                assert isinstance(distribution, IntDistribution | FloatDistribution)
                found[name] = _value(distribution, axis, code)
        return found


def _axis(name: str, distribution: BaseDistribution, layer: int | None) -> Axis:
    if isinstance(distribution, CategoricalDistribution):
        count = len(distribution.choices)
        return Axis(name, Kind.BIT if count == 2 else Kind.CATEGORICAL, count, layer if count == 2 else None)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    if distribution.step is not None and not distribution.log:
        count = 1 + round((distribution.high - distribution.low) / distribution.step)
        if count == 2:
            return Axis(name, Kind.BIT, 2, layer)
        if count <= _MOST_LEVELS:
            return Axis(name, Kind.ORDINAL, count)
    return Axis(name, Kind.REAL, 0)


def _position(distribution: IntDistribution | FloatDistribution, axis: Axis, value: float) -> float:
    low, high = distribution.low, distribution.high
    if axis.kind is not Kind.REAL:
        assert distribution.step is not None
        return float(round((min(max(value, low), high) - low) / distribution.step))
    value = min(max(value, low), high)
    return math.log(value / low) / math.log(high / low) if distribution.log else (value - low) / (high - low)


def _value(distribution: IntDistribution | FloatDistribution, axis: Axis, code: float) -> float | int:
    low, high, step = distribution.low, distribution.high, distribution.step
    if axis.kind is not Kind.REAL:
        assert step is not None
        value = low + step * round(code)
    else:
        value = low * (high / low) ** code if distribution.log else low + code * (high - low)
        if step is not None:
            value = low + step * round((value - low) / step)
    value = min(max(value, low), high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _known(trials: Sequence[FrozenTrial], signs_J: Tensor, codec: _Codec) -> Known:
    rows: dict[str, list[list[float]]] = {"scored": [], "pending": [], "failed": []}
    values, seconds = [], []
    for trial in trials:
        if not trial.state.is_finished():
            rows["pending"].append(codec.codes({**_announced(trial, codec), **trial.params}))
        elif (scores := _scores(trial, len(signs_J))) is None:
            rows["failed"].append(codec.codes(trial.params))
        else:
            rows["scored"].append(codec.codes(trial.params))
            values.append(scores)
            whole = trial.state == TrialState.COMPLETE and trial.duration is not None
            seconds.append(trial.duration.total_seconds() if whole and trial.duration else math.nan)
    width = codec.encoding.width
    tensors = {name: torch.tensor(row, dtype=torch.float64).reshape(len(row), width) for name, row in rows.items()}
    # A trial that has neither announced nor asked for anything is nowhere yet.
    pending, failed = (tensors[name][~tensors[name].isnan().all(1)] for name in ("pending", "failed"))
    objectives = torch.tensor(values, dtype=torch.float64).reshape(len(values), len(signs_J)) * signs_J
    return Known(tensors["scored"], objectives, pending, failed, torch.tensor(seconds, dtype=torch.float64))


def _announced(trial: FrozenTrial, codec: _Codec) -> _Params:
    """The point that a running trial was given, also in the part that its objective has not asked for."""
    chunks: list[str] = []
    while (chunk := trial.system_attrs.get(f"{_PARAMS}:{len(chunks)}")) is not None:
        chunks.append(chunk)
    if not chunks:
        return {}
    try:
        internal = json.loads("".join(chunks))
    except json.JSONDecodeError:  # another process is still writing it
        return {}
    space = codec.space
    return {name: space[name].to_external_repr(value) for name, value in internal.items() if name in space}


def _scores(trial: FrozenTrial, objectives: int) -> list[float] | None:
    """Finite objective values of an ended trial, if it has them."""
    if trial.state == TrialState.COMPLETE:
        scores = trial.values
    elif trial.state == TrialState.PRUNED and objectives == 1 and trial.intermediate_values:
        scores = [trial.intermediate_values[max(trial.intermediate_values)]]
    else:
        return None
    return scores if scores and all(map(math.isfinite, scores)) else None
