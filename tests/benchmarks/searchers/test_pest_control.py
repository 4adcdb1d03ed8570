"""The costs of pest control are those of its simulation, written out."""

from __future__ import annotations

import numpy as np
import pest_control
from pest_control import CHOICES, DISCOUNT, PRICE, RESISTANCE, SIMULATIONS, STAGES, STRENGTH, costs
from problems import PROBLEMS


def test_costs_are_those_of_one_simulation_after_another() -> None:
    first_R, spread_TR, uniform_TR = pest_control._drawn()
    choices = np.random.default_rng(3).integers(0, len(CHOICES), STAGES)
    cost = 0.0
    for kind in range(1, len(CHOICES)):
        used = int((choices == kind).sum())
        cost += used * PRICE[kind] * (1 - DISCOUNT[kind] * used / STAGES)
    for r in range(SIMULATIONS):
        share, strength = first_R[r], STRENGTH.copy()
        for stage, kind in enumerate(choices):
            cost += (share > 0.1) / SIMULATIONS
            if kind:
                share *= uniform_TR[stage, r] ** (1 / strength[kind])
                strength[kind] += RESISTANCE[kind] / STAGES
            else:
                share += spread_TR[stage, r] * (1 - share)
    assert abs(costs(choices[None])[0] - cost) < 1e-9


def test_the_best_known_point_has_no_regret_and_doing_nothing_has_much() -> None:
    problem = PROBLEMS["pest-control"](0)
    names = [domain.name for domain in problem.space.domains]
    best = dict.fromkeys(names, "pesticide 4") | {names[-1]: "nothing"}
    assert abs(problem.regret(problem.value(best))) < 1e-9
    assert problem.regret(problem.value(dict.fromkeys(names, "nothing"))) > 1
