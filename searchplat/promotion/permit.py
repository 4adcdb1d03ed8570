"""The one place that makes a permit for the test split, after the ledger has counted the opening."""

from __future__ import annotations

from searchplat.firewall import ISSUER, TestPermit
from searchplat.promotion.record import FINAL, PromotionRun, PromotionStore


def open_test(store: PromotionStore, search: str, promotion: int, run: PromotionRun) -> TestPermit:
    """Count an opening of the test split, durably, then give leave to it.

    Raises:
        ValueError: If the run is not a final one: a race sees validation only.
        TestSplitError: If a trial's code is running in this process.
    """
    if run.phase != FINAL:
        raise ValueError(f"the test split is opened for final runs, got one of the phase {run.phase!r}")
    return TestPermit(search, promotion, store.count_opening(promotion, run), ISSUER)
