"""OptunaHub finds the sampler here: `optunahub.load_module("samplers/probabilistic_reparameterization").PRSampler`."""

from searchplat.searchers import PRSampler

__all__ = ["PRSampler"]
