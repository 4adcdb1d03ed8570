"""Amazon's reviews of three editions, in the fields and spellings in which they are published."""

from __future__ import annotations

import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.contract import AssetSource, DataRequest
from searchplat.errors import DataError
from trials.data import open_search
from trials.data.reading import amazon
from trials.data.reading.amazon import EDITION_2014, EDITION_2018, EDITION_2023, read_amazon
from trials.data.reading.interactions import Interactions

REVIEW_2014 = {
    "reviewerID": "A2SUAM1J3GNN3B",
    "asin": "0000013714",
    "reviewerName": "J. McDonald",
    "helpful": [2, 3],
    "reviewText": "Great purchase though!",
    "overall": 5.0,
    "summary": "Heavenly Highway Hymns",
    "unixReviewTime": 1252800000,
    "reviewTime": "09 13, 2009",
}
PRODUCT_2014 = {
    "asin": "0000013714",
    "title": "Girls' Ballet Tutu",
    "price": 3.17,
    "imUrl": "http://example.org/1.jpg",
    "related": {"also_bought": ["B00JHONN1S"]},
    "salesRank": {"Toys & Games": 211836},
    "brand": 'The "Tutu"',
    "categories": [["Sports & Outdoors", "Other Sports", "Dance"]],
}
REVIEW_2018 = {
    "image": ["https://example.org/71.jpg"],
    "overall": 4.0,
    "vote": "2",
    "verified": True,
    "reviewTime": "01 1, 2018",
    "reviewerID": "AUI6WTTT0QZYS",
    "asin": "5120053084",
    "style": {"Size:": "Large"},
    "reviewerName": "Abbey",
    "reviewText": "I now have 4 of the 5 colors.",
    "summary": "Comfy",
    "unixReviewTime": 1514764800,
}
PRODUCT_2018 = {
    "category": ["Arts, Crafts &amp; Sewing", "Knitting"],
    "tech1": "",
    "description": ["Soft yarn.", "", "100% wool"],
    "fit": "",
    "title": "Yarn &amp; Needles",
    "also_buy": [],
    "brand": "Lion",
    "feature": ["warm"],
    "rank": "3,780,065 in Arts",
    "details": {},
    "main_cat": "Arts",
    "price": "$7.50",
    "asin": "5120053084",
}
REVIEW_2023 = {
    "rating": 3.0,
    "title": "Such a scent",
    "text": "This spray is really nice.",
    "images": [],
    "asin": "B00YQ6X8EO",
    "parent_asin": "B00PARENT0",
    "user_id": "AGKHLEW2SOWHNMFQIJGBECAF7INQ",
    "timestamp": 1588687728923,
    "helpful_vote": 0,
    "verified_purchase": True,
}
PRODUCT_2023 = {
    "main_category": "All Beauty",
    "title": "Herbivore Spray",
    "average_rating": 4.8,
    "rating_number": 10,
    "features": [],
    "description": ["If given", "the choice"],
    "price": None,
    "images": [{"thumb": "t", "large": "l", "variant": "MAIN", "hi_res": None}],
    "videos": [],
    "store": "Howard Products",
    "categories": ["Beauty", "Hair"],
    "details": {"Package Dimensions": "7 inches"},
    "parent_asin": "B00PARENT0",
    "bought_together": None,
}
BY_YEAR = {
    2014: (EDITION_2014, REVIEW_2014, PRODUCT_2014),
    2018: (EDITION_2018, REVIEW_2018, PRODUCT_2018),
    2023: (EDITION_2023, REVIEW_2023, PRODUCT_2023),
}


def _lines(rows: list[Any], year: int) -> bytes:
    """As the edition writes metadata: Python's own spelling in 2014."""
    write = repr if year == 2014 else json.dumps
    return "".join(row if isinstance(row, str) else f"{write(row)}\n" for row in rows).encode()


def _read(folder: Path, year: int, reviews: list[Any], products: list[Any], with_reviews: bool = True) -> Interactions:
    (folder / "reviews.json").write_bytes(_lines(reviews, 2018))
    (folder / "meta.json.gz").write_bytes(gzip.compress(_lines(products, year)))
    return read_amazon(folder / "reviews.json", folder / "meta.json.gz", BY_YEAR[year][0], with_reviews)


