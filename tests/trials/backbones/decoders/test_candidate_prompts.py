from __future__ import annotations

import numpy as np
import pytest

from searchplat.errors import InputError
from trials.backbones.decoders.candidate_prompts import Prompts, Template, letter_tokens, texts, tokenised
from trials.backbones.words import WordTokenizer
from trials.nn.ragged import Ragged
from trials.training.measures.best_items import NO_ITEM

TITLES = ["Heat", "Toy Story", "Up", "Jaws the second"]
TEMPLATE = Template(head="Choose one.\nHistory:\n", pool="\nPool:\n", response="\nAnswer:\n")


def test_a_prompt_is_the_template_filled_in() -> None:
    tokenize = WordTokenizer(texts(TEMPLATE, TITLES))
    prompts = Prompts(tokenised(tokenize, TEMPLATE, TITLES, 2, lines=True))
    assert prompts.num_items == 4
    found = prompts.sequences([np.array([1, 3]), np.array([], dtype=np.int64)], np.array([[2, 0], [3, NO_ITEM]]))
    written = [
        f"{TEMPLATE.head} Toy Story\n Jaws the\n{TEMPLATE.pool}(A) Up\n(B) Heat\n{TEMPLATE.response}",
        f"{TEMPLATE.head}{TEMPLATE.pool}(A) Jaws the\n{TEMPLATE.response}",
    ]
    assert [found.tokens.row(b).tolist() for b in range(2)] == tokenize(written)
    once, item = prompts.longest
    assert len(found.tokens.row(0)) <= once + 4 * item
    assert found.counts_B.tolist() == [2, 1]
    assert found.tokens.values[found.ends_R].tolist() == [tokenize([word])[0][0] for word in ("Up", "Heat", "the")]


def test_letters_must_be_told_apart() -> None:
    tokenize = WordTokenizer(texts(TEMPLATE, []))
    assert letter_tokens(tokenize, 3, "x").tolist() == [tokenize([letter])[0][0] for letter in "ABC"]
    with pytest.raises(InputError, match="must have a token for each letter from A to C"):
        letter_tokens(WordTokenizer(["A"]), 3, "x")


def test_what_is_asked_stands_between_history_and_candidates() -> None:
    tokenize = WordTokenizer([*texts(TEMPLATE, TITLES), "Request: something old"])
    prompts = Prompts(tokenised(tokenize, TEMPLATE, TITLES, 2, lines=True))
    asked = Ragged.of([tokenize(["Request: something old"])[0], []])
    found = prompts.sequences([np.array([1]), np.array([2])], np.array([[2, 0], [3, NO_ITEM]]), asked)
    head, pool, end = TEMPLATE.head, TEMPLATE.pool, TEMPLATE.response
    written = [
        f"{head} Toy Story\nRequest: something old{pool}(A) Up\n(B) Heat\n{end}",
        f"{head} Up\n{pool}(A) Jaws the\n{end}",
    ]
    assert [found.tokens.row(b).tolist() for b in range(2)] == tokenize(written)
    assert found.tokens.values[found.ends_R].tolist() == [tokenize([word])[0][0] for word in ("Up", "Heat", "the")]
