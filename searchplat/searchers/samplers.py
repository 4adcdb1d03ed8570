"""Optuna's samplers with our options: one function each, named by the table in `searchplat.searchers`.

What builds a sampler is a function of this module, as searchers are pickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from optuna.distributions import BaseDistribution, IntDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from searchplat.errors import InputError
from searchplat.searchers.options import CMAESOptions, GPOptions, NSGA2Options, TPEOptions
from searchplat.searchers.optuna_adapter import Excesses, OptunaSearcher
from searchplat.searchers.points import seed_of
from searchplat.spec.space import Space

Distributions = dict[str, BaseDistribution]


class _KnownSpace(BaseSampler):
    """Takes the joint axes from us: we know the space, and Optuna would infer it from all trials at every question."""

    joint: Distributions

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> Distributions:
        """The axes that are sampled jointly."""
        return self.joint


class _TPE(_KnownSpace, TPESampler):
    pass


class _GP(_KnownSpace, GPSampler):
    pass


class _CMAES(_KnownSpace, CmaEsSampler):
    pass


class _NSGA2(_KnownSpace, NSGAIISampler):
    # Optuna's own independent sampler starts from the same seed as the one that decides on mutations. As ours are
    # seeded anew for each trial, an axis would mutate exactly when its random value is small.
    independent: BaseSampler

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.independent.sample_independent(study, trial, param_name, param_distribution)


def _independent(seed: int) -> RandomSampler:
    """The sampler of axes that are not sampled jointly, with a seed of its own."""
    return RandomSampler(seed=seed_of(seed, "independent") % 2**32)


def tpe(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: TPEOptions
) -> OptunaSearcher:
    """Tree-structured Parzen estimator; its random trials are drawn from the axes' priors, if they have such."""
    jointly = options.multivariate if options.multivariate is not None else len(maximize) == 1
    make = partial(_make_tpe, options, jointly)
    return OptunaSearcher(space, maximize, seed, given, make, startup=options.startup)


def _make_tpe(
    options: TPEOptions, jointly: bool, seed: int, always: Distributions, excesses: Excesses | None
) -> BaseSampler:
    arguments: dict[str, Any] = {
        "seed": seed,
        "n_startup_trials": options.startup,
        "n_ei_candidates": options.candidates,
        "multivariate": options.multivariate,
        "constant_liar": options.constant_liar,
        "constraints_func": excesses,
    }
    if options.group:  # then Optuna must find the groups itself
        return TPESampler(group=True, **arguments)
    sampler = _TPE(**arguments)
    sampler.joint = always if jointly else {}
    return sampler


def gp(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: GPOptions
) -> OptunaSearcher:
    """Gaussian process with Matérn 5/2 kernel and log expected improvement; conditional axes are drawn at random."""
    return OptunaSearcher(space, maximize, seed, given, partial(_make_gp, options))


def _make_gp(options: GPOptions, seed: int, always: Distributions, excesses: Excesses | None) -> BaseSampler:
    sampler = _GP(
        seed=seed,
        n_startup_trials=options.startup,
        deterministic_objective=options.deterministic,
        independent_sampler=_independent(seed),
        constraints_func=excesses,
        warn_independent_sampling=False,
    )
    sampler.joint = always
    return sampler


def cmaes(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: CMAESOptions
) -> OptunaSearcher:
    """CMA-ES; with margin where whole-number or yes-or-no axes would freeze. Conditional axes are drawn at random."""
    if len(maximize) > 1:
        raise InputError(
            f"searcher cmaes: takes one objective, got {len(maximize)}; take nsga2, tpe, gp or pr for several"
        )
    return OptunaSearcher(
        space, maximize, seed, given, partial(_make_cmaes, options), stateful=True, bits_as_ints=True, bounds=False
    )


def _make_cmaes(options: CMAESOptions, seed: int, always: Distributions, excesses: Excesses | None) -> BaseSampler:
    numeric = {n: d for n, d in always.items() if hasattr(d, "low")}
    whole = any(isinstance(d, IntDistribution) or getattr(d, "step", None) for d in numeric.values())
    sampler = _CMAES(
        seed=seed,
        n_startup_trials=options.startup,
        popsize=options.population,
        independent_sampler=_independent(seed),
        with_margin=whole if options.margin is None else options.margin,
        warn_independent_sampling=False,
    )
    # One axis is too few for CMA-ES: Optuna's own independent sampler draws it.
    sampler.joint = numeric if len(numeric) > 1 else {}
    return sampler


def nsga2(
    space: Space, maximize: tuple[bool, ...], seed: int, given: Mapping[str, Any], options: NSGA2Options
) -> OptunaSearcher:
    """Non-dominated sorting genetic algorithm II."""
    return OptunaSearcher(space, maximize, seed, given, partial(_make_nsga2, options), stateful=True)


def _make_nsga2(options: NSGA2Options, seed: int, always: Distributions, excesses: Excesses | None) -> BaseSampler:
    sampler = _NSGA2(
        seed=seed,
        population_size=options.population,
        crossover_prob=options.crossover,
        mutation_prob=options.mutation,
        swapping_prob=options.swap,
        constraints_func=excesses,
    )
    sampler.joint, sampler.independent = always, _independent(seed)
    return sampler
