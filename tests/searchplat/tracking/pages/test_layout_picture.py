"""Pictures of layouts."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from searchplat.spec.space import Layout
from searchplat.tracking.pages.layout_picture import layout_png

CHOICES = ("serial", "parallel")


@pytest.mark.parametrize("layers", [1, 4, 30])
def test_a_picture_is_small_and_grows_with_the_layers(layers: int) -> None:
    layout = Layout("layout", layers, ("causal", "context", "recommend"), CHOICES)
    png = layout_png(layout, layout.uniform("parallel"), "trial-0007 layout")
    assert len(png) < 60_000
    height, width, _ = imread(io.BytesIO(png)).shape
    assert width < 600
    assert height == pytest.approx(105 + 25 * layers, abs=2)


def test_two_layouts_look_different_and_one_looks_the_same_twice() -> None:
    layout = Layout("layout", 3, ("causal", "context", "recommend"), CHOICES)
    one, other = layout_png(layout, "010-000-111"), layout_png(layout, "011-000-111")
    assert one == layout_png(layout, "010-000-111")
    difference = imread(io.BytesIO(one)) != imread(io.BytesIO(other))
    assert np.any(difference)
    # Layer 0 stands at the bottom: only the right third of its row, and the counts in the legend, differ.
    rows = np.flatnonzero(difference.any(axis=(1, 2)))
    assert rows.min() > difference.shape[0] / 2


def test_the_state_of_pyplot_is_left_alone() -> None:
    before = "matplotlib.pyplot" in sys.modules
    layout_png(Layout("layout", 1, ("a",), ("on", "off")), "0")
    assert ("matplotlib.pyplot" in sys.modules) == before
