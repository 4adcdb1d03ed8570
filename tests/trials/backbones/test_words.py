"""The word-level tokenizer and the digests."""

from __future__ import annotations

from pathlib import Path

from trials.backbones.words import WordTokenizer, digest_files, digest_texts


def test_tokenizer_knows_its_words_only() -> None:
    tokenizer = WordTokenizer(["title Heat", "genre Crime, Drama"])
    assert tokenizer.size == 7
    assert tokenizer(["Heat, Jaws"]) == [[4, 1, 0]]


def test_order_of_texts_does_not_matter() -> None:
    assert WordTokenizer(["b a", "c"])(["a b c"]) == WordTokenizer(["c", "a b"])(["a b c"])


def test_digests_tell_apart(tmp_path: Path) -> None:
    assert digest_texts(["ab", "c"]) != digest_texts(["a", "bc"])
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    before = digest_files([tmp_path / "a", tmp_path / "b"])
    (tmp_path / "b").write_text("3")
    assert before != digest_files([tmp_path / "a", tmp_path / "b"])
