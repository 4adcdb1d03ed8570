"""A trained model that answers, in a package that needs no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from searchplat.contract.assets import AssetSource


@dataclass(frozen=True)
class Recommended:
    """One item of a list of recommendations: what the data set's files call it, its title, the model's score."""

    item: str
    title: str
    score: float


class Served(Protocol):
    """A trained model that answers histories; nothing in it trains."""

    def top(
        self,
        histories: Sequence[Sequence[str | int]],
        k: int = 10,
        *,
        exclude_history: bool = True,
        requests: Sequence[str] | None = None,
    ) -> list[list[Recommended]]:
        """The k best items for each history, best first; of equal scores the earlier item first.

        Args:
            histories: Items, oldest first, each by its name in the data set's files or by its title.
            exclude_history: Recommend nothing that is in the history.
            requests: What each user asks for, in words, for methods that read it.

        Raises:
            InputError: If an item is not known or a title not unique, or the method cannot answer an empty history
                or a request.
        """
        ...


@runtime_checkable
class ServingMethod(Protocol):
    """What a `Method` needs beyond it to be registered as a model and asked for recommendations."""

    def pack(self, folder: Path, target: Path, assets: AssetSource) -> None:
        """Copy what a model needs to answer from a final training's folder into `target`, a new folder.

        Holds weights as safetensors and JSON, and no user's history. Pretrained weights stay assets, by name.

        Raises:
            InputError: If the folder holds no such training, or the data is not that of the training.
        """
        ...

    def load(self, folder: Path, assets: AssetSource) -> Served:
        """Make the model that `pack` wrote, or the one of a final training's folder, ready to answer.

        Raises:
            InputError: As `pack`, and if the weights do not fit the model.
        """
        ...


class Listing(Protocol):
    """A trained model together with all users of its data set; `B` users, `K` items of a list."""

    @property
    def users(self) -> Sequence[str]:
        """What the data set's files call its users, by row."""
        ...

    @property
    def items(self) -> Sequence[str]:
        """What they call its items, by row."""
        ...

    @property
    def batch_size(self) -> int:
        """How many users are asked about at once, >= 1; memory grows with it, and figures may differ by rounding."""
        ...

    def top(
        self, users_B: NDArray[np.integer[Any]], k: int, *, repeats: bool | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """The k best items for each of these users, best first; of equal scores the earlier item first.

        A user's history is all that a search knows of it: training and validation interactions. The test's are not
        asked for.

        Args:
            users_B: Their rows.
            repeats: Whether to list items of the history as well; None for what the data set's `rank_met` says.

        Returns:
            Item rows `[B, K]`, below 0 where there are fewer, and scores `[B, K]`.
        """
        ...


@runtime_checkable
class ListingMethod(Protocol):
    """What a `Method` needs beyond it to make lists for all users."""

    def listing(self, folder: Path, assets: AssetSource) -> Listing:
        """Make the model that `ServingMethod.pack` wrote, or a final training's folder, ready to answer for all users.

        Raises:
            InputError: If the folder holds no model, or the data set is not here, or is not that of the training.
        """
        ...
