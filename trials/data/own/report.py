"""What `searchplat data --check` tells of a file: everything that is wrong with it, and what is in it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from searchplat.contract import FileProblem, FileReport
from searchplat.errors import DataError
from trials.data.own.options import FileOptions
from trials.data.own.reading import examine
from trials.data.preparing.filters import filtered
from trials.data.reading.interactions import Floats, Interactions
from trials.data.reading.joined import repeated
from trials.data.source import Source


def report(source: Source, options: FileOptions, files: tuple[Path, ...]) -> FileReport:
    """Read a file as a search would, and tell of it.

    Raises:
        DataError: If it cannot be opened, or is no text.
    """
    seen = examine(files[0], options, *files[1:])
    found, problems = seen.interactions, list(seen.problems)
    if found is None or not len(found):
        if not problems:
            problems.append(FileProblem(str(files[0]), (), None, "must hold interactions, got none", 1, True))
        return FileReport(tuple(problems), seen.notes, {"rows": seen.rows})
    path = str(files[0])
    if again := repeated(found):
        what = "repeat another of the same user with the same item at the same time; duplicates: first would keep one"
        problems.append(FileProblem(path, (), None, f"{again:,} of {len(found):,} interactions {what}", again, False))
    needed = max(options.core, options.min_length)
    short = int((np.bincount(found.users_E) < needed).sum())
    if short:
        what = f"{short:,} of {found.num_users:,} users have fewer than {needed} interactions, and are left out"
        problems.append(FileProblem(path, (), None, what, short, False))
    summary: dict[str, Any] = {"rows": seen.rows, **_figures(found)}
    try:
        left = filtered(found, options, source.name)
    except DataError as error:
        problems.append(FileProblem(path, (), None, str(error), 1, True))
    else:
        summary |= {f"{key} after filters": value for key, value in _counts(left).items()}
    problems.sort(key=lambda problem: not problem.fatal)
    return FileReport(tuple(problems), seen.notes, summary)


def _counts(found: Interactions) -> dict[str, int]:
    return {"users": found.num_users, "items": found.num_items - found.unmet_items, "interactions": len(found)}


def _figures(found: Interactions) -> dict[str, Any]:
    lengths_U = np.bincount(found.users_E)
    met = np.unique(found.items_E)
    titles = found.attributes.get("title")
    figures: dict[str, Any] = {
        **_counts(found),
        "density": round(len(found) / (found.num_users * len(met)), 6),
        "shortest": int(lengths_U.min()),
        "median length": float(np.median(lengths_U)),
        "average length": round(float(lengths_U.mean()), 2),
        "longest": int(lengths_U.max()),
        "items with a title": 0.0 if titles is None else round(sum(bool(titles[n].strip()) for n in met) / len(met), 4),
    }
    if found.times_E is not None:
        figures |= {"first": _moment(found.times_E, min), "last": _moment(found.times_E, max)}
    if found.ratings_E is not None:
        figures |= {"lowest rating": float(found.ratings_E.min()), "highest rating": float(found.ratings_E.max())}
    return figures


def _moment(times_E: Floats, which: Any) -> str:
    seconds = float(which(times_E.tolist()))
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # before year 1
        return f"{seconds:g} seconds since 1970"
