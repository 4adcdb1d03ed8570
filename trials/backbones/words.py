"""A word-level tokenizer for tiny random models, and digests of model files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_WORD = re.compile(r"\w+|[^\w\s]")


class WordTokenizer:
    """Each word and each punctuation mark of the given texts is a token; id 0 is every other word.

    >>> tokenizer = WordTokenizer(["title Heat", "title Up!"])
    >>> tokenizer.size, tokenizer(["title Heat", "title Jaws"])
    (5, [[4, 2], [4, 0]])
    """

    def __init__(self, texts: Iterable[str]) -> None:
        words = sorted({word for text in texts for word in _WORD.findall(text)})
        self._ids = {word: i for i, word in enumerate(words, start=1)}

    @property
    def size(self) -> int:
        """Number of ids, the unknown word's included."""
        return len(self._ids) + 1

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        return [[self._ids.get(word, 0) for word in _WORD.findall(text)] for text in texts]


def digest_files(paths: Sequence[Path]) -> str:
    """SHA-256 over names and contents of files, in the given order."""
    total = hashlib.sha256()
    for path in paths:
        total.update(path.name.encode())
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def digest_texts(texts: Iterable[str]) -> str:
    """SHA-256 over texts, each kept apart from the next."""
    total = hashlib.sha256()
    for text in texts:
        data = text.encode()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()
