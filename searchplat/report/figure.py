"""A figure as plain data for plotly.js, and what figures share: colours by name, safe labels, thinning.

Labels are escaped because plotly.js reads a little HTML in every text that it draws, links among it. Colours are names
such as `$c1`; the page looks them up in its style sheet, so that a figure follows light, dark and paper.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from searchplat.searchers.contract import TrialState
from searchplat.views.text import visible

MOST = 2000
"""Trials drawn in a figure; more make a file slow to open and a picture no clearer."""

STATE_COLOURS = {
    TrialState.FINISHED: "$c1",
    TrialState.STOPPED: "$c2",
    TrialState.RUNNING: "$c3",
    TrialState.DIVERGED: "$c5",
    TrialState.INFEASIBLE: "$c6",
    TrialState.TIMEOUT: "$c4",
    TrialState.FAILED: "$c4",
    TrialState.WAITING: "$muted",
}

_CYCLE = ("$c1", "$c2", "$c3", "$c5", "$c6", "$c4")

T = TypeVar("T")


@dataclass(frozen=True)
class Figure:
    """One plot.

    Args:
        title: Its caption.
        data: plotly.js traces.
        layout: plotly.js layout; colours and fonts are the page's.
        notes: What a reader must know, in whole sentences.
        height: Pixels.
    """

    title: str
    data: Sequence[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    height: int = 340


def label(content: Any, most: int = 60) -> str:
    """Text that plotly.js draws as it stands, of at most `most` characters before escaping.

    >>> label("a<b>&c")
    'a&lt;b&gt;&amp;c'
    """
    shown = visible(content)
    return html.escape(shown if len(shown) <= most else shown[: most - 1] + "…", quote=False)


def colour(index: int) -> str:
    """The colour of the group `index`; after six they begin again."""
    return _CYCLE[index % len(_CYCLE)]


def thin(items: Sequence[T], most: int = MOST) -> list[T]:
    """At most `most` items, evenly spread, the first and the last among them.

    >>> thin(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def thinned_note(shown: int, of: int, what: str = "trials") -> list[str]:
    """The sentence that says how much of `of` is drawn; none where all is."""
    return [] if shown >= of else [f"{shown:,} of {of:,} {what} are drawn, evenly spread; all are in the ledger."]


def axis(title: str, **more: Any) -> dict[str, Any]:
    """A plotly.js axis."""
    return {"title": {"text": title, "standoff": 10}, "automargin": True, **more}
