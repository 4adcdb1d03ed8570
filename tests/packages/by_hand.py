"""What tests of methods make by hand: data sets, an asset source without a network, models off their quiet start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from searchplat.errors import AssetError
from trials.data.preparing.dataset import SearchData
from trials.nn.ragged import Ragged

WORDS = ["red", "blue", "old", "new", "film", "book", "war", "love"]


def search_data(histories: Sequence[Any], num_items: int, targets: Any = 0, **columns: Any) -> SearchData:
    """These training sequences.

    Args:
        histories: One a user.
        num_items: Of the data set.
        targets: The users' validation items, or one of all.
        columns: Of the data set, in place of what is made up.
    """
    rows, titles = Ragged.of(histories), [f"film {item}" for item in range(num_items)]
    made: dict[str, Any] = {
        "name": "by-hand",
        "train_items": rows.values.astype(np.int32),
        "train_offsets": rows.offsets,
        "valid_target_U": np.full(len(rows), targets, dtype=np.int32),
        "users_U": np.arange(len(rows)),
        "num_items": num_items,
        "sentences": titles,
        "titles": titles,
        "fingerprint": f"{histories}{targets}",
    }
    return SearchData(**{**made, **columns})


def random_data(users: int = 12, items: int = 20, seed: int = 0, **columns: Any) -> SearchData:
    """Random histories of 1 to 8 items, the first of one and the second of eight; titles of 1 to 5 words."""
    rng = np.random.default_rng(seed)
    histories = [rng.permutation(items)[: rng.integers(1, 9)] for _ in range(users)]
    histories[0] = histories[0][:1]
    histories[1] = rng.permutation(items)[:8]
    titles = [" ".join(rng.choice(WORDS, size=rng.integers(1, 6))) for _ in range(items)]
    texts = {"sentences": titles, "titles": titles, "fingerprint": f"by-hand-{users}-{items}-{seed}"}
    return search_data(histories, items, rng.integers(items, size=users), **{**texts, **columns})


class Folder:
    """An asset source whose names are folders, and which has a cache folder if it is given one."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root

    def fetch(self, name: str) -> Path:
        if Path(name).is_dir():
            return Path(name)
        raise AssetError(f"{name}: these tests use no assets")

    def cached(self, name: str) -> bool:
        return False

    def folder(self, *parts: str) -> Path:
        assert self.root is not None, "nothing is to be written"
        path = self.root.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path


def shake(model: torch.nn.Module, std: float = 0.1) -> None:
    """Move every trained parameter off its quiet start, so that each part makes a difference."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(std * torch.randn_like(parameter))
