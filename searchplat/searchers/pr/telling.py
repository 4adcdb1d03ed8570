"""What a suggestion says of itself, for the ledger and for who asks why a point was tried."""

from __future__ import annotations

from collections.abc import Sequence

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.models.surrogate import Model


def acquisition(options: PROptions, objectives: int, feasible: int) -> str:
    """What points are judged by.

    Args:
        objectives: Their number.
        feasible: How many observed points keep all bounds.
    """
    if not feasible:
        return "feasibility"
    return options.acquisition if objectives == 1 else "hypervolume"


def kernels(models: Sequence[Model]) -> dict[str, float]:
    """Variance of each kernel part, averaged over the models: what the surrogate makes of the objective."""
    variances: dict[str, float] = {}
    for model in models:
        for part, variance in zip(model.kernel.parts, model.hyper.variances, strict=True):
            variances[part] = variances.get(part, 0.0) + model.weight * float(variance)
    return {part: round(variance, 4) for part, variance in variances.items()}


def past(models_J: Sequence[Sequence[Model]]) -> dict[str, float]:
    """The weight of each source, averaged over the models and the objectives; none of those without one."""
    weights: dict[str, float] = {}
    for models in models_J:
        for model in models:
            for source, trust in zip(model.sources, model.trust_S.tolist(), strict=True):
                weights[source.name] = weights.get(source.name, 0.0) + model.weight * trust / len(models_J)
    return {name: round(weight, 4) for name, weight in weights.items()}
