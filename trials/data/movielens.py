"""MovieLens as GroupLens publishes it: csv files (latest-small, 20M, 25M) or, before 2015, `::`-separated (1M, 10M)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from searchplat.errors import DataError
from trials.data.interactions import Interactions, join_items
from trials.data.table import Table, check_text, read_bytes, read_table

TITLE_AND_YEAR = re.compile(r"(?P<title>.*\S)\s*\((?P<year>\d{4})(?:[-\u2013]\d{0,4})?\)\s*")
NO_GENRES = "(no genres listed)"


def read_movielens_csv(ratings: Path, movies: Path) -> Interactions:
    """Read `ratings.csv` (`userId,movieId,rating,timestamp`) and `movies.csv` (`movieId,title,genres`).

    Titles lose their year, which becomes an attribute of its own; genres are separated by blanks.

    Raises:
        DataError: If a file breaks the format, with its line.
    """
    what = "MovieLens' ratings.csv"
    return _join(
        read_table(ratings, what, ",", ("userId", "movieId", "rating", "timestamp")), _csv_movies(movies), movies
    )


def read_movielens_dat(ratings: Path, movies: Path) -> Interactions:
    """Read `ratings.dat` (`UserID::MovieID::Rating::Timestamp`) and `movies.dat` (`MovieID::Title::Genres`).

    `movies.dat` is Latin-1 in 1M and UTF-8 in 10M: UTF-8 is tried first, since Latin-1 fits any bytes.

    Raises:
        DataError: If a file breaks the format, with its line.
    """
    return _join(read_table(ratings, "MovieLens' ratings.dat", "::", 4), _dat_movies(movies), movies)


Movies = Iterable[tuple[int, list[str]]]
"""Line number and the fields id, title, genres."""


def _join(table: Table, movies: Movies, path: Path) -> Interactions:
    users, items = table.tokens(0), table.tokens(1)
    keys: dict[str, None] = {}
    titles, years, genres = [], [], []
    for line, (key, title, kinds) in movies:
        if not key or key in keys:
            raise DataError(f"{path}:{line} movie id must be given and occur once, got {key!r}.")
        keys[key] = None
        match = TITLE_AND_YEAR.fullmatch(title)
        titles.append(match["title"] if match else title.strip())
        years.append(match["year"] if match else "")
        genres.append("" if kinds == NO_GENRES else kinds.replace("|", " "))
    attributes = {"title": titles, "year": years, "genres": genres}
    codes_E, all_keys, attributes = join_items(items.codes, items.keys, list(keys), attributes)
    return Interactions(users.codes, codes_E, table.numbers(2), table.numbers(3), all_keys, attributes)


def _csv_movies(path: Path) -> Movies:
    what = "MovieLens' movies.csv"
    data = read_bytes(path, what)
    check_text(path, data, "utf-8")
    reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
    try:
        header = next(reader, None)
        if header != ["movieId", "title", "genres"]:
            raise DataError(f"{path}:1 header must be 'movieId,title,genres', got {','.join(header or [])!r}.")
        for fields in reader:
            yield reader.line_num, _three(path, reader.line_num, fields)
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num} must be {what}: {error}.") from error


def _dat_movies(path: Path) -> Movies:
    data = read_bytes(path, "MovieLens' movies.dat")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    for line, row in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        yield line, _three(path, line, row.split("::"))


def _three(path: Path, line: int, fields: list[str]) -> list[str]:
    if len(fields) != 3:
        raise DataError(f"{path}:{line} must have the 3 fields id, title and genres, got {len(fields)}.")
    return fields
