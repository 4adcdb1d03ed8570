"""MovieLens as GroupLens publishes it: csv files (latest-small, 20M, 25M) or, before 2015, `::`-separated (1M, 10M)."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from pathlib import Path

from searchplat.errors import DataError
from trials.data.reading.encoding import read_bytes, text_of
from trials.data.reading.ids import Ids, refuse_alike
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import join_items
from trials.data.reading.lines import LARGEST_RATING, LARGEST_TIME
from trials.data.reading.table import Table, read_table

TITLE_AND_YEAR = re.compile(r"(?P<title>.*\S)\s*\((?P<year>\d{4})(?:[-\u2013]\d{0,4})?\)\s*")
CONTROL = re.compile("[\x80-\x9f]")
"""Characters that no Latin-1 text has: quotes and dashes in Windows' own encoding."""
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

    `movies.dat` is Latin-1 in 1M and UTF-8 in 10M. Latin-1 fits any bytes, so that it is taken only where nothing
    in the file is UTF-8 beyond ASCII: one damaged byte must not turn all titles into other ones.

    Raises:
        DataError: If a file breaks the format, with its line.
    """
    return _join(read_table(ratings, "MovieLens' ratings.dat", "::", 4), _dat_movies(movies), movies)


Movies = Iterable[tuple[int, list[str]]]
"""Line number and the fields id, title, genres."""


def _join(table: Table, movies: Movies, path: Path) -> Interactions:
    users, items = table.tokens(0, "user"), table.tokens(1)
    refuse_alike(users.ids)
    known = Ids("item")
    titles, years, genres = [], [], []
    for line, (key, title, kinds) in movies:
        if key in known:
            raise DataError(
                f"{path}:{line} movie id must occur once, got {key!r}, as {known.place(key)}; take one out."
            )
        known.code(path, line, key)
        match = TITLE_AND_YEAR.fullmatch(title)
        titles.append(match["title"] if match else title.strip())
        years.append(match["year"] if match else "")
        genres.append("" if kinds == NO_GENRES else kinds.replace("|", " "))
    attributes = {"title": titles, "year": years, "genres": genres}
    found = join_items(items.ids, items.codes, known, attributes, path)
    return Interactions(
        users_E=users.codes,
        items_E=found.items_E,
        ratings_E=table.numbers(2, 0.0, LARGEST_RATING),
        times_E=table.numbers(3, 0.0, LARGEST_TIME),
        item_keys=found.keys,
        attributes=found.attributes,
        warnings=found.warnings,
        unmet_items=found.unmet,
        user_keys=users.keys,
    )


def _csv_movies(path: Path) -> Movies:
    what = "MovieLens' movies.csv"
    data = read_bytes(path, what)
    reader = csv.reader(io.StringIO(text_of(path, data), newline=""), strict=True)
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
    text = text_of(path, data, "utf-8" if _is_utf8(data) else "latin-1")
    if odd := CONTROL.search(text):
        line = text.count("\n", 0, odd.start()) + 1
        raise DataError(f"{path}:{line} must be UTF-8 or Latin-1 text, got byte 0x{ord(odd[0]):02x}; save it as UTF-8.")
    for line, row in enumerate(text.removesuffix("\n").split("\n") if text else [], start=1):
        yield line, _three(path, line, row.split("::"))


def _is_utf8(data: bytes) -> bool:
    """Whether bytes are meant as UTF-8: no other text has characters that take several of them in that way."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return not data.decode(errors="ignore").isascii()
    return True


def _three(path: Path, line: int, fields: list[str]) -> list[str]:
    if len(fields) != 3:
        raise DataError(f"{path}:{line} must have the 3 fields id, title and genres, got {len(fields)}.")
    return fields
