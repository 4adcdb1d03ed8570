from __future__ import annotations

import doctest
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from searchplat.assets import AssetStore
from searchplat.errors import AssetError, InputError
from trials.backbones.encoders.masked_lm import MaskedLM, load_masked_lm
from trials.data.preparing.dataset import SearchData
from trials.promptbert import prompts
from trials.promptbert.prompts import (
    TEMPLATES,
    Prompts,
    PromptTokens,
    first_kept,
    template_of,
    tokenise,
    vocabulary_texts,
)

MOVIES = TEMPLATES["movies"]


class NoAssets:
    """Random models need none."""


def make(data: SearchData, name: str = "random-bert", **options: int) -> tuple[MaskedLM, PromptTokens]:
    lm = load_masked_lm(name, NoAssets(), texts=vocabulary_texts(data, MOVIES))  # type: ignore[arg-type]
    return lm, tokenise(lm, data, MOVIES, **options)


def spelt(lm: MaskedLM, data: SearchData, tokens: PromptTokens, made: Prompts, b: int) -> str:
    """The words of a prompt, read back through the ids."""
    texts = vocabulary_texts(data, MOVIES)
    words = {lm.tokenize([word])[0][0]: word for text in texts for word in re.findall(r"\w+|[^\w\s]", text)}
    words |= {lm.cls_id: "[CLS]", lm.sep_id: "[SEP]", lm.mask_id: "[MASK]"}
    said = []
    for row in made.ids_BL[b, : made.lengths_B[b]].tolist():
        if row >= tokens.num_words:
            said.append(f"<{row - tokens.num_words}>")
            continue
        word_ids = torch.nonzero((lm.words_VD == tokens.table_RD[row]).all(1)).flatten().tolist()
        said.append(words[word_ids[0]])
    return " ".join(said)


def test_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(prompts).failed == 0


@pytest.mark.parametrize("name", ["random-bert", "random-roberta"])
def test_a_prompt_says_what_the_paper_says(data: SearchData, name: str) -> None:
    data = replace(data, attributes={"genres": ["War Film-Noir", "", *["Comedy"] * 28]})
    lm, tokens = make(data, name)
    statements = tokens.statements(np.array([0, 1, 2]), np.array([4.0, 3.5, np.nan]))
    made = tokens.assemble([statements])
    assert spelt(lm, data, tokens, made, 0) == (
        "[CLS] The user is watching movies : The user watches <0> , genre is War Film - Noir , rating is 4 . "
        "The user watches <1> , rating is 3 . 5 . The user watches <2> , genre is Comedy . "
        "Then , the user watches [MASK] . [SEP]"
    )


def test_clauses_of_what_the_data_does_not_know_are_left_out(make_data: Callable[..., SearchData]) -> None:
    data = make_data(rated=False, genres=False)
    lm, tokens = make(data)
    made = tokens.assemble([tokens.statements(np.array([7]), None), np.zeros((0, 2), dtype=np.int64)])
    first = "The user is watching movies : The user watches <7> . Then , the user watches [MASK] . [SEP]"
    assert spelt(lm, data, tokens, made, 0) == f"[CLS] {first}"
    assert (
        spelt(lm, data, tokens, made, 1) == "[CLS] The user is watching movies : Then , the user watches [MASK] . [SEP]"
    )


def test_the_mask_is_where_the_prompt_says_and_padding_is_on_the_right(data: SearchData) -> None:
    lm, tokens = make(data)
    statements = tokens.statements(data.train_items, data.ratings)
    made = tokens.assemble([statements[:5], statements[5:6], statements[:0]])
    mask_row = torch.nonzero((tokens.table_RD == lm.words_VD[lm.mask_id]).all(1)).item()
    for b in range(3):
        assert np.flatnonzero(made.ids_BL[b, : made.lengths_B[b]] == mask_row).tolist() == [made.mask_B[b]]
        assert (made.ids_BL[b, made.lengths_B[b] :] == 0).all()
    lengths = tokens.frame + np.array([tokens.lengths(statements[:5]).sum(), tokens.lengths(statements[5:6])[0], 0])
    assert made.lengths_B.tolist() == lengths.tolist()
    assert made.ids_BL.shape == (3, lengths.max())
    part = made.rows(1, 3)
    assert part.ids_BL.tolist() == made.ids_BL[1:3, : lengths[1:].max()].tolist()


