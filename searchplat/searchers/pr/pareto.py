"""Several objectives: log expected hypervolume improvement of one point, in closed form over boxes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from botorch.utils.multi_objective.pareto import is_non_dominated
from torch import Tensor

from searchplat.searchers.pr.acquisition import log_expected_improvement
from searchplat.searchers.pr.models.surrogate import Model


class HypervolumeImprovement:
    """Log of the expected growth of the volume that the Pareto front dominates.

    The front is that of the posterior means at the observed points, so that noise does not extend it; pending points
    count as observed at their posterior mean, which also takes their variance away. Objectives are believed
    independent. The region that is not dominated is cut into boxes [l, u]; in each, and for each objective,
    `E[min(f, u) - l]_+ = E[f - l]_+ - E[f - u]_+` (Daulton et al. 2020, section 3.2).

    Args:
        models: One model an objective, larger is better.
        observed_ND: Features of observed points.
        pending_QD: Features of points under evaluation.
    """

    def __init__(self, models: Sequence[Model], observed_ND: Tensor, pending_QD: Tensor) -> None:
        self._models = tuple(model.believing(pending_QD) for model in models)
        known = torch.cat([observed_ND, pending_QD])
        means_NJ = torch.stack([model.mean(known) for model in models], dim=1)
        front = means_NJ[is_non_dominated(means_NJ)]
        reference = infer_reference_point(pareto_Y=front, scale=0.1)
        # A front of one point has no range to infer from; one standard deviation below it serves.
        reference = torch.where(torch.isfinite(reference), reference, front.amin(0) - 1)
        reference = torch.minimum(reference, front.amin(0) - 1e-2)
        bounds = FastNondominatedPartitioning(ref_point=reference, Y=front).get_hypercell_bounds()
        self._lower_KJ, self._upper_KJ = bounds[0], bounds[1]

    def __call__(self, features_MD: Tensor) -> Tensor:
        """Log values `[M]`."""
        total_MK = torch.zeros((len(features_MD), len(self._lower_KJ)), dtype=features_MD.dtype)
        for j, model in enumerate(self._models):
            mean_M, variance_M = model.posterior(features_MD)
            mean_M1, deviation_M1 = mean_M[:, None], variance_M.sqrt()[:, None]
            above_lower = log_expected_improvement(mean_M1, deviation_M1, self._lower_KJ[:, j])
            upper = self._upper_KJ[:, j]
            finite = torch.isfinite(upper)
            above_upper = log_expected_improvement(mean_M1, deviation_M1, torch.where(finite, upper, 0.0))
            gap = torch.where(finite, above_upper - above_lower, -torch.inf).clamp(max=-1e-12)
            total_MK = total_MK + above_lower + torch.log1p(-gap.exp())
        return torch.logsumexp(total_MK, 1)
