"""What is fuzzed: everything that reads a file which a stranger may have written.

A target takes its files as bytes. It may return, and it may raise an error of `searchplat.errors`; anything else is a
bug. `run.py` in `tests/fuzz` runs them at length, `test_fuzz.py` briefly and with every input that ever broke one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fuzz_inputs import documents, files, packed
from hypothesis import strategies as st

from searchplat.assets.archive import extract
from searchplat.assets.convert import ML_100K_GENRES, ml_100k_to_atomic
from searchplat.errors import SearchplatError
from searchplat.spec import load_text
from searchplat.spec.document.strict_yaml import decode, read_file
from trials.data.preparing.filters import filtered
from trials.data.preparing.options import DataOptions, KuaiSAROptions, ReDialOptions
from trials.data.reading.amazon import EDITIONS, read_amazon
from trials.data.reading.atomic import read_atomic
from trials.data.reading.interactions import Interactions
from trials.data.reading.json_pair import read_json_pair
from trials.data.reading.kuaisar import read_kuaisar
from trials.data.reading.movielens import read_movielens_csv, read_movielens_dat
from trials.data.reading.redial import read_redial

Files = tuple[bytes, ...]


@dataclass(frozen=True)
class Target:
    """One reader.

    Args:
        valid: Small files that it accepts.
        read: Reads files that lie in a folder, given their names.
        inputs: What it is fed.
        names: How the files are called.
        share: Of all inputs.
    """

    valid: Files
    read: Callable[..., object]
    inputs: st.SearchStrategy[Files]
    names: tuple[str, ...]
    share: float = 1.0

    def feed(self, contents: Files, folder: Path) -> bool:
        """Whether the files were accepted; an error of ours is a refusal, and any other comes out."""
        paths = [folder / name for name in self.names]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        try:
            self.read(*paths)
        except SearchplatError:
            return False
        return True


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder in memory where there is one: a hundred thousand small files are not for a disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None, prefix="searchplat-fuzz-") as folder:
        yield Path(folder)


SPACE = b"""\
# the space of a search
method: darec
data: {name: ml-100k, min_length: 4}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2, backbone: random-llama}
search:
  layout: {type: layout, per_layer: [causal, context, recommend], choices: [serial, parallel], at_most: {parallel: 6}}
  lambda_align: {type: float, low: 1.0e-3, high: 1, log: true}
  batch_size: {type: int, low: 16, high: 64, step: 16}
stages:
  - {name: layout, over: [layout], searcher: {name: pr}, trials: 3, data_fraction: 0.2}
  - {name: weights, over: [lambda_align, batch_size], searcher: {name: tpe}, trials: 2, from: {stage: layout, top: 1}}
controls: [{name: default}, {name: chance, random: true, trials: 2}]
scheduler: {name: asha, grace: 1, reduction: 3}
resources: {cpu: 1, gpu: auto, timeout_s: 600}
promotion: {top: 2, seeds: 2, test: [mrr, "recall@10"]}
seed: 0x10
"""
SMALL_SPACE = b"""\
method: mf
data: {name: toy}
objective: [{metric: valid/mrr, direction: maximize}]
search:
  width: {type: categorical, choices: [8, 16]}
  weight_decay: {type: float, low: 0.0, high: 0.5, when: {width: 8}}
