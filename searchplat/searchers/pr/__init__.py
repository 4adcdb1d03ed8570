"""Probabilistic reparameterization: Bayesian optimisation over bits, choices and numbers (Daulton et al. 2022).

Read `encoding` (a space in numbers), `models` (what is believed), `acquisition` (what a point is worth),
`reparameterization` and `optimizer` (how the best point is found), `proposal` (one suggestion), then its two faces:
`searcher` for the platform and `sampler` for Optuna studies. Importing this package loads torch and optuna.
"""

from searchplat.searchers.pr.sampler import PRSampler

__all__ = ["PRSampler"]
