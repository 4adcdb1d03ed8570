"""Losses against slow NumPy versions written from the equations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trials.nn.losses import binary_cross_entropy, bpr, info_nce


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_info_nce(temperature: float) -> None:
    rng = np.random.default_rng(0)
    anchors, positives, negatives = rng.normal(size=(4, 5)), rng.normal(size=(4, 5)), rng.normal(size=(4, 3, 5))

    def f(h: np.ndarray, other: np.ndarray) -> float:
        return float(np.exp(h @ other / np.linalg.norm(h) / np.linalg.norm(other) / temperature))

    terms = []
    for a, p, ns in zip(anchors, positives, negatives, strict=True):
        terms.append(-np.log(f(a, p) / (f(a, p) + sum(f(a, n) for n in ns))))
    got = info_nce(torch.tensor(anchors), torch.tensor(positives), torch.tensor(negatives), temperature)
    assert got.item() == pytest.approx(np.mean(terms))


def test_bpr() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(size=4), rng.normal(size=(4, 3))
    terms = [-np.log(1 / (1 + np.exp(-(positive[i] - negative[i, k])))) for i in range(4) for k in range(3)]
    assert bpr(torch.tensor(positive), torch.tensor(negative)).item() == pytest.approx(np.mean(terms))


def test_binary_cross_entropy() -> None:
    rng = np.random.default_rng(0)
    positive, negative = rng.normal(size=4), rng.normal(size=(4, 3))
    terms = [-np.log(1 / (1 + np.exp(-s))) for s in positive]
    terms += [-np.log(1 - 1 / (1 + np.exp(-s))) for s in negative.ravel()]
    got = binary_cross_entropy(torch.tensor(positive), torch.tensor(negative))
    assert got.item() == pytest.approx(np.mean(terms))
