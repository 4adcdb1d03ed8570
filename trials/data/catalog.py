"""The data sets: where each comes from, who reads it, what its items' sentences say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

from searchplat.contract import PublishedSize
from trials.data.preparing.options import DataOptions, KuaiSAROptions, ReDialOptions, ToyOptions
from trials.data.reading.interactions import Interactions
from trials.data.source import Source

# `rank_met`: Prompt-BERT (section 4.3) and CRAMER (section 4.2) rank a target among items that its user has not met;
# DARec, MixRec and Laser among all items of Amazon's editions of 2018. Nobody rates a film twice or mentions it anew.
GROUPLENS = "GroupLens allows research use, without redistribution or endorsement; cite Harper and Konstan (2015)."


def _read_ml_100k(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.atomic import read_atomic

    found = read_atomic(*files)
    names = {"movie_title": "title", "release_year": "year", "class": "genres"}
    return replace(found, attributes={names.get(key, key): column for key, column in found.attributes.items()})


def _read_csv(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.movielens import read_movielens_csv

    return read_movielens_csv(*files)


def _read_dat(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.movielens import read_movielens_dat

    return read_movielens_dat(*files)


def _read_json_pair(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.json_pair import read_json_pair

    return read_json_pair(*files)


def _read_redial(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.redial import read_redial

    *dialogues, films, info = files
    return read_redial(dialogues, films, info, cast(ReDialOptions, options))


def _read_whole_redial(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.redial import read_redial

    *dialogues, films = files
    return read_redial(dialogues, films, None, cast(ReDialOptions, options))


def _read_kuaisar(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.kuaisar import read_kuaisar

    recommended, searched, features = files
    return read_kuaisar(recommended, searched, features, cast(KuaiSAROptions, options))


def _generate(files: tuple[Path, ...], options: DataOptions) -> Interactions:
    from trials.data.reading.toy import generate

    return generate(cast(ToyOptions, options))


PREFERRED = {"min_rating": 4.0, "min_length": 5}
"""Prompt-BERT, section 4.1.1: users have five interactions, and with many users those rated well count. It writes
"greater than 4", but its Table 2 has the average lengths of 4 and better."""

UNFILTERED = {"min_rating": None, "min_length": 3}
ML_NUMBERS = "The paper counts the files' films and user numbers, rated or not; here only what is rated counts."


ML_100K = Source(
    name="ml-100k",
    summary="MovieLens 100K: 100,000 ratings of 1,682 films by 943 users (1998)",
    where=f"Fetched when first used, as the asset ml-100k. {GROUPLENS}",
    file_names=("ml-100k.inter", "ml-100k.item"),
    reader=_read_ml_100k,
    attributes=("title", "year", "genres"),
    rank_met=False,
    asset="ml-100k",
)

ML_LATEST_SMALL = Source(
    name="ml-latest-small",
    summary="MovieLens latest-small: about 100,000 ratings of 9,000 films; changes over time",
    where=f"Get ml-latest-small.zip from https://grouplens.org/datasets/movielens/latest/ and unpack it. {GROUPLENS}",
    file_names=("ratings.csv", "movies.csv"),
    reader=_read_csv,
    attributes=("title", "year", "genres"),
    rank_met=False,
)

ML_1M = Source(
    name="ml-1m",
    summary="MovieLens 1M: 1,000,209 ratings of 3,706 films by 6,040 users (2003)",
    where=f"Get ml-1m.zip from https://grouplens.org/datasets/movielens/1m/ and unpack it. {GROUPLENS}",
    file_names=("ratings.dat", "movies.dat"),
    reader=_read_dat,
    attributes=("title", "year", "genres"),
    rank_met=False,
    published=(
        PublishedSize(
            "Prompt-BERT, Table 1",
            6_040,
            3_952,
            1_000_000,
            note="Its items are the largest film number; 3,706 films are rated.",
        ),
    ),
)

ML_10M = Source(
    name="ml-10m",
    summary="MovieLens 10M: 10,000,054 ratings of 10,677 films by 69,878 users (2009); those of 4 and better",
    where=f"Get ml-10m.zip from https://grouplens.org/datasets/movielens/10m/ and unpack it. {GROUPLENS}",
    file_names=("ratings.dat", "movies.dat"),
    reader=_read_dat,
    attributes=("title", "year", "genres"),
    rank_met=False,
    defaults=PREFERRED,
    published=(
        PublishedSize("Prompt-BERT, Table 1", 71_567, 10_681, 10_000_000, UNFILTERED, ML_NUMBERS),
        PublishedSize("Prompt-BERT, Table 2", 69_167, options=PREFERRED, note="72.3 interactions a user."),
    ),
)

ML_20M = Source(
    name="ml-20m",
    summary="MovieLens 20M: 20,000,263 ratings of 26,744 films by 138,493 users (2015); those of 4 and better",
    where=f"Get ml-20m.zip from https://grouplens.org/datasets/movielens/20m/ and unpack it. {GROUPLENS}",
    file_names=("ratings.csv", "movies.csv"),
    reader=_read_csv,
    attributes=("title", "year", "genres"),
    rank_met=False,
    defaults=PREFERRED,
    published=(
        PublishedSize("Prompt-BERT, Table 1", 138_493, 27_278, 20_000_000, UNFILTERED, ML_NUMBERS),
        PublishedSize("Prompt-BERT, Table 2", 136_677, options=PREFERRED, note="73.1 interactions a user."),
    ),
)

OTHER_FILES = "Of amazon-scientific-2018, which holds more users and items than these files do."

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
    published=(
        PublishedSize("DARec and MixRec, Table 1", 10_973, 5_193, 54_183, note=OTHER_FILES),
        PublishedSize("Laser, Table 1", 11_041, 5_327, 76_896, note=OTHER_FILES),
    ),
)

REDIAL_TERMS = "CC BY 4.0; cite Li et al. (2018)."

REDIAL_SIZE = PublishedSize(
    "CRAMER, Table 4",
    items=5_207,
    interactions=36_460,
    request_characters=112.84,
)

REDIAL = Source(
    name="redial",
    summary="ReDial, partial train: 3,612 dialogues about films, with what was said before each film as its request",
    where=(
        "Three files of dialogues in the publisher's format, of which train_partial.jsonl holds 1,369 of the 10,006 "
        "training dialogues (results must say so), movies_with_mentions.csv, and id2info.json with genres. "
        f"All dialogues are data set redial-full. {REDIAL_TERMS}"
    ),
    file_names=("train_partial.jsonl", "valid.jsonl", "test.jsonl", "movies_with_mentions.csv", "id2info.json"),
    reader=_read_redial,
    attributes=("title", "year", "genres", "director"),
    rank_met=False,
    options=ReDialOptions,
    published=(replace(REDIAL_SIZE, note="Of all dialogues, not of partial train."),),
)

REDIAL_FULL = Source(
    name="redial-full",
    summary="ReDial: about 11,300 dialogues about films, with what was said before each film as its request",
    where=f"Get redial_dataset.zip from https://redialdata.github.io/website/download and unpack it. {REDIAL_TERMS}",
    file_names=("train_data.jsonl", "test_data.jsonl", "movies_with_mentions.csv"),
    reader=_read_whole_redial,
    attributes=("title", "year"),
    rank_met=False,
    options=ReDialOptions,
    published=(REDIAL_SIZE,),
)

KUAISAR = Source(
    name="kuaisar",
    summary="KuaiSAR: about 19.6 million actions in a video app, recommended and searched for (2023)",
    where=(
        "Get KuaiSAR from https://kuaisar.github.io/ (files at https://zenodo.org/records/8181109) and unpack it. "
        "Its terms stand there; cite Sun et al. (2023)."
    ),
    file_names=("rec_inter.csv", "src_inter.csv", "item_features.csv"),
    reader=_read_kuaisar,
    attributes=("title", "categories"),
    rank_met=False,
    options=KuaiSAROptions,
    defaults={"requests_from_previous": 3},
    packed=True,
    published=(
        PublishedSize(
            "CRAMER, Table 4",
            items=174_895,
            interactions=260_243,
            note="After a random sample whose size is not told.",
            request_characters=124.63,
        ),
    ),
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