def test_a_title_token_starts_as_the_mean_of_its_words(data: SearchData) -> None:
    data = replace(data, titles=["Old story 1", "story", "", *data.titles[3:]])
    lm, tokens = make(data)
    for item, title in enumerate(data.titles):
        ids = lm.tokenize([title])[0]
        expected = lm.words_VD[ids].mean(0) if ids else lm.words_VD.mean(0)
        torch.testing.assert_close(tokens.table_RD[tokens.num_words + item], expected)


def test_only_words_that_prompts_can_hold_are_kept(data: SearchData) -> None:
    lm, tokens = make(data)
    assert tokens.num_words < len(lm.words_VD)
    used = {row for row in tokens.pieces.values.tolist() if row < tokens.num_words}
    assert used == set(range(tokens.num_words))
    unrated = tokenise(lm, replace(data, ratings=np.zeros(0, dtype=np.float32)), MOVIES)
    assert torch.equal(
        unrated.table_RD, tokens.table_RD
    )  # a served model, whose data has no ratings, has the same rows


def test_genres_can_be_cut(data: SearchData) -> None:
    data = replace(data, attributes={"genres": ["War Comedy Action"] * 30})
    (_, whole), (_, cut) = make(data), make(data, max_genre_tokens=1)
    assert whole.longest - cut.longest == 2


def test_ratings_outside_the_range_are_refused(data: SearchData) -> None:
    _, tokens = make(data)
    with pytest.raises(InputError, match="a prompt says ratings from 0 to 10, got 1 to 87; scale them"):
        tokens.statements(np.array([1, 2]), np.array([1.0, 87.0]))


def test_templates_go_by_the_data_set() -> None:
    names = {
        "movies": ["ml-1m", "redial", "redial-full"],
        "products": ["scientific", "amazon-beauty-2014"],
        "items": ["toy", "kuaisar"],
    }
    for kind, those in names.items():
        assert {template_of(name) for name in those} == {TEMPLATES[kind]}


def test_the_budget_drops_whole_statements_the_oldest_first(data: SearchData) -> None:
    _, tokens = make(data)
    lengths = tokens.lengths(tokens.statements(data.train_items, data.ratings))
    ends = np.concatenate([[0], np.cumsum(lengths)])
    rng = np.random.default_rng(0)
    stop = rng.integers(len(lengths) + 1, size=50)
    first = np.array([rng.integers(s + 1) for s in stop])
    for budget in (0, 1, 9, 14, 40, 10_000):
        found = first_kept(ends, first, stop, budget)
        for a, b, kept in zip(first.tolist(), stop.tolist(), found.tolist(), strict=True):
            slow = a
            while lengths[slow:b].sum() > budget:
                slow += 1
            assert kept == slow


def test_pieces_are_tokenised_as_the_whole_text_would_be(data: SearchData) -> None:
    """With the real MiniLM: title tokens added to its tokenizer, a whole prompt through it."""
    store = AssetStore(Path(os.environ["SEARCHPLAT_CACHE"])) if "SEARCHPLAT_CACHE" in os.environ else AssetStore()
    if not store.cached("minilm-l6-v2"):
        pytest.skip("minilm-l6-v2 is not in the cache; searchplat assets fetches it")
    try:
        folder = store.fetch("minilm-l6-v2")
    except AssetError as error:
        pytest.skip(str(error))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    lm = load_masked_lm("minilm-l6-v2", store, num_layers=1)
    assert lm.transform is None
    tokens = tokenise(lm, data, MOVIES)
    tokenizer.add_tokens([f"[item{n}]" for n in range(30)])
    texts = []
    statements = tokens.statements(data.train_items, data.ratings)
    for item, rating in zip(data.train_items.tolist(), data.ratings.tolist(), strict=True):
        genre = f", genre is {data.attributes['genres'][item]}" if data.attributes["genres"][item] else ""
        texts.append(f"The user watches [item{item}]{genre}, rating is {rating:g}.")
    whole = " ".join(["The user is watching movies:", *texts[:12], "Then, the user watches [MASK]."])
    expected = tokenizer(whole)["input_ids"]
    (found,) = tokens.assemble([statements[:12]]).ids_BL
    first_item = len(tokenizer) - 30
    rows = [tokens.num_words + i - first_item if i >= first_item else None for i in expected]
    assert len(found) == len(expected)
    for row, known, word in zip(found.tolist(), rows, expected, strict=True):
        assert row == known if known is not None else torch.equal(tokens.table_RD[row], lm.words_VD[word])
