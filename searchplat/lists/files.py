"""The file of lists: Parquet, CSV or JSON lines, written batch by batch, there whole or not at all.

Rows go into a hidden file beside it, which takes its name once all of it is on the disk. A killed command leaves the
hidden file, and the next one begins it anew; two at once are refused.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from searchplat.errors import InputError, disk_full

COLUMNS = ("user", "rank", "item", "score")


class Writer(Protocol):
    """Takes lists, batch by batch."""

    def write(self, users: Sequence[str], items_BK: NDArray[np.int32], scores_BK: NDArray[np.float64]) -> int:
        """Write these users' lists; return the number of items in them."""
        ...

    def close(self) -> None:
        """Write what belongs at the end; the file stays open."""
        ...


class Parquet:
    """A row an item, columns as `COLUMNS`; a group of rows a batch.

    Args:
        file: Open for bytes.
        items: What the items are called, by row.
    """

    def __init__(self, file: IO[bytes], items: Sequence[str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = (pa.string(), pa.int32(), pa.string(), pa.float64())
        self._schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._items = pa.array(list(items), pa.string())
        self._writer = pq.ParquetWriter(file, self._schema)

    def write(self, users: Sequence[str], items_BK: NDArray[np.int32], scores_BK: NDArray[np.float64]) -> int:
        """See `Writer`."""
        import pyarrow as pa

        rows, places = np.nonzero(items_BK >= 0)
        columns = [
            pa.array(list(users), pa.string()).take(pa.array(rows)),
            pa.array((places + 1).astype(np.int32)),
            self._items.take(pa.array(items_BK[rows, places])),
            pa.array(scores_BK[rows, places]),
        ]
        self._writer.write_table(pa.table(columns, schema=self._schema))
        return len(rows)

    def close(self) -> None:
        """See `Writer`."""
        self._writer.close()


class Csv:
    """The same with a header line, all texts in quotes: ids are to be joined with, and stay as they are."""

    def __init__(self, file: IO[bytes], items: Sequence[str]) -> None:
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        self._items = items
        self._rows = csv.writer(self._text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        self._rows.writerow(COLUMNS)

    def write(self, users: Sequence[str], items_BK: NDArray[np.int32], scores_BK: NDArray[np.float64]) -> int:
        """See `Writer`."""
        written = 0
        for user, items, scores in zip(users, items_BK.tolist(), scores_BK.tolist(), strict=True):
            for rank, (item, score) in enumerate(zip(items, scores, strict=True), start=1):
                if item >= 0:
                    self._rows.writerow((user, rank, self._items[item], score))
                    written += 1
        return written

    def close(self) -> None:
        """See `Writer`."""
        self._text.detach()


class JsonLines:
    """An object a user: `{"user": ..., "items": [...], "scores": [...]}`, best first."""

    def __init__(self, file: IO[bytes], items: Sequence[str]) -> None:
        self._file, self._items = file, items

    def write(self, users: Sequence[str], items_BK: NDArray[np.int32], scores_BK: NDArray[np.float64]) -> int:
        """See `Writer`."""
        written = 0
        for user, items, scores in zip(users, items_BK.tolist(), scores_BK.tolist(), strict=True):
            names = [self._items[item] for item in items if item >= 0]
            found = [score for item, score in zip(items, scores, strict=True) if item >= 0]
            line = {"user": user, "items": names, "scores": found}
            self._file.write(f"{json.dumps(line, ensure_ascii=False)}\n".encode())
            written += len(names)
        return written

    def close(self) -> None:
        """See `Writer`."""


FORMATS = {".parquet": Parquet, ".csv": Csv, ".jsonl": JsonLines}


def check_place(path: Path) -> None:
    """See that lists can be written there, before any is made.

    Raises:
        InputError: If the ending is none of the three, the folder is missing or it is a folder itself.
    """
    if path.suffix not in FORMATS:
        raise InputError(f"--out {path}: must end in {', '.join(FORMATS)}, got {path.suffix or 'no ending'!r}")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: the folder {path.parent} must exist; make it")
    if path.is_dir():
        raise InputError(f"--out {path}: must be a file, but is a folder; choose another name")


@contextmanager
def writing(path: Path, items: Sequence[str]) -> Iterator[Writer]:
    """Within it, lists are written; at its end the file takes the place of one that was there, if nothing was raised.

    Raises:
        InputError: As `check_place`; if it cannot be written, or another command writes it.
    """
    check_place(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with _held(part, path) as file:
            try:
                writer: Any = FORMATS[path.suffix](file, items)
                yield writer
                writer.close()
                file.flush()
                os.fsync(file.fileno())
                part.replace(path)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if disk_full(error):
            raise
        raise InputError(f"--out {path}: cannot be written ({error.strerror}); choose another place") from error


@contextmanager
def _held(part: Path, path: Path) -> Iterator[IO[bytes]]:
    """The hidden file, empty, and for nobody else to write."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"--out {path}: another command is writing it; wait for it or choose another") from error
        file.truncate(0)
        yield file
