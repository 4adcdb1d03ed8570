"""What fuzzing feeds: valid small files with a few bytes changed, cut, doubled or put in, and files of chance alone."""

from __future__ import annotations

import copy
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

WORDS = (
    *(b"\x00", b"\r", b"\n", b"\r\n", b"\t", b" ", b",", b"::", b'"', b"'", b"\\", b"{", b"}", b"[", b"]", b":", b"-"),
    *(b"nan", b"NaN", b"inf", b"-Infinity", b"1e999", b"-1", b"0", b"1e-3", b"9" * 25, b"9" * 400, b"null", b"true"),
    *(
        b"\xff",
        b"\xc3\x28",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\\ud800",
        b"\\u0000",
        b"&amp;",
        b"\x1b[31m",
        b"__class__",
    ),
    *(b"&a ", b"*a", b"!!python/object/apply:os.system", b"<<: ", b"? ", b"- ", b"|", b">", b"#", b"%YAML 1.1", b"---"),
    *(b"[" * 60, b"{'a':" * 60, b"(" * 60, b"=cmd|' /C calc'!A0", b"../../etc/passwd", b"<script>"),
)
"""Scraps at which parsers stumble."""

Change = tuple[int, int, int, int]
"""Kind, place, length and what to put in; places and scraps are taken modulo what there is."""

_changes = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1 << 16), st.integers(0, 64), st.integers(0, 1 << 16)),
    min_size=1,
    max_size=6,
)


def changed(data: bytes, changes: Sequence[Change]) -> bytes:
    """`data` after the changes, one after the other."""
    for kind, place, length, what in changes:
        at = place % (len(data) + 1)
        end = min(len(data), at + length)
        match kind:
            case 0:  # put a scrap in
                data = data[:at] + WORDS[what % len(WORDS)] + data[at:]
            case 1:  # put a scrap in the place of something
                data = data[:at] + WORDS[what % len(WORDS)] + data[end:]
            case 2:  # leave out
                data = data[:at] + data[end:]
            case 3:  # another byte
                data = data[:at] + bytes([what % 256]) + data[at + 1 :]
            case 4:  # double
                data = data[:end] + data[at:end] + data[end:]
            case 5:  # break off
                data = data[:at]
            case _:  # move
                other = what % (len(data) + 1)
                part = data[at:end]
                rest = data[:at] + data[end:]
                data = rest[:other] + part + rest[other:]
    return data


def files(valid: tuple[bytes, ...]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """The valid files, with one of them changed, or made of chance."""

    def one(index: int) -> st.SearchStrategy[tuple[bytes, ...]]:
        hostile = st.one_of(
            _changes.map(lambda changes: changed(valid[index], changes)),
            _changes.map(lambda changes: changed(valid[index], changes)),  # most of them
            st.binary(max_size=200),
        )
        return hostile.map(lambda data: (*valid[:index], data, *valid[index + 1 :]))

    return st.integers(0, len(valid) - 1).flatmap(one)


def packed(valid: tuple[bytes, ...]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Files as gzip: whole ones of changed content, and changed, cut or glued ones of valid content."""
    inner = files(valid).map(lambda found: tuple(gzip.compress(data, 1, mtime=0) for data in found))
    zipped = tuple(gzip.compress(data, 1, mtime=0) for data in valid)
    zeros = gzip.compress(bytes(1 << 16), 9, mtime=0)
    bare = tuple(zlib.compress(data) for data in valid)
    odd = st.sampled_from(
        [(zeros, *zipped[1:]), (zipped[0] + zipped[0], *zipped[1:]), (zipped[0] + b"x", *zipped[1:]), bare]
    )
    return st.one_of(inner, files(zipped), odd)


_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.sampled_from([0, 1, -1, 1 << 63, 10**30]),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["", "a", "name", "layout", "x\x1b[31m", "=1+1", "../x", "module:attribute", "\ud800", "1e-3", "on"]
    ),
)
_anything = st.one_of(
    _scalars,
    st.recursive(
        _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
)


def documents(valid: tuple[str, ...]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """JSON documents, one a line, in which up to three values were replaced, removed, doubled or renamed."""
    trees = [json.loads(text) for text in valid]

    def one(which: int, edits: list[tuple[int, int, Any]]) -> tuple[bytes, ...]:
        tree = copy.deepcopy(trees[which])
        for kind, place, value in edits:
            inner = list(_containers(tree))
            container, key = inner[place % len(inner)]
            match kind:
                case 0 | 1:
                    container[key] = value
                case 2:
                    del container[key]
                case 3 if isinstance(container, list):
                    container.append(copy.deepcopy(container[key]))
                case _ if isinstance(container, dict):
                    container[str(value)[:20]] = container.pop(key)
            if not any(True for _ in _containers(tree)):
                break
        return (json.dumps(tree).encode(),)

    edits = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1 << 16), _anything), min_size=1, max_size=3)
    return st.builds(one, st.integers(0, len(trees) - 1), edits)


def _containers(tree: Any) -> Any:
    """Every place of a tree, as its container and the key or index in it."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _containers(value)
