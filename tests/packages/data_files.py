"""Small well-formed files of every format that there is a reader for, and ways to break them.

A broken file may be read as the same data, refused with its name and line, or read with a warning; see
`tests/trials/data/test_broken_files.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzz_targets import KUAISAR, REDIAL, Files

from trials.data.preparing.options import KuaiSAROptions, ReDialOptions
from trials.data.reading.amazon import EDITIONS, read_amazon
from trials.data.reading.atomic import read_atomic
from trials.data.reading.interactions import Interactions
from trials.data.reading.joined import looked_over
from trials.data.reading.json_pair import read_json_pair
from trials.data.reading.kuaisar import read_kuaisar
from trials.data.reading.movielens import read_movielens_csv, read_movielens_dat
from trials.data.reading.redial import read_redial

Break = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Format:
    """One format.

    Args:
        names: Of its files.
        files: Their contents: UTF-8 with a character beyond ASCII in each that can have one.
        read: Reads them, given their paths.
        item: An item's id, which stands in the first file and in another one.
        numbers: Ratings and times of the first file, as they are written there.
    """

    names: tuple[str, ...]
    files: Files
    read: Callable[..., Interactions]
    item: bytes
    numbers: tuple[bytes, ...] = ()

    def load(self, contents: Files, folder: Path) -> Interactions:
        """What a data set of this format makes of the files."""
        paths = [folder / name for name in self.names]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        return looked_over(self.read(*paths), paths)


_json = partial(json.dumps, ensure_ascii=False)


def _rows(*rows: object, write: Callable[[object], str] = _json) -> bytes:
    return "".join(f"{write(row)}\n" for row in rows).encode()


def _amazon(year: int) -> Format:
    edition = EDITIONS[year]
    title, body = edition.review
    reviews = [
        {edition.user: user, edition.item: item, edition.rating: 4.0, edition.time: 1500000000 + place,
         title: "très bon", body: "very good"}
        for user in ("7", "8") for place, item in enumerate(("111", "222", "333"))
    ]  # fmt: skip
    titles = {"111": "Café", "222": "Thé", "333": "Crème"}
    products = [{edition.item: item, edition.attributes["title"]: title} for item, title in titles.items()]
    files = _rows(*reviews), _rows(*products, write=repr) if year == 2014 else _rows(*products)
    read = partial(read_amazon, edition=edition, with_reviews=True)
    return Format(("reviews.json", "meta.json"), files, read, b"111", (b"4.0", b"1500000001"))


def _redial(dialogues: Path, films: Path, info: Path) -> Interactions:
    return read_redial([dialogues], films, info, ReDialOptions(mentions="all"))


FORMATS: dict[str, Format] = {
    "atomic": Format(
        ("x.inter", "x.item"),
        (
            b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
            b"196\t242\t3.5\t881250949\n186\t302\t5\t891717742\n196\t302\t4\t881250940\n196\t1\t2\t881250941\n",
            b"item_id:token\tmovie_title:token_seq\trelease_year:token\n"
            b"242\tKolya \xc3\xa9\t1996\n302\tL.A.\t1997\n1\tToy\t1995\n",
        ),
        read_atomic,
        b"242",
        (b"3.5", b"881250940"),
    ),
    "json-pair": Format(
        ("x.inter.json", "x.item.json"),
        (
            '{"0": ["11", "12", "é"], "1": ["11"], "2": ["13", "11"]}'.encode(),
            '{"11": {"title": "Relayé", "brand": "S, Inc."}, "12": {"title": "Pins"}, "13": {}, "é": {}}'.encode(),
        ),
        read_json_pair,
        b'"11"',
    ),
    "csv": Format(
        ("ratings.csv", "movies.csv"),
        (
            b"userId,movieId,rating,timestamp\n1,31,2.5,1260759144\n1,1029,3.0,1260759179\n2,31,4.0,835355493\n",
            b"movieId,title,genres\n31,Mis\xc3\xa9rables (1995),Drama\n"
            b'1029,"Dumbo, the ""Elephant"" (1941)",Animation\n',
        ),
        read_movielens_csv,
        b"31",
        (b"2.5", b"835355493"),
    ),
    "dat": Format(
        ("ratings.dat", "movies.dat"),
        (
            b"1::1193::5::978300760\n1::661::3::978302109\n2::1193::4::978298413\n",
            "661::Jämes (1996)::Animation\n1193::Misérables, Les (1995)::Drama\n".encode(),
        ),
        read_movielens_dat,
        b"1193",
        (b"5", b"978298413"),
    ),
    "amazon-2014": _amazon(2014),
    "amazon-2018": _amazon(2018),
    "amazon-2023": _amazon(2023),
    "redial": Format(("train.jsonl", "films.csv", "info.json"), REDIAL, _redial, b"111"),
    "kuaisar": Format(
        ("rec.csv", "src.csv", "items.csv"),
        (
            KUAISAR[0],
            KUAISAR[1],
            KUAISAR[2] + b'12,"[4]",5,NORMAL,x,Long,9,x,y,1,x,y,0,x,empty,0,x,empty\n'
            b'11,"[5]",5,NORMAL,x,Long,9,x,y,1,x,y,0,x,empty,0,x,empty\n',
        ),
        partial(read_kuaisar, options=KuaiSAROptions()),
        b"10",
        (b"1684742001500",),
    ),
}
"""By name."""

MARK = b"\xef\xbb\xbf"
_HEADERS = (b"user_id", b"userId", b"movieId", b"item_id")


def _middle(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """One line from the middle changed."""
    lines = data.splitlines(keepends=True)
    at = len(lines) // 2
    return b"".join([*lines[:at], change(lines[at]), *lines[at + 1 :]])


def _utf16(codec: str, mark: bytes = b"") -> Break:
    return lambda data: mark + data.decode("utf-8").encode(codec)


ANYWHERE: dict[str, Break] = {
    "a mark": lambda data: MARK + data,
    "line ends of Windows": lambda data: data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "line ends of Unix": lambda data: data.replace(b"\r\n", b"\n"),
    "line ends of old Macs": lambda data: data.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "one carriage return": lambda data: _middle(data, lambda line: line[:3] + b"\r" + line[3:]),
    "no line end at the end": lambda data: data.rstrip(b"\r\n"),
    "a carriage return at the end": lambda data: data.rstrip(b"\r\n") + b"\r",
    "UTF-16 with a mark, low byte first": _utf16("utf-16-le", b"\xff\xfe"),
    "UTF-16 with a mark, high byte first": _utf16("utf-16-be", b"\xfe\xff"),
    "UTF-16 without a mark": _utf16("utf-16-le"),
    "UTF-32": _utf16("utf-32"),
    "Latin-1": lambda data: data.decode("utf-8").encode("latin-1", "replace"),
    "Windows' quotes": lambda data: _middle(data, lambda line: line[:-6] + b"\x93" + line[-6:]),
    "a damaged character": lambda data: data.replace(b"\xc3", b"\xff", 1),
    "NUL": lambda data: _middle(data, lambda line: line[:2] + b"\0" + line[2:]),
    "NUL at the end": lambda data: data + b"\0" * 8,
    "a mark in the middle": lambda data: _middle(data, lambda line: MARK + line),
    "two marks": lambda data: MARK + MARK + data,
    "nothing": lambda data: b"",
    "line ends alone": lambda data: b"\n\n",
    "an empty line": lambda data: _middle(data, lambda line: b"\n" + line),
    "an empty line at the end": lambda data: data + b"\n",
    "blanks in a line": lambda data: _middle(data, lambda line: b"   \n" + line),
    "a line twice": lambda data: _middle(data, lambda line: line.rstrip(b"\r\n") + b"\n" + line),
    "all of it twice": lambda data: data.rstrip(b"\r\n") + b"\n" + data,
    "the header gone": lambda data: data.partition(b"\n")[2] if data.startswith(_HEADERS) else data,
    "the end of a line cut off": lambda data: _middle(data, lambda line: line[: len(line) // 2]),
    "a quote": lambda data: _middle(data, lambda line: line[:1] + b'"' + line[1:]),
    "a page of HTML": lambda data: b"<!DOCTYPE html>\n<html><body>404</body></html>\n",
}
"""What may happen to any file of any format."""

IDS: dict[str, Callable[[bytes], bytes]] = {
    "with a point": lambda name: name + b".0",
    "with only the point": lambda name: name + b".",
    "with a zero before it": lambda name: b"0" + name,
    "with a plus": lambda name: b"+" + name,
    "with a blank before it": lambda name: b" " + name,
    "with a blank behind it": lambda name: name + b" ",
    "with a blank that does not break": lambda name: name + b"\xc2\xa0",
    "with nothing of no width": lambda name: name + b"\xe2\x80\x8b",
    "with a mark": lambda name: MARK + name,
    "in quotes": lambda name: b"'" + name + b"'",
    "in wide figures": lambda name: bytes(name).decode().translate({n: n + 0xFEE0 for n in range(48, 58)}).encode(),
}
"""Other ways to write an item's id."""

NUMBERS = (
    b"nan",
    b"NaN",
    b"inf",
    b"-inf",
    b"-1",
    b"-0.5",
    b"1e30",
    b"1e999",
    b"9" * 400,
    b"",
    b"five",
    b"1_0",
    b"0x10",
    b"--1",
)
"""What is no rating and no time."""


def rewrite_id(data: bytes, item: bytes, change: Callable[[bytes], bytes], last: bool = False) -> bytes | None:
    """The file with one place at which the item is named changed; None if it is not named there."""
    quoted = item.startswith(b'"')
    pattern = re.escape(item) if quoted else rb"(?<![\w.@\[])" + re.escape(item) + rb"(?![\w.\]])"
    found = list(re.finditer(pattern, data))
    if not found:
        return None
    at = found[-1 if last else 0]
    new = b'"' + change(item.strip(b'"')) + b'"' if quoted else change(item)
    return data[: at.start()] + new + data[at.end() :]