trials: 3
searcher: {name: random}
default_scale: smoke
scales: {smoke: {trials: 2, fixed: {epochs: 1}}, paper: {fixed: {epochs: 30}}}
"""


def _space(path: Path) -> None:
    load_text(decode(path.read_bytes(), "space.yaml"), "space.yaml")


def _yaml(path: Path) -> None:
    read_file(decode(path.read_bytes(), "space.yaml"), "space.yaml").plain()


def _override(path: Path) -> None:
    text = SMALL_SPACE.partition(b"default_scale")[0].decode()
    load_text(text, "space.yaml", overrides=[path.read_bytes().decode("utf-8", "surrogateescape")])


def _filtered(read: Callable[..., Interactions]) -> Callable[..., object]:
    """A reader and what comes right after it."""

    def read_and_filter(*paths: Path) -> object:
        return filtered(read(*paths), DataOptions(min_length=3), "fuzzed")

    return read_and_filter


ATOMIC = (
    b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    b"196\t242\t3\t881250949\n186\t302\t3\t891717742\n196\t302\t4\t881250940\n196\t1\t5\t881250941\n",
    b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    b'242\tKolya "K"\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir\n1\tToy Story\t1995\t\n',
)
JSON_PAIR = (
    b'{"0": [0, 1, "x"], "1": [], "A2": ["x", 1]}',
    b'{"0": {"title": "Relay", "brand": "S, Inc.", "rank": 3}, "1": {"title": "Staples", "categories": ["a", "b"]}}',
)
CSV = (
    b"userId,movieId,rating,timestamp\r\n1,31,2.5,1260759144\r\n1,1029,3.0,1260759179\r\n1,3,4.0,835355493\r\n",
    b"movieId,title,genres\r\n31,Dangerous Minds (1995),Drama\r\n"
    b'1029,"Dumbo, the ""Elephant"" (1941)",Animation|Children\r\n143410,Hyena Road,(no genres listed)\r\n',
)
DAT = (
    b"1::1193::5::978300760\n1::661::3::978302109\n1::2::4::978298413\n",
    "661::James and the Giant Peach (1996)::Animation|Children's\n1193::Misérables, Les (1995)::Drama\n".encode(
        "latin-1"
    ),
)


def _rows(*rows: object, write: Callable[[object], str] = json.dumps) -> bytes:
    return "".join(f"{write(row)}\n" for row in rows).encode()


def _amazon(year: int) -> Files:
    edition = EDITIONS[year]
    title, body = edition.review
    reviews = [
        {edition.user: "A1", edition.item: item, edition.rating: 4.0, edition.time: 1500000000 + place, title: "good",
         body: "very &quot;good&quot;"}
        for place, item in enumerate(("B1", "B2", "B3"))
    ]  # fmt: skip
    theirs = edition.attributes
    products = [
        {edition.item: item, theirs["title"]: f"Yarn &amp; {item}", theirs["brand"]: "Lion", "price": None,
         theirs["categories"]: [["Arts", "Yarn"]], theirs["description"]: ["soft", "warm"]}
        for item in ("B1", "B2")
    ]  # fmt: skip
    return _rows(*reviews), _rows(*products, write=repr if year == 2014 else json.dumps)


REDIAL = (
    _rows(
        {
            "movieMentions": {"111": "Heat (1995)", "222": None},
            "messages": [{"text": "@222 I like, &quot;more&quot;"}, {"text": "Seen @333 or @111?"}, {"text": "@444"}],
            "initiatorQuestions": {"222": {"liked": 1}, "333": {"liked": 1}, "111": {"liked": 0}, "444": {"liked": 1}},
            "respondentQuestions": [],
            "conversationId": "7",
        }
    ),
    b'movieId,movieName,nbMentions\r\n111,Heat  (1995),3\r\n222,"Good, the Bad (1966)",9\r\n'
    b"333,Okja,1\r\n444,Up (2009),2\r\n",
    json.dumps(
        {"111": {"name": "Heat (1995)", "genre": ["crime"], "plot": "Thieves.", "director": [], "star": []}}
    ).encode(),
)
_LEVELS = ",".join(
    f"{n}_level_category_{w}" for n in ("first", "second", "third", "fourth") for w in ("id", "name", "name_en")
)
KUAISAR = (
    b"user_id,item_id,playing_time,duration_ms,time,timestamp,click,forward\n"
    b"1,10,60792.0,45400.0,2023-05-22 15:53:20,1684742000000.0,1,0\n"
    b"1,11,792.0,45400.0,2023-05-22 15:53:20,1.684742e+12,1,0\n1,12,2.0,4.0,t,1684742001500,1,0\n",
    b"user_id,search_session_id,search_session_time,search_session_timestamp,keyword,search_source,item_id,click_cnt,item_type\n"
    b'1,1,2023-05-22 21:58:52,1684763932919,"[20, 34, 3]",USER_INPUT,12,2,VIDEO\n',
    f"item_id,caption,author_id,item_type,upload_time,upload_type,{_LEVELS}\n"
    '10,"[1, 213, 24]",5,NORMAL,2023-04-22,Long,9,搞笑,Funny,136,搞笑段子,Funny joke,0,空,empty,0,空,empty\n'.encode(),
)
GROUPLENS = (
    b"196\t242\t3\t881250949\n",
    (
        "242|Kolya (1996)|24-Jan-1997||http://x|"
        + "|".join("1" if n < 2 else "0" for n in range(len(ML_100K_GENRES)))
        + "\n"
    ).encode("latin-1"),
)


def _redial(dialogues: Path, films: Path, info: Path) -> Interactions:
    return read_redial([dialogues], films, info, ReDialOptions())


def _grouplens(data: Path, item: Path) -> None:
    ml_100k_to_atomic(data.parent)


def _zip(path: Path) -> None:
    extract(path, {"top/a.txt": "a.txt", "b.txt": "sub/b.txt"}, path.parent / "out", 4096)


def _archive() -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("top/a.txt", "alpha " * 40)
        made.writestr("b.txt", "beta")
    return buffer.getvalue()


def _plain(
    valid: Files, read: Callable[..., object], names: tuple[str, ...] | None = None, share: float = 1.0
) -> Target:
    return Target(valid, read, files(valid), names or tuple(f"file-{n}" for n in range(len(valid))), share)


def _packed(valid: Files, read: Callable[..., object], share: float = 1.0) -> Target:
    return Target(valid, read, packed(valid), tuple(f"file-{n}.gz" for n in range(len(valid))), share)


def _amazon_reader(year: int) -> Callable[..., object]:
    return _filtered(partial(read_amazon, edition=EDITIONS[year], with_reviews=True))


def _zipped(valid: Files) -> Files:
    import gzip

    return tuple(gzip.compress(data, mtime=0) for data in valid)


TARGETS: dict[str, Target] = {
    "yaml": _plain((SPACE,), _yaml, share=3.0),
    "space": _plain((SPACE,), _space, share=1.0),
    "small-space": _plain((SMALL_SPACE,), _space, share=1.0),
    "override": _plain((b"search.width.choices=[8, 16, 32]",), _override, share=0.5),
    "atomic": _plain(ATOMIC, _filtered(read_atomic)),
    "json-pair": _plain(JSON_PAIR, _filtered(read_json_pair)),
    "movielens-csv": _plain(CSV, _filtered(read_movielens_csv)),
    "movielens-dat": _plain(DAT, _filtered(read_movielens_dat)),
    "amazon-2014": _plain(_amazon(2014), _amazon_reader(2014)),
    "amazon-2018": _plain(_amazon(2018), _amazon_reader(2018)),
    "amazon-2023": _plain(_amazon(2023), _amazon_reader(2023)),
    "amazon-packed": _packed(_amazon(2014), _amazon_reader(2014)),
    "redial": _plain(REDIAL, _filtered(_redial)),
    "kuaisar": _plain(KUAISAR, _filtered(partial(read_kuaisar, options=KuaiSAROptions()))),
    "kuaisar-packed": _packed(KUAISAR, _filtered(partial(read_kuaisar, options=KuaiSAROptions()))),
    "grouplens": _plain(GROUPLENS, _grouplens, ("u.data", "u.item"), share=0.5),
    "zip": _plain((_archive(),), _zip, share=0.5),
}
"""By name."""


def _spaces() -> tuple[str, ...]:
    return tuple(json.dumps(read_file(text.decode(), "space.yaml").plain()) for text in (SPACE, SMALL_SPACE))


def _lines_of(files: Files, one: int, read: Callable[..., object]) -> tuple[tuple[str, ...], Callable[..., object]]:
    """The objects of file `one`, and a reader of such an object in its place, beside the other files."""

    def read_one(path: Path) -> object:
        paths = [path.with_name(f"beside-{n}") for n in range(len(files))]
        for n, (other, content) in enumerate(zip(paths, files, strict=True)):
            other.write_bytes(path.read_bytes() + b"\n" if n == one else content)
        return read(*paths)

    return tuple(files[one].decode().splitlines()), read_one


def _documents(valid: tuple[str, ...], read: Callable[..., object], share: float = 1.0) -> Target:
    return Target((valid[0].encode(),), read, documents(valid), ("document",), share)


TARGETS["space-values"] = _documents(_spaces(), _space, share=1.0)
TARGETS["redial-values"] = _documents(*_lines_of(REDIAL, 0, _filtered(_redial)), share=0.5)
TARGETS["redial-films"] = _documents(*_lines_of(REDIAL, 2, _filtered(_redial)), share=0.5)
TARGETS["review-values"] = _documents(
    *_lines_of(_amazon(2018), 0, partial(read_amazon, edition=EDITIONS[2018], with_reviews=True)), share=0.5
)
TARGETS["product-values"] = _documents(*_lines_of(_amazon(2018), 1, _amazon_reader(2018)), share=0.5)


def valid_inputs(target: Target) -> Files:
    """The target's own files, packed where it reads packed ones."""
    return _zipped(target.valid) if target.names[0].endswith(".gz") else target.valid


def counts(inputs: int) -> dict[str, int]:
    """How many of `inputs` each target gets; together at least as many."""
    whole = sum(target.share for target in TARGETS.values())
    return {name: -(-inputs * round(target.share * 100) // round(whole * 100)) for name, target in TARGETS.items()}
