"""Effects, noise and ranks come back from tables that were made of them."""

from __future__ import annotations

import numpy as np
import pytest
from design import effects, order
from factorial import find, summary


def made(layouts: int, noise: float, offsets: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, dict]:  # type: ignore[type-arg]
    """Half-effects `[46]`, and a table of the first layouts."""
    rng = np.random.default_rng(seed)
    halves_E = np.concatenate([[0.05], rng.normal(size=9) * 1e-3, rng.normal(size=36) * 3e-4])
    bits_RB = order()[:layouts]
    truth_R = effects(bits_RB) @ halves_E
    names = ["-".join("".join(map(str, row[i : i + 3])) for i in (0, 3, 6)) for row in bits_RB.tolist()]
    table = {
        (name, s): value + offset + noise * rng.normal()
        for name, value in zip(names, truth_R, strict=True)
        for s, offset in enumerate(offsets)
    }
    return halves_E, table


def test_without_noise_effects_are_exact() -> None:
    halves_E, table = made(64, 0.0, (0.0, 0.002, -0.002))
    found = find(table)
    assert found is not None
    np.testing.assert_allclose(found.effect, 2 * halves_E[1:], atol=1e-12)
    assert found.noise == pytest.approx(0, abs=1e-12)
    assert found.noise_own == pytest.approx(0.002)
    assert found.fitted is not None
    assert found.fitted["000-000-000"] == pytest.approx(np.mean([table["000-000-000", s] for s in range(3)]))


def test_errors_are_as_large_as_what_is_missed() -> None:
    t = []
    for seed in range(40):
        halves_E, table = made(64, 1e-3, (0.0, 0.001, 0.003), seed)
        found = find(table)
        assert found is not None
        assert found.noise == pytest.approx(1e-3, rel=0.35)
        t.append((found.effect - 2 * halves_E[1:]) / found.error)
    assert np.std(t) == pytest.approx(1, abs=0.1)


def test_shares_of_the_variance_are_those_of_the_effects() -> None:
    halves_E, table = made(512, 5e-4, (0.0, 0.001))
    found = find(table)
    assert found is not None
    variance = (halves_E[1:] ** 2).sum()
    assert found.between == pytest.approx(variance**0.5, rel=0.05)
    assert found.explained[0] == pytest.approx((halves_E[1:10] ** 2).sum() / variance, abs=0.05)
    assert sum(found.explained) == pytest.approx(1, abs=0.05)


def test_few_layouts_have_main_effects_only_and_fewer_none() -> None:
    _, table = made(20, 1e-3, (0.0, 0.001))
    found = find(table)
    assert found is not None
    assert len(found.effect) == 9
    few = find(dict(list(table.items())[:8]))
    assert few is not None
    assert (len(few.effect), few.fitted, few.layouts) == (0, None, 4)
    assert find({("000-000-000", 0): 1.0}) is None


def test_the_summary_ranks_the_uniform_layouts() -> None:
    _, table = made(64, 1e-3, (0.0, 0.001))
    rows = [
        {"layout": name, "seed": str(s), "valid_mrr": str(v), "valid_ndcg_at_10": str(v), "valid_loss": str(-v),
         "seconds": "14.0"}
        for (name, s), v in table.items()
    ]  # fmt: skip
    text = summary(rows)
    assert "all-serial: " in text
    assert "of 64, the largest first; by the fit" in text
    assert text.count("layer ") >= 8
