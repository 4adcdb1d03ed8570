"""The data set `none`: for programs that bring their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchplat.contract import AssetSource
from searchplat.errors import InputError

NONE = "none"


class NoData:
    """A data set without data."""

    name = NONE
    summary = "No data of ours: for a command or a function, which bring their own"
    where = "There is nothing to get."

    def available(self, assets: AssetSource) -> bool:
        """Always."""
        return True

    def statistics(self, assets: AssetSource, options: Mapping[str, Any]) -> dict[str, Any]:
        """None are known."""
        self._check(options)
        return {}

    def fingerprint(self, assets: AssetSource, options: Mapping[str, Any]) -> str:
        """The same for all: what a program reads is not known here."""
        self._check(options)
        return NONE

    def _check(self, options: Mapping[str, Any]) -> None:
        if options:
            raise InputError(f"data {NONE}: has no option {next(iter(options))}; give the program what it needs itself")


NO_DATA = NoData()
