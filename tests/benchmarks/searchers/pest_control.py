"""Pest control: what to spray, if anything, at each of 25 stages (Oh et al., COMBO, NeurIPS 2019, section 4.1).

    python tests/benchmarks/searchers/pest_control.py        looks for better points than the best known one

The pest spreads where nothing is done. Each of four pesticides reduces it, loses its strength with use, and is cheaper
the more of it is bought. The cost is what they cost and the share of 100 simulations in which there is too much pest at
a stage, summed over the stages. 25 axes of five choices without an order: no layout, no layers, no bits. The best known
point takes the cheapest pesticide at all stages but the last, and nothing there.

Letters: `B` points, `T` stages, `R` simulations.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from problems import Bits, Problem

from searchplat.spec.space import Categorical, Space

STAGES = 25
SIMULATIONS = 100
NOTHING = "nothing"
CHOICES = (NOTHING, "pesticide 1", "pesticide 2", "pesticide 3", "pesticide 4")
PRICE = np.array([0.0, 1.0, 0.8, 0.7, 0.5])
DISCOUNT = np.array([0.0, 0.2, 0.3, 0.3, 0.0])
"""What is saved of the price where all stages take the same pesticide."""
STRENGTH = np.array([1.0, 2 / 7, 3 / 7, 3 / 7, 5 / 7])
"""b of the Beta(1, b) that the reduced share is drawn from: the larger, the weaker. Of nothing it is unused."""
RESISTANCE = np.array([0.0, 1 / 7, 2.5 / 7, 2 / 7, 0.5 / 7])
"""What is added to it over 25 uses."""
TOO_MUCH = 0.1
BEST = -12.04


@cache
def _drawn() -> tuple[Bits, Bits, Bits]:
    """The simulations' first shares `[R]`, rates of spread `[T, R]`, and uniform draws of what is left `[T, R]`."""
    rng = np.random.default_rng(80)
    return rng.beta(1, 30, SIMULATIONS), rng.beta(1, 17 / 3, (STAGES, SIMULATIONS)), rng.random((STAGES, SIMULATIONS))


def costs(choices_BT: Bits) -> Bits:
    """Cost of each row of indices in `CHOICES`, `[B]`."""
    first_R, spread_TR, uniform_TR = _drawn()
    choices_BT = choices_BT.astype(int)
    uses_B5 = (choices_BT[:, :, None] == np.arange(len(CHOICES))).sum(1)
    paid_B5 = uses_B5 * PRICE * (1 - DISCOUNT * uses_B5 / STAGES)
    total_B: Bits = paid_B5.sum(1)
    share_BR = np.broadcast_to(first_R, (len(choices_BT), SIMULATIONS))
    weaker_B5 = np.tile(STRENGTH, (len(choices_BT), 1))
    rows = np.arange(len(choices_BT))
    for stage in range(STAGES):
        total_B = total_B + (share_BR > TOO_MUCH).mean(1)
        chosen_B = choices_BT[:, stage]
        # Of Beta(1, b), 1 - (1 - u)^(1 / b) is drawn by a uniform u; what is left of the pest is the other part.
        left_BR = uniform_TR[stage] ** (1 / weaker_B5[rows, chosen_B])[:, None]
        spread_BR = share_BR + spread_TR[stage] * (1 - share_BR)
        share_BR = np.where(chosen_B[:, None] > 0, left_BR * share_BR, spread_BR)
        weaker_B5[rows, chosen_B] += RESISTANCE[chosen_B] / STAGES
    return total_B


def pest_control() -> Problem:
    """The problem; its value is the cost's negative."""
    space = Space(tuple(Categorical(f"stage{t:02}", CHOICES) for t in range(STAGES)))
    random_B = costs(np.random.default_rng(81).integers(0, len(CHOICES), (4000, STAGES)))
    return Problem(
        "pest-control",
        space,
        lambda values: -float(costs(np.array([[CHOICES.index(values[d.name]) for d in space.domains]]))[0]),
        0.0,
        BEST,
        -float(random_B.mean()),
    )


def main() -> None:
    """Steepest ascent over single changes from many points, each of which is changed in two places again and again."""
    rng = np.random.default_rng(0)
    best_T, best = np.zeros(STAGES, dtype=int), np.inf
    for _ in range(20):
        point_T, cost = rng.integers(0, len(CHOICES), STAGES), np.inf
        for _ in range(60):
            tried_T = point_T.copy()
            for stage in rng.choice(STAGES, 3, replace=False):
                tried_T[stage] = rng.integers(0, len(CHOICES))
            tried_T, lower = _descended(tried_T)
            if lower < cost:
                point_T, cost = tried_T, lower
        if cost < best:
            best_T, best = point_T, cost
        print(f"{-cost:.6f}, best {-best:.6f} at {''.join(map(str, best_T))}, best known {BEST:.6f}", flush=True)


def _descended(point_T: Bits) -> tuple[Bits, float]:
    cost = float(costs(point_T[None])[0])
    while True:
        near_BT = np.tile(point_T, (STAGES * len(CHOICES), 1))
        near_BT[np.arange(len(near_BT)), np.repeat(np.arange(STAGES), len(CHOICES))] = np.tile(
            np.arange(len(CHOICES)), STAGES
        )
        near_B = costs(near_BT)
        if near_B.min() > cost - 1e-12:
            return point_T, cost
        point_T, cost = near_BT[near_B.argmin()], float(near_B.min())


if __name__ == "__main__":
    main()
