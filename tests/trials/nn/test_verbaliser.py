from __future__ import annotations

import numpy as np
import pytest

from trials.nn.verbaliser import place_bias


def test_places_have_the_likeliest_power_law_and_never_equal_chances() -> None:
    answers = np.random.default_rng(0).choice(6, size=300, p=np.arange(6, 0, -1) / 21)
    found = place_bias(answers, 6).numpy()

    def log_likelihood(a: float) -> float:
        powers = np.arange(1.0, 7.0) ** -a
        return float(np.log(powers / powers.sum())[answers].sum())

    best = max(log_likelihood(a) for a in np.arange(0.01, 3, 0.01))
    assert found[answers].sum() == pytest.approx(best, abs=0.01)
    assert np.exp(found).sum() == pytest.approx(1)
    assert (np.diff(place_bias(np.array([5, 5, 4]), 6).numpy()) < 0).all()
