"""The template of section 4.1: its words, its budget of tokens, and where prefix and suffix stand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from trials.backbones.words import WordTokenizer
from trials.data.preparing.dataset import SearchData
from trials.laser.instructions import HEADS, NUMBER, Instructions, item_texts

TEXTS = [" red film (brand: Acme)", " blue", " old old old old old book", " new war"]


def make(template: Any = "paper", **limits: int) -> Instructions:
    words = [*TEXTS, *(text for pair in HEADS.values() for text in (pair.user, pair.item))]
    tokenize = WordTokenizer([*words, *(NUMBER.format(n=n) for n in range(20))])
    return Instructions(
        tokenize, TEXTS, template, **{"max_items": 12, "max_tokens": 40, "max_item_tokens": 10, **limits}
    )


def tokens(text: str) -> list[int]:
    words = [*TEXTS, *(text for pair in HEADS.values() for text in (pair.user, pair.item))]
    return WordTokenizer([*words, *(NUMBER.format(n=n) for n in range(20))])([text])[0]


def test_the_papers_template() -> None:
    assert HEADS["paper"].user == HEADS["paper"].item
    assert HEADS["paper"].user == (
        "You are an intelligent recommendation assistant. Please summarize the user's characteristics into a single "
        "token based on the interaction history. In chronological order, the user has interacted with the following "
        "items:"
    )
    expected = tokens(HEADS["paper"].user + "\n>> 1. blue\n>> 2. red film (brand: Acme)")
    assert make().ids(np.array([1, 0])).tolist() == expected
    assert make().ids(np.array([1]), single=True).tolist() == tokens(HEADS["paper"].user + "\n>> 1. blue")


def test_the_templates_of_appendix_d() -> None:
    blue = np.array([1])
    assert "single token" not in HEADS["no-phrase"].user
    assert make("no-instruction").ids(blue).tolist() == tokens("\n>> 1. blue")
    two = make("two-instructions")
    assert two.ids(blue).tolist() == make().ids(blue).tolist()
    assert two.ids(blue, single=True).tolist() == tokens(f"{HEADS['two-instructions'].item}\n>> 1. blue")
    assert two.item_lengths()[1] == len(two.ids(blue, single=True))


def test_item_texts_are_title_and_attributes(data: SearchData) -> None:
    texts = item_texts(data, None)
    assert texts[1] == f" {data.titles[1]} (brand: Acme, categories: blue)"
    assert texts[0] == f" {data.titles[0]} (categories: red)"  # no brand
    assert item_texts(data, ("categories",))[1] == f" {data.titles[1]} (categories: blue)"
    assert item_texts(data, ())[1] == f" {data.titles[1]}"
    with pytest.raises(ValueError, match=r"attributes: must be among title, .* of data 'by-hand', got colour; leave"):
        item_texts(data, ("colour",))


def test_the_order_of_attributes_is_that_of_their_names(data: SearchData) -> None:
    turned = replace(data, attributes=dict(reversed(data.attributes.items())))
    assert item_texts(turned, None) == item_texts(data, None)


def test_the_oldest_items_make_way() -> None:
    made = make(max_tokens=20)
    each = [len(tokens(f"\n>> 1.{text}")) for text in TEXTS]  # 4 tokens of ">> 1." and the words
    history = np.array([0, 1, 2, 3, 1, 3])
    kept = made.kept(history)
    assert kept.tolist() == history[-len(kept) :].tolist()
    assert sum(each[item] for item in kept) <= 20 < sum(each[item] for item in history[-len(kept) - 1 :])
    assert make(max_tokens=1).kept(history).tolist() == [3]  # one at least
    assert make(max_items=2).kept(history).tolist() == [1, 3]
    assert make().kept(history[:0]).tolist() == []
    assert len(made.ids(kept)) == made.length(kept)


def test_an_items_text_is_cut() -> None:
    made = make(max_item_tokens=3)
    assert made.words_N.tolist() == [3, 1, 3, 2]
    assert made.shortest_budget == len(tokens("\n>> 1.")) + 3


@pytest.mark.parametrize(("prefix", "suffix"), [(3, 1), (2, 2), (0, 1), (3, 0)])
def test_prefix_instruction_suffix(prefix: int, suffix: int) -> None:
    made = make()
    histories = [np.array([0, 1]), np.array([3])]
    packed = made.pack(histories, prefix=prefix, suffix=suffix)
    start = 0
    for b, items in enumerate(histories):
        words = made.ids(items).tolist()
        stop = start + prefix + len(words) + suffix
        assert packed.lengths_B[b] == stop - start
        assert packed.ids_S[start:stop].tolist() == [0] * prefix + words + [0] * suffix
        of_this = slice(b * prefix, (b + 1) * prefix)
        assert packed.prefix_S[of_this].tolist() == list(range(start, start + prefix))
        assert packed.suffix_S[b * suffix : (b + 1) * suffix].tolist() == list(range(stop - suffix, stop))
        start = stop
    if suffix:
        assert packed.read_R.tolist() == packed.suffix_S.tolist()
        assert packed.reads_B.tolist() == [suffix, suffix]
    else:
        assert packed.read_R.tolist() == list(range(start))
        assert packed.reads_B.tolist() == packed.lengths_B.tolist()
