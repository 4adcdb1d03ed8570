"""Several searches' newest promotions, read and put into one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from searchplat.contract import Published
from searchplat.errors import InputError
from searchplat.ledger.folder import SearchFolder
from searchplat.methods import load_method
from searchplat.promotion.record import load_promotion
from searchplat.promotion.statistics import TESTS, TestName
from searchplat.promotion.table import Table, make_table


def compared(
    root: Path,
    searches: Sequence[str],
    *,
    against: Sequence[str] = (),
    test: TestName = "t",
    alpha: float = 0.05,
    all_candidates: bool = False,
) -> Table:
    """The table of promoted searches.

    Args:
        root: The folder of all searches.
        searches: Their names; one that comes twice counts once.
        against: Rows to test against, beside the best control.
        test: The paired test that marks follow: t, wilcoxon or bootstrap.
        alpha: Level of significance, in (0, 1).
        all_candidates: Also those that did not win.

    Raises:
        InputError: If there is no such search, one was not promoted, or a value is not allowed.
    """
    try:
        inside = 0 < alpha < 1
    except TypeError:  # it is no number
        inside = False
    if not inside:
        raise InputError(f"--alpha: must lie in (0, 1), got {alpha!r}; 0.05 is usual")
    if test not in TESTS:
        raise InputError(f"--test: must be one of {', '.join(TESTS)}, got {test!r}; correct the name")
    promotions = []
    for name in dict.fromkeys(searches):
        folder = SearchFolder(root, name)
        folder.read().close()  # says which searches there are
        promotions.append(load_promotion(folder.path))
    return make_table(
        promotions,
        against=against,
        published=_published({run.method for promotion in promotions for run in promotion.runs}),
        all_candidates=all_candidates,
        test=test,
        alpha=alpha,
        root=root,
    )


def _published(methods: set[str]) -> list[Published]:
    """What the papers of these methods print; a method that is no longer installed has nothing to say."""
    found: list[Published] = []
    for name in sorted(methods):
        try:
            found += getattr(load_method(name), "published", ())
        except InputError:
            continue
    return list({(p.method, p.data, p.source): p for p in found}.values())
