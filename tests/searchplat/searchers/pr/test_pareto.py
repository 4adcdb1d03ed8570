from __future__ import annotations

import pytest
import torch
from botorch.utils.multi_objective.hypervolume import Hypervolume
from botorch.utils.multi_objective.pareto import is_non_dominated

from searchplat.searchers.pr.encoding import Axis, Encoding, Kind
from searchplat.searchers.pr.models.surrogate import fit
from searchplat.searchers.pr.pareto import HypervolumeImprovement

ENCODING = Encoding([Axis(f"b{i}", Kind.BIT, 2, i // 3) for i in range(9)])


@pytest.mark.parametrize("objectives", [2, 3])
def test_the_closed_form_is_the_mean_improvement_of_draws(objectives: int) -> None:
    f = ENCODING.features(ENCODING.random(25, torch.Generator().manual_seed(0)))
    models = []
    for j in range(objectives):
        y = f[:, j] + f[:, j + 1] * f[:, j + 2]
        models.append(fit(ENCODING, f, (y - y.mean()) / y.std(), "pairs")[0])
    acquisition = HypervolumeImprovement(models, f, f[:0])
    asked = ENCODING.features(ENCODING.random(4, torch.Generator().manual_seed(2)))[:2]
    got = acquisition(asked).exp()

    means = torch.stack([m.mean(f) for m in models], 1)
    front = means[is_non_dominated(means)]
    reference = acquisition._lower_KJ.amin(0)
    volume = Hypervolume(ref_point=reference)
    base = volume.compute(front)
    generator = torch.Generator().manual_seed(1)
    for row, value in zip(asked, got, strict=True):
        mean, variance = zip(*(m.posterior(row[None]) for m in models), strict=True)
        noise = torch.randn((400, objectives), generator=generator, dtype=torch.float64)
        draws = torch.cat(mean) + torch.cat(variance).sqrt() * noise
        gains = torch.tensor([volume.compute(torch.cat([front, d[None]])) - base for d in draws])
        assert float(value) == pytest.approx(float(gains.mean()), abs=5 * float(gains.std()) / 400**0.5 + 1e-9)


def test_pending_points_add_nothing_more() -> None:
    f = ENCODING.features(ENCODING.random(25, torch.Generator().manual_seed(0)))
    models = [fit(ENCODING, f, (f[:, j] - f[:, j].mean()) / f[:, j].std(), "general")[0] for j in range(2)]
    asked = ENCODING.features(ENCODING.random(40, torch.Generator().manual_seed(2)))
    free = HypervolumeImprovement(models, f, f[:0])(asked)
    best = int(free.argmax())
    pending = HypervolumeImprovement(models, f, asked[best : best + 1])(asked)

    assert float(pending[best]) < float(free[best])
