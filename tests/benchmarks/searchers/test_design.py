"""Beginnings of the order tell main effects and pairs apart."""

from __future__ import annotations

import numpy as np
from design import BITS, effects, order


def test_every_layout_once_and_the_uniform_ones_first() -> None:
    runs_RB = order()
    assert runs_RB.shape == (2**BITS, BITS)
    assert len({tuple(row) for row in runs_RB.tolist()}) == 2**BITS
    assert runs_RB[0].sum() == 0
    assert runs_RB[1].sum() == BITS


def test_quarters_are_orthogonal_in_main_effects_and_pairs() -> None:
    for count in (128, 256, 512):
        columns_RE = effects(order()[:count])
        np.testing.assert_allclose(columns_RE.T @ columns_RE, count * np.eye(46), atol=1e-9)


def test_the_first_64_know_every_effect_nearly_as_well_as_an_orthogonal_design_would() -> None:
    columns_RE = effects(order()[:64])
    variances_E = np.diag(np.linalg.inv(columns_RE.T @ columns_RE)) * 64
    assert variances_E.max() < 2.2
    assert variances_E.mean() < 1.5
