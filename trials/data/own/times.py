"""Times as people write them: numbers since 1970 in any unit, dates, or a format that is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trials.data.reading.interactions import Floats
from trials.data.reading.lines import LARGEST_TIME

UNITS = (("seconds", 1.0), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))
EARLY = 1e8
"""Seconds; March 1973. All times before it are rather dates such as 20240131, or a count."""


@dataclass(frozen=True)
class Times:
    """Times that were read.

    Args:
        seconds_E: Since 1970, NaN where a text is no time.
        said: What there is to know of how they were read; empty if nothing.
    """

    seconds_E: Floats
    said: str = ""


def read_times(column: Any, format_: str | None) -> Times:
    """Seconds since 1970 of a `pyarrow` array.

    Numbers are taken for the unit that puts their median before the year 5138; times without a zone are UTC.

    Args:
        format_: As `strptime` takes it; None for numbers, ISO 8601, or what types say.
    """
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_temporal(column.type):
        return Times(_seconds(pd.to_datetime(pd.Series(column.to_pandas()), utc=True, errors="coerce")))
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        return _of_numbers(column.to_pandas().to_numpy(dtype=np.float64, na_value=np.nan))
    codes_E, texts = codes_and_texts(column)
    distinct = pd.Series(texts, dtype="str").str.strip()
    if format_ is not None:
        found = Times(_seconds(pd.to_datetime(distinct, format=format_, errors="coerce", utc=True)))
    else:
        numbers = pd.to_numeric(distinct, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        if np.isfinite(numbers).sum() * 2 >= max(1, (distinct != "").sum()):
            found = _of_numbers(numbers)
        else:
            found = Times(_seconds(pd.to_datetime(distinct, format="ISO8601", errors="coerce", utc=True)))
    return Times(found.seconds_E[codes_E], found.said)


def codes_and_texts(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    """A column as codes into distinct texts; null is the empty text."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.string()).dictionary_encode()
    texts = ["" if text is None else str(text) for text in column.dictionary.cast(pa.string()).to_pylist()]
    codes = column.indices
    if codes.null_count:
        texts.append("")
        codes = codes.fill_null(len(texts) - 1)
    return codes.to_numpy(zero_copy_only=False).astype(np.int64), texts


def _seconds(moments: Any) -> Floats:
    missing = moments.isna().to_numpy()
    seconds = moments.dt.as_unit("us").dt.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64) / 1e6
    return np.asarray(np.where(missing, np.nan, seconds), dtype=np.float64)


def _of_numbers(numbers: Floats) -> Times:
    finite = np.abs(numbers[np.isfinite(numbers)])
    if not len(finite):
        return Times(np.full(len(numbers), np.nan))
    middle = float(np.median(finite))
    name, per_second = next((unit for unit in UNITS if middle <= LARGEST_TIME * unit[1]), UNITS[-1])
    seconds = numbers / per_second
    seconds = np.where(np.isfinite(seconds) & (np.abs(seconds) <= LARGEST_TIME), seconds, np.nan)
    said = f"numbers are taken for {name} since 1970" if per_second > 1 else ""
    if per_second == 1 and float(np.nanmax(np.abs(seconds))) < EARLY:
        said = (
            "all numbers would be seconds of the years 1970 to 1973, which is right if they only count; "
            "dates such as 20240131 need time_format: '%Y%m%d'"
        )
    return Times(seconds, said)
