"""A layout as a small picture: a row for each role, a column for each layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from searchplat.spec.space import Layout

if TYPE_CHECKING:
    from rich.text import Text

MARKS = ("·", "■")
"""Of the first and the second choice."""


def layout_grid(layout: Layout, value: str, width: int = 80) -> list[Text]:
    """Draw a layout.

    Args:
        layout: The axis.
        value: Its value, e.g. `010-000`.
        width: Characters a line; more layers than fit are drawn in further blocks.

    Returns:
        Lines: layer numbers, a line for each role, a legend; the value itself if it is not on the axis.
    """
    from rich.text import Text

    from searchplat.views.text import visible

    if layout.refusal(value) is not None:
        return [Text(visible(value))]
    groups = value.split("-")
    label = max(len(visible(role)) for role in layout.roles)
    gap = 2 if label + 2 + 2 * len(groups) <= width else 1  # a mark and its space, or marks alone
    per_block = max(1, (width - label - 2) // gap)
    lines: list[Text] = []
    for start in range(0, len(groups), per_block):
        block = groups[start : start + per_block]
        numbers = "".join(str((start + i) % 10).ljust(gap) for i in range(len(block)))
        lines.append(Text(f"{'layer':<{label}}  {numbers}".rstrip(), style="dim"))
        for r, role in enumerate(layout.roles):
            row = Text(f"{visible(role):<{label}}  ")
            for group in block:
                bit = int(group[r])
                row.append(MARKS[bit], style="bold cyan" if bit else "dim")
                row.append(" " * (gap - 1))
            row.rstrip()
            lines.append(row)
    zero, one = (visible(choice) for choice in layout.choices)
    lines.append(Text(f"{'':<{label}}  {MARKS[0]} {zero}  {MARKS[1]} {one}", style="dim"))
    return lines
