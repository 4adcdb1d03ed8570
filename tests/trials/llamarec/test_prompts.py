from __future__ import annotations

import numpy as np
import pytest

from searchplat.errors import InputError
from trials.backbones.words import WordTokenizer
from trials.llamarec.prompts import HEAD, POOL, RESPONSE, Prompts, letter_tokens, texts, tokenised
from trials.training.measures.best_items import NO_ITEM

TITLES = ["Heat", "Toy Story", "Up", "Jaws the second"]


def test_a_prompt_is_the_template_filled_in() -> None:
    tokenize = WordTokenizer(texts(TITLES))
    prompts = Prompts(tokenised(tokenize, TITLES, 2, lines=True))
    assert prompts.num_items == 4
    found = prompts.sequences([np.array([1, 3]), np.array([], dtype=np.int64)], np.array([[2, 0], [3, NO_ITEM]]))
    written = [
        f"{HEAD} Toy Story\n Jaws the\n{POOL}(A) Up\n(B) Heat\n{RESPONSE}",
        f"{HEAD}{POOL}(A) Jaws the\n{RESPONSE}",
    ]
    assert [found.tokens.row(b).tolist() for b in range(2)] == tokenize(written)
    once, item = prompts.longest
    assert len(found.tokens.row(0)) <= once + 4 * item
    assert found.counts_B.tolist() == [2, 1]
    assert found.tokens.values[found.ends_R].tolist() == [tokenize([word])[0][0] for word in ("Up", "Heat", "the")]


def test_letters_must_be_told_apart() -> None:
    tokenize = WordTokenizer(texts([]))
    assert letter_tokens(tokenize, 3, "x").tolist() == [tokenize([letter])[0][0] for letter in "ABC"]
    with pytest.raises(InputError, match="must have a token for each letter from A to C"):
        letter_tokens(WordTokenizer(["A"]), 3, "x")
