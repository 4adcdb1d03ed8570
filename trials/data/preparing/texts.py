"""A column of texts on disk, read through a memory map: opening it costs nothing, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import DataError


class TextColumn(Sequence[str]):
    """Texts as one UTF-8 blob with bounds; text i is `blob[starts[i]:stops[i]]`.

    Args:
        blob: `[bytes]` uint8.
        starts: `[N]` int64.
        stops: `[N]` int64.
    """

    def __init__(self, blob: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        self._blob = blob
        self._starts = starts
        self._stops = stops

    @classmethod
    def open(cls, stem: Path) -> TextColumn:
        """Map `<stem>.blob.npy` and `<stem>.offsets.npy`.

        Raises:
            DataError: If one of them cannot be read.
        """
        try:
            blob, offsets = (
                np.load(f"{stem}.{part}.npy", mmap_mode="r", allow_pickle=False) for part in ("blob", "offsets")
            )
        except (OSError, ValueError) as error:
            raise DataError(
                f"{stem} cannot be read ({error}); delete the folder {stem.parent}, it is made anew."
            ) from error
        return cls(blob, offsets[:-1], offsets[1:])

    def select(self, rows: NDArray[np.int64]) -> TextColumn:
        """The texts in these rows, on the same map."""
        return TextColumn(self._blob, self._starts[rows], self._stops[rows])

    @staticmethod
    def write(texts: Sequence[str], stem: Path) -> None:
        """Write the two files that `open` reads."""
        parts = [text.encode() for text in texts]
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        np.save(f"{stem}.blob.npy", np.frombuffer(b"".join(parts), dtype=np.uint8))
        np.save(f"{stem}.offsets.npy", offsets)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"text index must lie in [0, {len(self)}), got {index}")
        return bytes(self._blob[self._starts[place] : self._stops[place]]).decode()

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # compared by content
