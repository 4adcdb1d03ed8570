from __future__ import annotations

import torch

from trials.fdsa.features import NO_WORD, ItemFeatures, number_words

COLUMNS = [["Red War", "red love", "Blue"], ["film", "film, war", ""]]


def test_words_are_numbered_by_attribute_and_rare_ones_are_not_known() -> None:
    words_NKT, count = number_words(COLUMNS, max_words=4, min_items=2)
    assert count == 3  # no word, red, film
    assert words_NKT.tolist() == [[[1], [2]], [[1], [2]], [[NO_WORD], [NO_WORD]]]
    words_NKT, count = number_words(COLUMNS, max_words=1, min_items=1)
    assert count == 7
    assert words_NKT.shape == (3, 2, 1)


def test_an_item_without_a_known_word_has_no_vector() -> None:
    features = ItemFeatures(*number_words(COLUMNS, 4, 2), width=5)
    vectors = features(torch.arange(3))
    assert vectors[2].tolist() == [0.0] * 5
    assert not vectors[:2].isnan().any()


def test_the_vector_is_the_weighed_mean_of_the_attributes_means() -> None:
    words_NKT, count = number_words(COLUMNS, 4, 1)
    features = ItemFeatures(words_NKT, count, width=5)
    means = torch.stack([features.embedding(words[words != NO_WORD]).mean(0) for words in words_NKT[1]])
    weights = torch.softmax(features.score(means)[:, 0], dim=0)
    torch.testing.assert_close(features(torch.tensor([2, 1]))[1], weights @ means)


def test_an_attribute_alone_has_all_the_weight() -> None:
    words_NKT, count = number_words(COLUMNS, 4, 1)
    features = ItemFeatures(words_NKT, count, width=5)
    (blue,) = words_NKT[2, 0][words_NKT[2, 0] != NO_WORD]
    torch.testing.assert_close(features(torch.tensor([2]))[0], features.embedding.weight[blue])


def test_data_without_a_known_word_still_makes_vectors() -> None:
    words_NKT, count = number_words([["a", "b"]], 4, 2)
    assert ItemFeatures(words_NKT, count, 3)(torch.arange(2)).tolist() == [[0.0] * 3] * 2
