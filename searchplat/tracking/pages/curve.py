"""How a search got to its best value, as a small picture: a point a trial, a line for the best so far.

Draws on a figure of its own, never through pyplot, whose state is shared by the whole process.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from searchplat.ledger import TrialRecord
from searchplat.ledger.ranking import Lead, has_value
from searchplat.spec.model import Objective

# As in a layout's picture: told apart without colour vision, and on grey paper.
_TRIAL, _CONTROL, _BEST = "#7d99b4", "#d9a441", "#1f4e79"


def curve_png(
    trials: Sequence[TrialRecord], objectives: Sequence[Objective], stages: Sequence[str] = ()
) -> bytes | None:
    """Draw the first objective's values in the order in which trials ended.

    The line is the best among trials that compare and keep the bounds on outcomes. It begins anew where a stage on
    another share of the users does.

    Args:
        trials: Of one search, in any order; those without a value are left out.
        stages: Their names in the order of the file.

    Returns:
        A PNG of 720 by 300 pixels, or None where no trial of the search itself has a value.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    ended = sorted((t for t in trials if t.ended_at is not None), key=lambda trial: trial.ended_at or 0)
    scored = [(n, t, (t.objectives or ())[0]) for n, t in enumerate(ended, 1) if has_value(t, objectives)]
    own = [(n, value) for n, trial, value in scored if trial.control is None and not trial.broken]
    broken = [(n, value) for n, trial, value in scored if trial.control is None and trial.broken]
    controls = [(n, value) for n, trial, value in scored if trial.control is not None]
    if not own and not broken:
        return None
    lead = Lead(objectives, stages, by=0)
    shares: list[float | None] = []
    lines: list[list[tuple[int, float]]] = []
    for n, trial, _ in scored:
        lead.add(trial)
        if not lead.front or lead.front[0].broken:
            continue
        if not shares or shares[-1] != lead.share:
            shares.append(lead.share)
            lines.append([])
        lines[-1].append((n, (lead.front[0].objectives or ())[0]))
    if lines:
        lines[-1].append((len(ended), lines[-1][-1][1]))

    figure = Figure(figsize=(7.2, 3.0), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for n, best in enumerate(lines):
        words = "" if n else "best so far"
        axes.step([at for at, _ in best], [value for _, value in best], where="post", color=_BEST, label=words)
    for points, colour, marker, label in (
        (own, _TRIAL, "o", "trials"),
        (broken, _TRIAL, "x", "break a bound on outcomes"),
        (controls, _CONTROL, "s", "controls"),
    ):
        if points:
            trial_numbers, values = [n for n, _ in points], [value for _, value in points]
            axes.scatter(trial_numbers, values, s=16, color=colour, marker=marker, label=label, zorder=3)
    axes.set_xlabel("trials ended", fontsize=9)
    axes.set_ylabel(objectives[0].metric, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="best")
    out = io.BytesIO()
    figure.savefig(out, format="png", metadata={"Software": None})
    return out.getvalue()
