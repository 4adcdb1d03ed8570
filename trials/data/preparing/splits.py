"""Which interactions train, validate and test: leave-one-out, or another split that a space asks for."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from searchplat.errors import DataError
from trials.data.preparing.options import Split
from trials.data.preparing.selection import Cut, cut_after, leave_one_out
from trials.data.reading.interactions import Floats, Interactions, Ints


def cut(found: Interactions, split: Split | None, name: str) -> tuple[Interactions, Cut]:
    """Cut filtered interactions; under a split by time without the users who have none before it.

    Raises:
        DataError: If a split by time is asked of data without times, or leaves nobody to train, validate or test.
    """
    if split is None:
        return found, leave_one_out(found.users_E, found.items_E)
    if split.ratio is not None:
        lengths_U = np.bincount(found.users_E)
        trained_U = np.clip(np.floor(split.ratio * lengths_U + 1e-9).astype(np.int64), 1, lengths_U - 2)
        return found, cut_after(found.users_E, found.items_E, trained_U, split.targets)
    if found.times_E is None:
        raise DataError(f"data {name}: a split by time needs times, and this data set has none; name their column.")
    moment = _moment(found.times_E, split)
    before_U = _count_before(found, moment)
    if not before_U.all():
        gone = int((before_U == 0).sum())
        said = f"split: {gone:,} of {len(before_U):,} users have nothing before {_written(moment)}, and are left out"
        found = replace(found.take((before_U > 0)[found.users_E]), warnings=(*found.warnings, said))
        if not len(found):
            raise DataError(f"data {name}: no interaction is before the split at {_written(moment)}; take a later one.")
        found = found.compact()
        before_U = _count_before(found, moment)
    made = cut_after(found.users_E, found.items_E, before_U, split.targets)
    for what, at_UT in (("validation", made.valid_at_UT), ("test", made.test_at_UT)):
        if not (at_UT >= 0).any():
            raise DataError(
                f"data {name}: the split at {_written(moment)} leaves no user with a {what} interaction; take an "
                "earlier one."
            )
    return found, made


def leak(found: Interactions, made: Cut) -> str | None:
    """How much of the training is later than what is tested, in a sentence; None if nothing is, or nobody knows."""
    if found.times_E is None:
        return None
    trained = np.sort(found.times_E[made.train_E])
    first_U = made.test_at_UT[:, 0]
    tested = found.times_E[first_U[first_U >= 0]]
    later = len(trained) - np.searchsorted(trained, tested, side="right")
    if not later.any():
        return None
    return (
        f"the split does not keep to time: {later.mean() / len(trained):.1%} of the training interactions are later "
        f"than a test interaction, on average over users, and {(later > 0).mean():.1%} of the users' tests have some; "
        "a split {time: 0.9} trains on nothing later than what it tests"
    )


def facts(found: Interactions, made: Cut) -> dict[str, int]:
    """Counts of a split that is not leave-one-out, for the statistics."""
    both = (made.valid_at_UT, made.test_at_UT)
    valid, test = (int((at_UT[:, 0] >= 0).sum()) for at_UT in both)
    used = len(made.train_E) + sum(int((at_UT >= 0).sum()) for at_UT in both)
    return {"users_validated": valid, "users_tested": test, "interactions_unused": len(found) - used}


def _moment(times_E: Floats, split: Split) -> float:
    if split.moment is not None:
        return split.moment
    assert isinstance(split.time, float)
    return float(np.sort(times_E)[min(len(times_E) - 1, math.ceil(split.time * len(times_E)))])


def _count_before(found: Interactions, moment: float) -> Ints:
    assert found.times_E is not None
    return np.bincount(found.users_E[found.times_E < moment], minlength=found.num_users)


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
