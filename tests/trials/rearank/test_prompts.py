from __future__ import annotations

import pytest

from trials.backbones.decoders.candidate_prompts import texts
from trials.backbones.words import WordTokenizer
from trials.rearank.prompts import BETWEEN, CLOSING, REQUEST, asked, script_of, template


@pytest.mark.parametrize("reasoning", [False, True])
def test_prompt_and_script_make_an_answer_in_tags(reasoning: bool) -> None:
    told = template(reasoning=reasoning)
    tokenize = WordTokenizer([*texts(told, []), CLOSING, BETWEEN])
    script = script_of(tokenize, 3, "x", reasoning=reasoning)
    letters = [[token] for token in script.letters_K.tolist()]
    written = script.closing + letters[1] + script.between + letters[0] + script.between + letters[2]
    (front,) = tokenize([told.response])
    answer = "### Response:\n" + ("<think></think>\n" if reasoning else "") + "<answer> [B] > [A] > [C"
    assert front + written == tokenize([answer])[0]
    assert len(written) <= script.longest
    assert ("Think" in told.head) == reasoning


def test_of_a_long_request_the_end_is_kept_and_a_blank_one_has_no_line() -> None:
    tokenize = WordTokenizer([REQUEST, "one two three four"])
    rows = asked(tokenize, ["one two three four", "", "two"], 2)
    assert [rows.row(b).tolist() for b in range(3)] == [
        tokenize([f"{REQUEST} three four"])[0],
        [],
        tokenize([f"{REQUEST} two"])[0],
    ]
