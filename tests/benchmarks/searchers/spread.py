"""How much layouts differ, how much noise there is, and what single bits do, from trainings of every layout and seed.

Shape letters: `L` layouts, `S` seeds, `B` bits of a layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Spread:
    """What a table of layouts and seeds holds.

    Args:
        seed_means: `[S]` mean value of each seed: what its trainings share, which no deviation below counts.
        correlation: Mean of Pearson's correlation over all pairs of seeds.
        layouts: Standard deviation between layouts, less the noise's share; at least 0.
        noise: Standard deviation of a training about the sum of its layout's and its seed's means.
        effects: `[B]` value with the bit set less value without it.
        t: `[B]` each effect in units of its standard error by `noise`; infinite or NaN without noise.
        additive: Share of the variance between layouts that the bits' effects add up to, both less the noise's share;
            NaN where layouts do not differ.
    """

    seed_means: Array
    correlation: float
    layouts: float
    noise: float
    effects: Array
    t: Array
    additive: float


def spread(values: Mapping[tuple[str, int], float]) -> Spread | None:
    """Two-way analysis of variance, and least squares on single bits.

    Args:
        values: By layout, such as `010-111`, and seed. Only layouts that have every seed count.

    Returns:
        None with fewer than two seeds, or with no more such layouts than bits.
    """
    seeds = sorted({seed for _, seed in values})
    met = dict.fromkeys(name for name, _ in values)
    names = [name for name in met if all((name, seed) in values for seed in seeds)]
    if len(seeds) < 2 or not names or len(names) <= len(names[0].replace("-", "")) + 1:
        return None
    bits_LB = np.array([[int(bit) for bit in name.replace("-", "")] for name in names], dtype=float)
    values_LS = np.array([[values[name, seed] for seed in seeds] for name in names])
    num_layouts, num_seeds = values_LS.shape
    means_L = values_LS.mean(1)
    rest_LS = values_LS - values_LS.mean(0) - means_L[:, None] + means_L.mean()
    noise = float((rest_LS**2).sum() / ((num_layouts - 1) * (num_seeds - 1)))
    between = max(0.0, float(means_L.var(ddof=1)) - noise / num_seeds)

    design = np.column_stack([np.ones(num_layouts), bits_LB])
    coefficients = np.linalg.lstsq(design, means_L, rcond=None)[0]
    errors = np.sqrt(noise / num_seeds * np.diag(np.linalg.pinv(design.T @ design)))
    explained = float(((design @ coefficients - means_L.mean()) ** 2).sum()) - bits_LB.shape[1] * noise / num_seeds
    with np.errstate(divide="ignore", invalid="ignore"):
        t = coefficients[1:] / errors[1:]
    pairs = np.corrcoef(values_LS.T)[np.triu_indices(num_seeds, 1)]
    return Spread(
        values_LS.mean(0),
        float(pairs.mean()),
        between**0.5,
        noise**0.5,
        coefficients[1:],
        t,
        explained / ((num_layouts - 1) * between) if between > 0 else float("nan"),
    )
