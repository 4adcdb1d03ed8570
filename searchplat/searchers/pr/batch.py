"""Many suggestions from one fit: the tops of joint posterior draws over a pool of candidates (Thompson sampling).

For clusters where several slots become free while one suggestion is computed. Each draw has a top of its own, which is
what keeps the suggestions of a batch apart (Kandasamy et al. 2018).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from searchplat.searchers.pr.acquisition import LogAcquisition, log_above, safe_root
from searchplat.searchers.pr.encoding import Encoding
from searchplat.searchers.pr.models.surrogate import Model
from searchplat.searchers.pr.optimizer import Values, moves

_WIDE = 128  # random points of a pool
_FAR = 384  # points of a pool that are two moves from a promising one


def drawn(
    encoding: Encoding,
    values: Values,
    models_J: Sequence[Sequence[Model]],
    promising_PA: Tensor,
    count: int,
    factors: Sequence[LogAcquisition],
    accept: Callable[[Tensor], bool],
    generator: torch.Generator,
) -> list[Tensor]:
    """Up to `count` distinct untried points in codes, each the best of a pool by a draw of its own.

    Args:
        values: Knows which points are tried and which are allowed; its acquisition is not asked.
        models_J: The models of each objective; with several, each draw weighs them at random.
        promising_PA: Points around which to look, e.g. the best observed and the best by the acquisition.
        factors: Log factors of a point's worth, e.g. of not failing.
    """
    pool_MA = pool(encoding, values, promising_PA, generator)
    features_MD = encoding.features(pool_MA)
    prior_M = torch.zeros(len(pool_MA), dtype=torch.float64)
    for factor in factors:
        prior_M = prior_M + factor(features_MD)
    paths_J = [_Paths(models, features_MD) for models in models_J]
    free_M = torch.ones(len(pool_MA), dtype=torch.bool)
    chosen: list[Tensor] = []
    while len(chosen) < count and bool(free_M.any()):
        shares_J = torch.rand(len(paths_J), generator=generator, dtype=torch.float64).clamp(min=1e-6).log()
        shares_J = shares_J / shares_J.sum()  # uniform on the simplex
        path_M = sum(
            (share * paths.draw(generator) for share, paths in zip(shares_J, paths_J, strict=True)), prior_M * 0
        )
        worth_M = log_above(path_M, path_M.mean()) + prior_M
        best = int(worth_M.masked_fill(~free_M, -torch.inf).argmax())
        free_M[best] = False
        if accept(pool_MA[best]):
            chosen.append(pool_MA[best])
    return chosen


class _Paths:
    """Joint posterior draws of one objective at the pool, from its models by their shares."""

    def __init__(self, models: Sequence[Model], features_MD: Tensor) -> None:
        self._shares = torch.tensor([model.weight for model in models], dtype=torch.float64)
        self._parts: list[tuple[Tensor, Tensor]] = []
        for model in models:
            mean_M, covariance_MM = model.joint(features_MD)
            jitter = 1e-6 * covariance_MM.diagonal().mean().clamp(min=1e-6)
            self._parts.append((mean_M, safe_root(covariance_MM, jitter)))

    def draw(self, generator: torch.Generator) -> Tensor:
        mean_M, root_MM = self._parts[int(torch.multinomial(self._shares, 1, generator=generator))]
        return mean_M + root_MM @ torch.randn(len(mean_M), generator=generator, dtype=torch.float64)


@torch.no_grad()
def pool(encoding: Encoding, values: Values, promising_PA: Tensor, generator: torch.Generator) -> Tensor:
    """Distinct untried points: one move from the promising ones, some two moves away, and some anywhere."""
    near = torch.cat([moves(values, code_A, 0, generator) for code_A in promising_PA])
    if len(near):
        starts = near[torch.randint(len(near), (8,), generator=generator)]
        far = torch.cat([moves(values, code_A, 0, generator) for code_A in starts])
        far = far[torch.randperm(len(far), generator=generator)[:_FAR]]
    else:
        far = near
    pool_MA = torch.cat([near, far, values.allowed(encoding.random(_WIDE, generator))])
    hashes_M = encoding.hashes(pool_MA)
    order = hashes_M.argsort(stable=True)
    first = torch.ones(len(order), dtype=torch.bool)
    first[1:] = hashes_M[order][1:] != hashes_M[order][:-1]
    kept = order[first].sort().values
    return pool_MA[kept][~values.tried(pool_MA[kept])]
