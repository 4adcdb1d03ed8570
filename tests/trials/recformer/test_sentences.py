"""Sentences of items, and of histories."""

from __future__ import annotations

import numpy as np
import pytest
from by_hand import search_data

from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import MaskedLM
from trials.data.preparing.dataset import SearchData
from trials.recformer.sentences import attribute_pairs, tokenise


def test_a_history_is_cls_and_its_items_the_latest_first(data: SearchData, lm: MaskedLM) -> None:
    pairs = attribute_pairs(data, ["colour", "title"])
    sentences = tokenise(lm, pairs, 32, 3, 100)
    histories = [np.array([7, 4, 1, 2]), np.array([5])]
    tokens = sentences.assemble([sentences.kept(history) for history in histories])
    for b, history in enumerate([[2, 1, 4], [5]]):
        expected = [(lm.cls_id, 0, 0)]
        for nth, item in enumerate(history, start=1):
            for key, value in pairs[item]:
                expected += [(word, 1, nth) for word in lm.tokenize([key])[0]]
                expected += [(word, 2, nth) for word in lm.tokenize([value])[0]]
        length = tokens.lengths_B[b]
        assert length == len(expected) == sentences.length(np.array(history))
        rows = zip(tokens.words_BL[b], tokens.types_BL[b], tokens.items_BL[b], strict=True)
        found = [(sentences.table_RD[word].tolist(), kind, item) for word, kind, item in rows][:length]
        assert found == [(lm.words_VD[word].tolist(), kind, item) for word, kind, item in expected]
        assert not tokens.words_BL[b, length:].any()


def test_items_that_do_not_fit_are_left_out_whole_but_the_latest(data: SearchData, lm: MaskedLM) -> None:
    sentences = tokenise(lm, attribute_pairs(data, None), 32, 10, 12)
    lengths = sentences.words.lengths()
    history = np.arange(8)
    kept = sentences.kept(history)
    assert 0 < len(kept) < 8
    assert kept.tolist() == history[::-1][: len(kept)].tolist()
    assert 1 + lengths[kept].sum() <= 12 < 1 + lengths[kept].sum() + lengths[7 - len(kept)]
    short = tokenise(lm, attribute_pairs(data, None), 32, 10, 3)
    assert short.assemble([short.kept(history)]).words_BL.shape == (1, 3)
    cut = tokenise(lm, attribute_pairs(data, None), 2, 10, 50)
    assert cut.words.lengths().max() <= 2 * 2


def test_nothing_but_descriptions_is_left_out_and_an_item_without_attributes_has_a_name(data: SearchData) -> None:
    assert [key for key, _ in attribute_pairs(data, None)[0]] == ["title", "colour"]
    assert [key for key, _ in attribute_pairs(data, None)[2]] == ["title"]
    bare = search_data([[0, 1]], 2, attributes={"title": ["", "two"]})
    assert attribute_pairs(bare, None) == [[("item", "film 0")], [("title", "two")]]
    with pytest.raises(InputError, match=r"must have each, got size; it has title, colour"):
        attribute_pairs(data, ["title", "size"])
