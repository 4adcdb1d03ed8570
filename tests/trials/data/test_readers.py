"""Readers on small files in exactly the published formats, and on damaged ones: only DataError comes out."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from searchplat.errors import DataError
from trials.data.preparing.filters import in_order
from trials.data.reading.atomic import read_atomic
from trials.data.reading.interactions import Interactions
from trials.data.reading.json_pair import read_json_pair
from trials.data.reading.movielens import read_movielens_csv, read_movielens_dat

ATOMIC = (
    b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t302\t4\t881250940\n",
    b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    b'242\tKolya "K"\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir\n1\tToy Story\t1995\t\n',
)
JSON = (
    b'{"0": [0, 1], "1": [], "A2": ["x", 1]}',
    b'{"0": {"title": "Relay", "brand": "S, Inc.", "rank": 3}, "1": {"title": "Staples", "categories": ["a", "b"]}}',
)
CSV = (
    b"userId,movieId,rating,timestamp\r\n1,31,2.5,1260759144\r\n1,1029,3.0,1260759179\r\n2,31,4.0,835355493\r\n",
    b"movieId,title,genres\r\n31,Dangerous Minds (1995),Drama\r\n"
    b'1029,"Dumbo, the ""Elephant"" (1941)",Animation|Children\r\n143410,Hyena Road,(no genres listed)\r\n',
)
DAT = (
    b"1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n",
    "661::James and the Giant Peach (1996)::Animation|Children's|Musical\n1193::Misérables, Les (1995)::Drama\n".encode(
        "latin-1"
    ),
)
READERS: dict[str, tuple[tuple[bytes, bytes], Callable[[Path, Path], Interactions]]] = {
    "atomic": (ATOMIC, read_atomic),
    "json": (JSON, read_json_pair),
    "csv": (CSV, read_movielens_csv),
    "dat": (DAT, read_movielens_dat),
}


def _read(folder: Path, reader: str, first: bytes | None = None, second: bytes | None = None) -> Interactions:
    contents, read = READERS[reader]
    paths = folder / "one", folder / "two"
    for path, content, other in zip(paths, contents, (first, second), strict=True):
        path.write_bytes(content if other is None else other)
    return read(*paths)


def _rows(found: Interactions) -> list[tuple[int, str]]:
    pairs = zip(found.users_E.tolist(), found.items_E.tolist(), strict=True)
    return [(user, found.item_keys[item]) for user, item in pairs]


def test_atomic(tmp_path: Path) -> None:
    found = _read(tmp_path, "atomic")
    assert _rows(found) == [(1, "242"), (0, "302"), (1, "302")]
    assert found.ratings_E is not None
    assert found.ratings_E.tolist() == [3, 3, 4]
    assert found.times_E is not None
    assert found.times_E.tolist() == [881250949, 891717742, 881250940]
    assert list(found.item_keys) == ["242", "302", "1"]
    assert found.attributes == {
        "movie_title": ['Kolya "K"', "L.A. Confidential", "Toy Story"],
        "release_year": ["1996", "1997", "1995"],
        "class": ["Comedy", "Crime Film-Noir", ""],
    }
    assert _rows(in_order(found)) == [(0, "302"), (1, "302"), (1, "242")]


def test_atomic_without_items_ratings_and_times(tmp_path: Path) -> None:
    path = tmp_path / "x.inter"
    path.write_bytes(b"item_id:token\tuser_id:token\nb\t1\na\t1\n")
    found = read_atomic(path)
    assert (found.ratings_E, found.times_E, found.attributes) == (None, None, {})
    assert _rows(found) == [(0, "b"), (0, "a")]


def test_json_pair(tmp_path: Path) -> None:
    found = _read(tmp_path, "json")
    assert _rows(found) == [(0, "0"), (0, "1"), (2, "x"), (2, "1")]
    assert list(found.item_keys) == ["0", "1", "x"]
    assert found.attributes["title"] == ["Relay", "Staples", ""]
    assert found.attributes["categories"] == ["", "a, b", ""]
    assert found.attributes["rank"] == ["3", "", ""]
    assert found.times_E is None


def test_movielens_csv(tmp_path: Path) -> None:
    found = _read(tmp_path, "csv")
    assert _rows(found) == [(0, "31"), (0, "1029"), (1, "31")]
    assert found.attributes == {
        "title": ["Dangerous Minds", 'Dumbo, the "Elephant"', "Hyena Road"],
        "year": ["1995", "1941", ""],
        "genres": ["Drama", "Animation Children", ""],
    }


def test_movielens_dat(tmp_path: Path) -> None:
    found = _read(tmp_path, "dat")
    assert _rows(found) == [(0, "1193"), (0, "661"), (1, "1193")]
    assert found.attributes["title"] == ["James and the Giant Peach", "Misérables, Les"]
    assert found.attributes["genres"] == ["Animation Children's Musical", "Drama"]
    assert found.ratings_E is not None
    assert found.ratings_E.tolist() == [5, 3, 4]


def test_movielens_of_10m_and_20m_in_half_stars(tmp_path: Path) -> None:
    """As ml-10M100K/ratings.dat and ml-20m/ratings.csv begin; 20M writes line ends of Windows, 10M does not."""
    dat = _read(tmp_path, "dat", b"1::122::5::838985046\n1::185::4.5::838983525\n", b"122::Boomerang (1992)::Comedy\n")
    csv = _read(
        tmp_path,
        "csv",
        b"userId,movieId,rating,timestamp\r\n1,2,3.5,1112486027\r\n1,29,0.5,1112484676\r\n",
        b'movieId,title,genres\r\n2,Jumanji (1995),Adventure|Children\r\n29,"City, The (1995)",IMAX\r\n',
    )
    assert dat.ratings_E is not None
    assert dat.ratings_E.tolist() == [5.0, 4.5]
    assert csv.ratings_E is not None
    assert csv.ratings_E.tolist() == [3.5, 0.5]
    assert csv.attributes["title"] == ["Jumanji", "City, The"]


def test_movielens_dat_of_10m_is_utf8(tmp_path: Path) -> None:
    movies = "1::Misérables, Les (1995)::Drama\n".encode()
    assert _read(tmp_path, "dat", b"1::1::5::978300760\n", movies).attributes["title"][0] == "Misérables, Les"


@pytest.mark.parametrize(
    ("reader", "first", "second", "message"),
    [
        ("atomic", b"user_id\titem_id:token\n", None, "one:1 field 1 must be name:type"),
        ("atomic", b"user_id:token\trating:float\n", None, "one:1 must have the columns user_id, item_id"),
        ("atomic", b"user_id:token\titem_id:token\titem_id:token\n", None, "one:1 column 'item_id' must occur once"),
        ("atomic", ATOMIC[0] + b"1\t2\t3\n", None, "one:5 must have 4 fields"),
        ("atomic", ATOMIC[0] + b"1\t2\tgood\t4\n", None, "one:5 field 3 must be a finite number, got 'good'"),
        ("atomic", None, ATOMIC[1] + b"242\tx\ty\tz\n", "two:5 item '242' must stand in one line only"),
        ("json", b'{"0": [1,\n 2', None, "one:2 must be JSON"),
        ("json", b"[1]", None, "got list"),
        ("json", b'{"0": 1}', None, "user '0' must have a list of items, got int"),
        ("json", b'{"0": [true]}', None, "user '0' must list items by number or name, got True"),
        ("json", b'{"0": [1], "0": [2]}', None, "key '0' must occur once"),
        ("json", b'{"0": [' + b"[" * 100_000, None, "one"),
        ("json", None, b'{"0": {"title": NaN}}', "NaN is not a JSON number"),
        ("json", None, b'{"0": {"title": "\\ud800"}}', "must be valid Unicode"),
        ("json", None, b'{"0": {"title": {"a": 1}}}', "item '0' attribute 'title' must be text, got dict"),
        ("json", None, b'{"0": "title"}', "item '0' must have an object of attributes, got str"),
        ("csv", b"userId,movieId,rating\n", None, "one:1 header must be"),
        ("csv", CSV[0] + b"1,2,x,4\n", None, "one:5 field 3 must be a finite number, got 'x'"),
        ("csv", None, CSV[1] + b'9,"open\n', "two:5"),
        ("csv", None, CSV[1] + b"31,Again (1995),Drama\n", "two:5 movie id must occur once, got '31', as "),
        ("csv", None, b"movieId,title\n", "two:1 header must be 'movieId,title,genres'"),
        ("dat", b"1::2::3\n", None, "one:1 must have 4 fields"),
        ("dat", None, DAT[1] + b"7::Se7en (1995)\n", "two:3 must have the 3 fields id, title and genres, got 2"),
    ],
)
def test_a_broken_file_names_place_and_rule(
    tmp_path: Path, reader: str, first: bytes | None, second: bytes | None, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path, reader, first, second)
    assert message in str(caught.value)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_damage_gives_data_errors_only(
    tmp_path_factory: pytest.TempPathFactory, reader: str, data: st.DataObject
) -> None:
    """Cut, insert or overwrite somewhere; the file is read or refused, never anything else."""
    noise = data.draw(
        st.sampled_from([b"", b'"', b"\n", b"\t", b",", b"::", b"\0", b"\xff", b"\r", b"1e999", b"{", b"]"])
    )
    noise += data.draw(st.binary(max_size=3))
    contents = list(READERS[reader][0])
    which = data.draw(st.integers(0, 1))
    start = data.draw(st.integers(0, len(contents[which])))
    stop = data.draw(st.integers(start, min(len(contents[which]), start + 8)))
    contents[which] = contents[which][:start] + noise + contents[which][stop:]
    with contextlib.suppress(DataError):
        found = _read(tmp_path_factory.mktemp("damage"), reader, *contents)
        assert len(found.users_E) == len(found.items_E)
        assert all(len(column) == found.num_items for column in found.attributes.values())


@given(
    content=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    )
)
def test_any_json_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    data = json.dumps(content).encode()
    for first, second in ((data, None), (None, data)):
        with contextlib.suppress(DataError):
            _read(tmp_path_factory.mktemp("json"), "json", first, second)
