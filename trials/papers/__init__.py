"""What the papers print, a module a paper, and nothing else: methods take their `published` from here. Loads no torch.

Figures are typed once, as the tables have them. A figure whose row or column cannot be told from our copy of a paper's
text is left out, and the module says so.
"""

from __future__ import annotations

from searchplat.contract import Published
from trials.papers.cramer import CRAMER, REARANK
from trials.papers.darec import DAREC, MIXREC
from trials.papers.laser import LASER
from trials.papers.promptbert import PROMPTBERT

__all__ = ["CRAMER", "DAREC", "LASER", "MIXREC", "PROMPTBERT", "REARANK", "figures_of"]


def figures_of(method: str) -> tuple[Published, ...]:
    """All figures of a method that several papers compare with, by the name that they call it, e.g. `SASRec`.

    MixRec prints DARec's table again, and so do its figures here, under their own source.
    """
    return tuple(one for one in (*DAREC, *MIXREC, *LASER, *PROMPTBERT, *CRAMER) if one.method == method)
