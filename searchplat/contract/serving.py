"""A trained model that answers, in a package that needs no data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

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
