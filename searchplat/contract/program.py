"""A method that runs somebody else's program, whose parameters have names of that program's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from searchplat.contract.training import Values


@dataclass(frozen=True)
class Named:
    """Which names a program makes use of.

    Args:
        parameters: Those that no field of the method has; None if it takes any.
        required: Those of them, and of the fields, that must have a value.
        given: Those that every trial is given.
    """

    parameters: frozenset[str] | None = None
    required: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()


@runtime_checkable
class ProgramMethod(Protocol):
    """What a `Method` has beyond it whose `Config` allows further fields: these are the program's own.

    Its data is the program's own too: the only data set that goes with it is `none`.
    """

    given: Mapping[str, str]
    """Names that every trial has a value of, and what that is; no parameter may have them."""

    def named(self, values: Mapping[str, Any]) -> Named | None:
        """Which names a configuration makes use of; None if its values are no valid ones."""
        ...

    def from_space(self, folder: Path, objectives: Sequence[str]) -> Values:
        """Values of fields that hold where a space file does not say otherwise.

        Args:
            folder: That of the space file.
            objectives: The metrics to improve.
        """
        ...

    def sources(self, values: Mapping[str, Any]) -> Mapping[str, Path]:
        """Files and packages of the program's code, by names that do not depend on where they lie."""
        ...
