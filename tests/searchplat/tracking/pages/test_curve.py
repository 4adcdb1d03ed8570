from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from matplotlib.image import imread

from searchplat.ledger import Ledger
from searchplat.searchers.contract import TrialState
from searchplat.tracking.pages.curve import curve_png


def test_nothing_is_drawn_before_there_is_a_value(ledger: Ledger, train: Callable[..., int]) -> None:
    assert curve_png(ledger.trials(), ledger.objectives) is None
    train(0.3, stage="controls", control="default")
    assert curve_png(ledger.trials(), ledger.objectives) is None


def test_it_is_a_picture_of_trials_controls_and_the_best_so_far(ledger: Ledger, train: Callable[..., int]) -> None:
    for value in (0.2, 0.6, 0.4):
        train(value)
    train(0.3, stage="controls", control="default")
    train(0.9, TrialState.DIVERGED)
    png = curve_png(ledger.trials(), ledger.objectives)
    assert png is not None
    pixels = imread(io.BytesIO(png), format="png")
    assert pixels.shape[:2] == (300, 720)
    for colour in ("#7d99b4", "#d9a441", "#1f4e79"):
        rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        assert (np.abs(pixels[..., :3] - rgb).max(axis=-1) < 0.02).any(), colour
    assert curve_png(ledger.trials(), ledger.objectives) == png
