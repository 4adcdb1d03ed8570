from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from searchplat.errors import InputError
from trials.backbones.encoders.masked_lm import MaskedLM, load_masked_lm
from trials.data.preparing.dataset import SearchData
from trials.promptbert.prompts import TEMPLATES, vocabulary_texts
from trials.promptbert.statements import read_statements, statement_texts

MOVIES = TEMPLATES["movies"]


def load(data: SearchData, name: str = "random-bert", layers: int = 3) -> MaskedLM:
    return load_masked_lm(name, None, num_layers=layers, texts=vocabulary_texts(data, MOVIES))  # type: ignore[arg-type]


def hidden(lm: MaskedLM, ids: list[int], layer: int) -> torch.Tensor:
    with torch.inference_mode():
        output = lm.encoder(inputs_embeds=lm.words_VD[ids][None], output_hidden_states=True)
    return output.hidden_states[layer][0]


def test_statements_are_told_in_words(data: SearchData) -> None:
    texts = statement_texts(data, MOVIES)
    assert texts[0] == f"The user watches New story 0, genre is {data.attributes['genres'][0]}."
    assert texts[4] == "The user watches New story 4."


@pytest.mark.parametrize("name", ["random-bert", "random-roberta"])
@pytest.mark.parametrize("layers", [1, 2])
def test_states_are_those_of_the_first_layers(data: SearchData, name: str, layers: int) -> None:
    lm = load(data, name)
    found = read_statements(lm, data, MOVIES, layers)
    for item, text in enumerate(statement_texts(data, MOVIES)):
        ids = lm.tokenize([text])[0]
        states = hidden(lm, [lm.cls_id, *ids, lm.sep_id], layers)
        torch.testing.assert_close(found.items_ND[item], states[1:-1].mean(0), rtol=1e-4, atol=1e-5)
    front, end = lm.tokenize(["The user is watching movies: Then, the user watches", "."])
    states = hidden(lm, [lm.cls_id, *front, lm.mask_id, *end, lm.sep_id], layers)
    torch.testing.assert_close(found.cls_D, states[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.mask_D, states[1 + len(front)], rtol=1e-4, atol=1e-5)
    assert len(found.later) == 3 - layers


def test_the_later_layers_go_on_where_the_first_ended(data: SearchData) -> None:
    lm = load(data)
    reader, later = lm.split(1)
    ids = lm.tokenize(["The user watches"])[0]
    with torch.inference_mode():
        states = reader(inputs_embeds=lm.words_VD[ids][None]).last_hidden_state
        torch.testing.assert_close(states[0], hidden(lm, ids, 1))
        for layer in later:
            states = layer(states, torch.zeros(1, 1, len(ids), len(ids)))
    torch.testing.assert_close(states[0], hidden(lm, ids, 3), rtol=1e-4, atol=1e-5)


def test_layers_must_be_left_and_run_alone(data: SearchData, make_model: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match="statement_layers: must be less than the 3 layers of 'random-bert', got 3"):
        load(data).split(3)
    with pytest.raises(InputError, match="the layers of backbone 'random-distilbert' cannot run alone"):
        make_model(backbone="random-distilbert", num_layers=2, statement_layers=1)
