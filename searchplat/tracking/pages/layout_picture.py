"""A layout as a small picture: layers upwards, roles across, one colour a choice.

Draws on a figure of its own, never through pyplot, whose state is shared by the whole process.
"""

from __future__ import annotations

import io

import numpy as np

from searchplat.spec.space import Layout

# Dark blue and light orange: told apart without colour vision, and on grey paper.
_COLOURS = ("#f6d9a8", "#1f4e79")
_INK = ("#5a4a2a", "#ffffff")


def layout_png(layout: Layout, value: str, title: str = "") -> bytes:
    """Draw one layout.

    Args:
        layout: The axis: number of layers, names of roles and choices.
        value: Bits of all layers, such as `010-000-111`.
        title: Stands above the grid.

    Returns:
        A PNG, 320 pixels wide or more, and 25 a layer high.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    bits_LR = layout.decode(value).reshape(layout.layers, len(layout.roles))
    width, rows = max(3.2, 0.9 * len(layout.roles) + 0.8), 0.25 * layout.layers
    height = rows + 1.05
    figure = Figure(figsize=(width, height), dpi=100)
    FigureCanvasAgg(figure)
    # Margins in inches; letting matplotlib find them takes three times as long as the drawing.
    axes = figure.add_axes((0.5 / width, 0.65 / height, 1 - 0.6 / width, rows / height))
    axes.pcolormesh(bits_LR, cmap=ListedColormap(_COLOURS), vmin=0, vmax=1, edgecolors="white", linewidth=1.5)
    initials = _initials(layout.choices)
    for layer, role in np.ndindex(bits_LR.shape):
        bit = int(bits_LR[layer, role])
        axes.text(role + 0.5, layer + 0.5, initials[bit], color=_INK[bit], ha="center", va="center", fontsize=8)
    axes.set_xticks(np.arange(len(layout.roles)) + 0.5, list(layout.roles), fontsize=8)
    axes.set_yticks(np.arange(layout.layers) + 0.5, [str(layer) for layer in range(layout.layers)], fontsize=8)
    axes.set_ylabel("layer", fontsize=9)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if title:
        axes.set_title(title, fontsize=9)
    handles = [
        Patch(facecolor=colour, label=f"{initial} = {choice} ({np.count_nonzero(bits_LR == bit)})")
        for bit, (colour, initial, choice) in enumerate(zip(_COLOURS, initials, layout.choices, strict=True))
    ]
    figure.legend(handles=handles, loc="lower center", ncols=2, fontsize=8, frameon=False)
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()


def _initials(choices: tuple[str, str]) -> tuple[str, str]:
    """One letter for each choice; the bits themselves where both begin alike."""
    first, second = choices[0][:1].upper(), choices[1][:1].upper()
    return (first, second) if first != second else ("0", "1")