@pytest.mark.parametrize("year", BY_YEAR)
def test_each_edition_in_its_own_words(tmp_path: Path, year: int) -> None:
    edition, review, product = BY_YEAR[year]
    other = review | {edition.item: "B0OTHER000", edition.rating: 1}
    found = _read(tmp_path, year, [review, other], [{edition.item: "B0NOBODY00"}, product, product | {"title": "x"}])
    expected = {
        2014: (5.0, 1252800000, "Girls' Ballet Tutu", 'The "Tutu"', "Sports & Outdoors, Other Sports, Dance", ""),
        2018: (4.0, 1514764800, "Yarn & Needles", "Lion", "Arts, Crafts & Sewing, Knitting", "Soft yarn., 100% wool"),
        2023: (3.0, 1588687728.923, "Herbivore Spray", "Howard Products", "Beauty, Hair", "If given, the choice"),
    }[year]
    assert found.users_E.tolist() == [0, 0]
    assert found.items_E.tolist() == [0, 1]
    assert found.item_keys == [product[edition.item], "B0OTHER000"]  # what nobody reviewed is no item
    assert found.ratings_E is not None
    assert found.ratings_E.tolist() == [expected[0], 1.0]
    assert found.times_E is not None
    assert found.times_E[0] == pytest.approx(expected[1], abs=1e-6)
    names = ("title", "brand", "categories", "description")
    assert found.attributes == {name: [text, ""] for name, text in zip(names, expected[2:], strict=True)}
    assert found.notes_E is not None
    assert found.notes_E[0] == ". ".join(review[name] for name in edition.review)


def test_reviews_texts_are_left_where_nobody_wants_them(tmp_path: Path) -> None:
    assert _read(tmp_path, 2018, [REVIEW_2018], [PRODUCT_2018], with_reviews=False).notes_E is None


def test_metadata_of_2014_may_be_json_too(tmp_path: Path) -> None:
    found = _read(tmp_path, 2014, [REVIEW_2014], [json.dumps(PRODUCT_2014) + "\n"])
    assert found.attributes["title"] == ["Girls' Ballet Tutu"]


def test_a_scrap_of_a_page_is_no_title(tmp_path: Path) -> None:
    product = PRODUCT_2018 | {"title": "var aPageStart = (new Date()).getTime();"}
    assert _read(tmp_path, 2018, [REVIEW_2018], [product]).attributes["title"] == [""]


@pytest.mark.parametrize(
    ("year", "review", "product", "message"),
    [
        (2018, {"reviewerID": None}, {}, "reviews.json:2 reviewerID must be a name, got None"),
        (2018, {"asin": ""}, {}, "reviews.json:2 asin must be a name, got ''"),
        (2018, {"overall": "good"}, {}, "reviews.json:2 overall must be a finite number, got 'good'"),
        (2023, {"timestamp": None}, {}, "reviews.json:2 timestamp must be a finite number, got None"),
        (2018, {"summary": {"a": 1}}, {}, "reviews.json:2 summary must be text or a list of texts, got {'a': 1}"),
        (2018, {}, {"asin": None}, "meta.json.gz:2 asin must be a name, got None"),
        (2014, {}, {"title": {(1, 2): 1}}, "meta.json.gz:2 title must be text or a list of texts, got {(1, 2): 1}"),
        (2018, {}, {"brand": True}, "meta.json.gz:2 brand must be text or a list of texts, got True"),
        (2014, {}, {"categories": [[[[["a"]]]]]}, "meta.json.gz:2 categories must be text"),
        (2018, {}, {"brand": "\ud800"}, "meta.json.gz:2 brand must be valid Unicode"),
    ],
)
def test_a_broken_line_is_named(
    tmp_path: Path, year: int, review: dict[str, Any], product: dict[str, Any], message: str
) -> None:
    edition, good_review, good_product = BY_YEAR[year]
    reviews = [good_review | {edition.item: "B0OTHER000"}, good_review | review]
    with pytest.raises(DataError) as caught:
        _read(tmp_path, year, reviews, [good_product | {edition.item: "B0NOBODY00"}, good_product | product])
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        "{'asin': open('x')}\n",
        "{'asin': 'x'\n",
        "{'asin': 'x', **{}}\n",
        "{'a': " + "[" * 5000 + "\n",
        "{'a': " + "-" * 20_000 + "1}\n",
        "{'a': {[]: 1}}\n",
        "{'a': 1, 'b': set()}x\n",
    ],
)
def test_a_python_dictionary_is_never_run(tmp_path: Path, line: str) -> None:
    with pytest.raises(DataError, match=r"meta\.json\.gz:1 must hold a JSON object or a Python dictionary"):
        _read(tmp_path, 2014, [REVIEW_2014], [line])


