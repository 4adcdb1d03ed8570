"""Amazon's reviews by category and edition, with the filters and the sizes of the papers that use them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from searchplat.contract import PublishedSize
from trials.data.preparing.options import DataOptions
from trials.data.reading.interactions import Interactions
from trials.data.source import Reader, Source

DAREC = {"drop_untitled": True, "min_item": 4}
"""DARec and MixRec, section 3.1.1: "we filter items without titles and items with fewer than four interactions"."""

LASER = {"drop_untitled": True, "min_item": 1}
"""Laser, section 5.1: the 5-core files without untitled items."""

PROMPT_BERT = {"min_rating": 4.0, "min_length": 5}
"""Prompt-BERT, section 4.1.1, read as for MovieLens: rated 4 and better, five interactions a user."""

CRAMER = {"min_rating": 4.0, "requests_from_previous": 3}
"""CRAMER, appendix B.1."""

TERMS = "No terms are stated for the reviews: use them for research, do not redistribute them, and cite {}."
PAGES = {
    2014: "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon/links.html",
    2018: "https://cseweb.ucsd.edu/~jmcauley/datasets/amazon_v2/",
    2023: "https://amazon-reviews-2023.github.io/",
}
CITED = {2014: "He and McAuley (2016)", 2018: "Ni et al. (2019)", 2023: "Hou et al. (2024)"}

ALL_USERS_TRAIN = "Interactions are the training ones alone, two a user fewer than here."
SAMPLED = "After a random sample whose size is not told."
A_FIFTH = "The users are a fifth of the file's, as in RecFormer, which drew them."


def _reader(year: int) -> Reader:
    def read(files: tuple[Path, ...], options: DataOptions) -> Interactions:
        from trials.data.reading.amazon import EDITIONS, read_amazon

        reviews, metadata = files
        return read_amazon(reviews, metadata, EDITIONS[year], with_reviews=options.requests_from_previous > 0)

    return read


def _amazon(
    name: str, year: int, category: str, what: str, defaults: Mapping[str, object], *published: PublishedSize
) -> Source:
    names = {
        2014: (f"reviews_{category}.json", f"meta_{category}.json"),
        2018: (f"{category}_5.json", f"meta_{category}.json"),
        2023: (f"{category}.jsonl", f"meta_{category}.jsonl"),
    }[year]
    return Source(
        name=f"amazon-{name}-{year}",
        rank_met=year == 2018,  # the edition of DARec, MixRec and Laser; see catalog.py
        summary=f"Amazon {what}, edition of {year}{', 5-core' if year == 2018 else ''}: reviews with ratings and times",
        where=f"Get {names[0]}.gz and {names[1]}.gz from {PAGES[year]}. {TERMS.format(CITED[year])}",
        file_names=names,
        reader=_reader(year),
        attributes=("title", "brand", "categories"),
        defaults=defaults,
        published=published,
        packed=True,
    )


def _darec(users: int, items: int, interactions: int) -> PublishedSize:
    return PublishedSize("DARec and MixRec, Table 1", users, items, interactions, DAREC, ALL_USERS_TRAIN)


def _laser(users: int, items: int, interactions: int, note: str = "") -> PublishedSize:
    return PublishedSize("Laser, Table 1", users, items, interactions, LASER, note)


AMAZON_ARTS_2018 = _amazon(
    *("arts", 2018, "Arts_Crafts_and_Sewing", "Arts, Crafts and Sewing", DAREC),
    _darec(56_083, 22_685, 364_356),
    _laser(56_210, 22_855, 492_492),
)

AMAZON_SCIENTIFIC_2018 = _amazon(
    *("scientific", 2018, "Industrial_and_Scientific", "Industrial and Scientific", DAREC),
    _darec(10_973, 5_193, 54_183),
    _laser(11_041, 5_327, 76_896),
)

AMAZON_INSTRUMENTS_2018 = _amazon(
    *("instruments", 2018, "Musical_Instruments", "Musical Instruments", DAREC),
    _darec(27_518, 10_535, 171_108),
)

AMAZON_PANTRY_2018 = _amazon(
    *("pantry", 2018, "Prime_Pantry", "Prime Pantry", DAREC),
    _darec(14_178, 4_961, 102_661),
)

AMAZON_GAMES_2018 = _amazon(
    *("games", 2018, "Video_Games", "Video Games", DAREC),
    _darec(55_126, 17_277, 356_954),
    _laser(11_036, 15_402, 100_255, A_FIFTH),
)

AMAZON_PET_2018 = _amazon(
    *("pet", 2018, "Pet_Supplies", "Pet Supplies", LASER),
    _laser(47_569, 37_970, 420_662, A_FIFTH),
)

AMAZON_BEAUTY_2014 = _amazon(
    *("beauty", 2014, "Beauty", "Beauty", PROMPT_BERT),
    PublishedSize(
        *("Prompt-BERT, Table 1", 52_024, 57_289, 350_000, {"min_rating": None, "min_length": 5}),
        note="Users and items are SASRec's, whose filter counts once, over all reviews.",
    ),
    PublishedSize("Prompt-BERT, Table 2", 35_931, options=PROMPT_BERT, note="8.7 interactions a user, 320 at most."),
)

AMAZON_GAMES_2014 = _amazon(
    *("games", 2014, "Video_Games", "Video Games", PROMPT_BERT),
    PublishedSize(
        "Prompt-BERT, Table 1", 89_021, 22_933, 530_000, {"min_rating": None, "min_length": 5}, "Edition not told."
    ),
    PublishedSize("Prompt-BERT, Table 2", 20_548, options=PROMPT_BERT, note="9.3 interactions a user, 729 at most."),
)

AMAZON_BEAUTY_2023 = _amazon(
    *("beauty", 2023, "All_Beauty", "All Beauty", CRAMER),
    PublishedSize(
        *("CRAMER, Table 4", None, 44_977, 122_485, CRAMER, SAMPLED),
        request_characters=226.85,
    ),
)

AMAZON_CDS_2023 = _amazon(
    *("cds", 2023, "CDs_and_Vinyl", "CDs and Vinyl", CRAMER),
    PublishedSize(
        *("CRAMER, Table 4", None, 76_368, 141_213, CRAMER, SAMPLED),
        request_characters=973.21,
    ),
)
