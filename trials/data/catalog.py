"""The data sets: where each comes from, who reads it, what its items' sentences say."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from trials.data.interactions import Interactions
from trials.data.options import DataOptions, ToyOptions
from trials.data.source import Source

GROUPLENS = "GroupLens allows research use, without redistribution or endorsement; cite Harper and Konstan (2015)."


def _read_ml_100k(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from dataclasses import replace

    from trials.data.atomic import read_atomic

    found = read_atomic(*files)
    names = {"movie_title": "title", "release_year": "year", "class": "genres"}
    return replace(found, attributes={names.get(key, key): column for key, column in found.attributes.items()})


def _read_csv(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.movielens import read_movielens_csv

    return read_movielens_csv(*files)


def _read_dat(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.movielens import read_movielens_dat

    return read_movielens_dat(*files)


def _read_json_pair(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.json_pair import read_json_pair

    return read_json_pair(*files)


def _generate(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.toy import generate

    return generate(cast(ToyOptions, options))


ML_100K = Source(
    name="ml-100k",
    summary="MovieLens 100K: 100,000 ratings of 1,682 films by 943 users (1998)",
    where=f"Fetched when first used, as the asset ml-100k. {GROUPLENS}",
    file_names=("ml-100k.inter", "ml-100k.item"),
    reader=_read_ml_100k,
    attributes=("title", "year", "genres"),
    asset="ml-100k",
)

ML_LATEST_SMALL = Source(
    name="ml-latest-small",
    summary="MovieLens latest-small: about 100,000 ratings of 9,000 films; changes over time",
    where=f"Get ml-latest-small.zip from https://grouplens.org/datasets/movielens/latest/ and unpack it. {GROUPLENS}",
    file_names=("ratings.csv", "movies.csv"),
    reader=_read_csv,
    attributes=("title", "year", "genres"),
)

ML_1M = Source(
    name="ml-1m",
    summary="MovieLens 1M: 1,000,209 ratings of 3,706 films by 6,040 users (2003)",
    where=f"Get ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it. {GROUPLENS}",
    file_names=("ratings.dat", "movies.dat"),
    reader=_read_dat,
    attributes=("title", "year", "genres"),
)

SCIENTIFIC = Source(
    name="scientific",
    summary="Amazon Industrial and Scientific, 5-core: 58,492 interactions, 8,317 users, 4,344 items with text",
    where=(
        "The files are in the public repository Nishikata97/CollisionGenRec (MIT); no terms are stated for the review "
        "data, so use it for research and do not redistribute it."
    ),
    file_names=("Scientific.inter.json", "Scientific.item.json"),
    reader=_read_json_pair,
    attributes=("title", "brand", "categories"),
)

TOY = Source(
    name="toy",
    summary="Generated: 60 users, 40 items, themes with an order that can be learnt; needs no file",
    where="Nothing to fetch. Options: users, items, length, seed.",
    file_names=(),
    reader=_generate,
    attributes=("title", "year", "genres"),
    options=ToyOptions,
)