def test_a_python_dictionary_has_a_longest_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(amazon, "LONGEST_LITERAL", 20)
    with pytest.raises(DataError, match="a Python dictionary may have 20 characters at most"):
        _read(tmp_path, 2014, [REVIEW_2014], [PRODUCT_2014])


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_damage_gives_data_errors_only(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    year = data.draw(st.sampled_from(sorted(BY_YEAR)))
    edition, review, product = BY_YEAR[year]
    contents = [_lines([review], 2018), _lines([product], year)]
    which = data.draw(st.integers(0, 1))
    start = data.draw(st.integers(0, len(contents[which])))
    noise = data.draw(st.sampled_from([b"", b"\n", b"\\", b"'", b'"', b"{", b"\0", b"\xff", b"[", b"lambda"]))
    contents[which] = contents[which][:start] + noise + contents[which][start + data.draw(st.integers(0, 8)) :]
    folder = tmp_path_factory.mktemp("damage")
    (folder / "reviews.json").write_bytes(contents[0])
    (folder / "meta.json").write_bytes(contents[1])
    with contextlib.suppress(DataError):
        found = read_amazon(folder / "reviews.json", folder / "meta.json", edition, True)
        assert len(found.users_E) == len(found.items_E)


def test_a_category_is_prepared_with_the_papers_filters(assets: AssetSource, tmp_path: Path) -> None:
    """DARec's: no untitled items, no items with fewer than four interactions."""
    reviews = [
        REVIEW_2018 | {"reviewerID": f"U{user}", "asin": f"B{item}", "unixReviewTime": 1514764800 + 86400 * place}
        for user in range(4)
        for place, item in enumerate([4, 3, 2, 1, *([9] if user else [])])
    ]
    products = [
        PRODUCT_2018 | {"asin": f"B{item}", "title": "" if item == 1 else f"Yarn {item}"} for item in (1, 2, 3, 4)
    ]
    (tmp_path / "Prime_Pantry_5.json.gz").write_bytes(gzip.compress(_lines(reviews, 2018)))
    (tmp_path / "meta_Prime_Pantry.json").write_bytes(_lines(products, 2018))
    search = open_search(DataRequest("amazon-pantry-2018", {"folder": str(tmp_path)}), assets)
    assert (search.num_users, search.num_items) == (4, 3)
    assert sorted(search.keys) == ["B2", "B3", "B4"]
    assert [search.titles[item] for item in search.history(0)] == ["Yarn 4"]
    assert search.sentences[0] == "title Yarn 2 brand Lion categories Arts, Crafts & Sewing, Knitting"
    assert search.ratings.tolist() == [4.0] * 4
    assert search.times.tolist() == [1514764800] * 4


def test_requests_are_made_of_what_was_reviewed_before(assets: AssetSource, tmp_path: Path) -> None:
    """CRAMER's: rated four and better; title, brand, categories and review of the three interactions before."""
    reviews = [
        REVIEW_2023
        | {"parent_asin": f"B{place}", "timestamp": place * 1000, "rating": rating, "text": f"Text {place}."}
        for place, rating in enumerate([5, 4, 1, 5, 5])
    ]
    products = [PRODUCT_2023 | {"parent_asin": f"B{place}", "title": f"Spray {place}"} for place in range(5)]
    (tmp_path / "All_Beauty.jsonl").write_bytes(_lines(reviews, 2023))
    (tmp_path / "meta_All_Beauty.jsonl.gz").write_bytes(gzip.compress(_lines(products, 2023)))
    search = open_search(DataRequest("amazon-beauty-2023", {"folder": str(tmp_path)}), assets)
    said = [f"Spray {n}. Howard Products. Beauty, Hair. Such a scent. Text {n}." for n in range(2)]
    assert list(search.requests) == ["", said[0]]
    assert list(search.valid_requests_U) == ["\n".join(said)]
