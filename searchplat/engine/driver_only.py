"""Objects that Tune pickles into snapshots nobody reads."""

from __future__ import annotations

from typing import Any


class DriverOnly:
    """Base of what lives in the driver alone (it holds the ledger): snapshots get an empty shell of it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (object.__new__, (DriverOnly,))

    def __deepcopy__(self, memo: dict[int, Any]) -> DriverOnly:
        return self
