from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from searchplat.errors import InputError
from trials.data.preparing.dataset import SearchData


def test_lengths_must_fit(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="max_tokens: backbone 'random-bert' reads at most 512 tokens, got 513"):
        make_model(max_tokens=513)
    tokens = make_model().tokens
    least = tokens.frame + tokens.longest
    assert least == (7 + 8) + (4 + 3 + 5) + 7  # frame, `The user watches X`, genres, `, rating is 3.5.`
    with pytest.raises(InputError, match=rf"a prompt with the longest statement .* has {least} tokens, .*={least - 1}"):
        make_model(max_tokens=least - 1)
    assert make_model(max_tokens=least).windows.lengths_W.max() <= least


def test_heads_must_divide_the_width(make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="attention_heads: must divide the width 32 of 'random-bert', got 5"):
        make_model(attention_heads=5)


def test_someone_must_have_two_items(make_model: Callable[..., Any], make_data: Callable[..., SearchData]) -> None:
    with pytest.raises(InputError, match="needs a user with two training items, but none of the 2"):
        make_model(on=make_data(lengths=(1, 1)))


def test_logits_can_start_at_popularity(make_model: Callable[..., Any], data: SearchData) -> None:
    assert not make_model().item_bias.any()
    bias = make_model(item_bias="popularity").item_bias.detach().numpy()
    counts = np.bincount(data.train_items, minlength=30)
    np.testing.assert_allclose(np.exp(bias), (counts + 1) / (counts.sum() + 30), rtol=1e-5)


def test_the_template_can_be_chosen_and_makes_other_prompts(make_model: Callable[..., Any]) -> None:
    lengths = {name: make_model(template=name).tokens.frame for name in ("auto", "movies", "products", "items")}
    assert lengths["auto"] == lengths["movies"]
    assert lengths["products"] == lengths["movies"] + 1  # shopping for items
    one, other = make_model(template="movies"), make_model(template="items")
    assert one.tokens is not other.tokens
    assert one.tokens is make_model().tokens
    assert torch.equal(one.embedding, make_model().embedding)
