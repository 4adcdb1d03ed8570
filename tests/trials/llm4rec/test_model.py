from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder, search_data
from method_cases import as_queries
from pydantic import ValidationError
from torch.nn import functional as F

from trials.backbones.decoders.decoder_lm import load_decoder
from trials.llm4rec import LLM4RecConfig
from trials.llm4rec.build import all_texts, word_rows
from trials.llm4rec.documents import PHRASES, Documents, packed
from trials.llm4rec.model import Batch, LLM4RecModel

HISTORIES = [[1, 2, 3, 4, 5], [1, 2], [9, 10, 11], [7]]
HAS, AND, WILL, FEATURES, ARE, CHOSE, WHICH = PHRASES
DATA = search_data(HISTORIES, 20)


def make(**settings: Any) -> LLM4RecModel:
    torch.manual_seed(0)
    config = LLM4RecConfig(**{"backbone": "random-gpt2", "max_items": 3, **settings})
    lm = load_decoder("random-gpt2", Folder(), texts=all_texts(DATA))
    words, phrases, texts, titles = word_rows(lm, DATA, 8)
    made = LLM4RecModel(config, lm, words, Documents(phrases, texts, len(words), 4), titles, DATA)
    if made.edge_weight is not None:
        torch.nn.init.constant_(made.edge_weight, 0.5)
    return made.eval()


def states(made: LLM4RecModel, parts: list[str | tuple[str, int]], table: str = "collaborative") -> torch.Tensor:
    """States of all tokens by transformers itself, of words and `("users_UD", u)` or `("items_ND", i)`."""
    rows = []
    for part in parts:
        if isinstance(part, str):
            rows.append(made._lm.parts.embed(torch.tensor(made._lm.tokenize([part])[0])))
        else:
            rows.append(getattr(getattr(made, table), part[0])[part[1]][None])
    return made._lm.parts.model(inputs_embeds=torch.cat(rows)[None]).last_hidden_state[0]


def user(u: int) -> tuple[str, int]:
    return ("users_UD", u)


def items(*found: int) -> list[tuple[str, int]]:
    return [("items_ND", item) for item in found]


def test_items_are_gone_on_with_by_a_softmax_over_item_tokens() -> None:
    made = make(lambda_mutual=0.0)
    hidden = states(made, [user(2), HAS, *items(9, 10)])[-3:]
    expected = F.cross_entropy(hidden @ made.collaborative.items_ND.T, torch.tensor([9, 10, 11]))
    found = made.loss(Batch("items", [made._documents.going_on(2, np.array([9, 10, 11]))]))
    torch.testing.assert_close(found, {"items": expected})


def test_held_out_items_are_named_by_a_multinomial() -> None:
    made = make(lambda_mutual=0.0)
    documents = [
        made._documents.naming(0, np.array([4, 2]), np.array([1, 5])),
        made._documents.naming(2, np.array([9]), np.array([10])),
    ]
    terms = []
    for parts, held_out in (([user(0), *items(4, 2)], [1, 5]), ([user(2), *items(9)], [10])):
        hidden = states(made, [parts[0], HAS, *parts[1:], AND, parts[0], WILL])[-1]
        terms.append(-(hidden @ made.collaborative.items_ND.T).log_softmax(-1)[held_out].sum())
    torch.testing.assert_close(made.loss(Batch("held_out", documents)), {"held_out": torch.stack(terms).mean()})


def test_texts_are_gone_on_with_word_by_word_from_content_tokens() -> None:
    made = make(lambda_mutual=0.0)
    for document, prompt in (
        (made._documents.describing(7, None), [FEATURES, *items(7), ARE]),
        (made._documents.describing(7, 3), [user(3), CHOSE, *items(7), WHICH]),
    ):
        # "film 7" is two words, of which the first is found behind the prompt.
        hidden = states(made, [*prompt, "film"], "content")[-2:]
        targets = torch.from_numpy(made._documents.texts.row(7))
        expected = F.cross_entropy(hidden @ made.words_RD.T, targets)
        torch.testing.assert_close(made.loss(Batch("words", [document])), {"words": expected})


def test_either_step_holds_its_tokens_to_the_other_tables_which_stay() -> None:
    made = make(lambda_mutual=3.0)
    assert made.content is not None
    batches = [
        ("collaborative", "content", Batch("items", [made._documents.going_on(2, np.array([9, 10, 11]))])),
        ("content", "collaborative", Batch("words", [made._documents.describing(9, 2)])),
    ]
    for own, other, batch in batches:
        one, two = getattr(made, own), getattr(made, other)
        read = [9, 10] if batch.kind == "items" else [9]  # what comes last is a target and no token
        distance = (one.users_UD[2] - two.users_UD[2]).square().sum()
        distance = distance + (one.items_ND[read] - two.items_ND[read]).square().sum()
        losses = made.loss(batch)
        torch.testing.assert_close(losses["mutual"], 1.5 * distance)
        made.zero_grad()
        sum(losses.values()).backward()  # type: ignore[union-attr]
        assert two.users_UD.grad is None
        assert two.items_ND.grad is None
        assert one.users_UD.grad.any(dim=1).tolist() == [False, False, True, False]


def test_edges_add_a_multiple_of_cosines_and_show_nothing_that_comes_later() -> None:
    made = make(edge_attention=True)
    ahead, longer = (made._documents.going_on(2, np.array(row)) for row in ([9, 10, 11], [9, 10, 11, 3, 4]))
    alone = made._states(packed([ahead]), made.collaborative)
    torch.testing.assert_close(made._states(packed([longer, ahead]), made.collaborative)[:3], alone)
    assert made.edge_weight is not None
    with torch.no_grad():
        made.edge_weight.zero_()
    torch.testing.assert_close(
        made._states(packed([ahead]), made.collaborative), states(made, [user(2), HAS, *items(9, 10)])[-3:]
    )
    assert not torch.allclose(made._states(packed([ahead]), made.collaborative), alone)


def test_answers_are_behind_the_prompt_of_the_stage_and_of_the_latest_items() -> None:
    for settings, behind in (({}, []), ({"pretrain_epochs": 0}, [AND, user(0), WILL])):
        made = make(**settings)
        hidden = states(made, [user(0), HAS, *items(3, 4, 5), *behind])[-1]
        found = made.scores(as_queries([[1, 2, 3, 4, 5]], [0]))[0]
        torch.testing.assert_close(found, hidden @ made.collaborative.items_ND.T)
    with torch.no_grad():
        made.collaborative.users_UD.copy_(made.collaborative.users_UD.mean(0).expand(4, -1))
    torch.testing.assert_close(made.scores(as_queries([[1]])), made.scores(as_queries([[1]], [0])))


@pytest.mark.parametrize("order", ["shuffled", "kept"])
def test_what_is_held_out_is_of_the_user_and_not_in_the_prompt(order: str) -> None:
    made = make(item_order=order, holdout=0.4, max_items=5)
    rng, seen = np.random.default_rng(0), set()
    for _ in range(20):
        document = made._naming(0, rng)
        first = made._documents.first_item
        shown = [token - first for token in document.ids_L.tolist() if token >= first]
        held_out = document.targets_T.tolist()
        assert not set(shown) & set(held_out)
        assert set(shown + held_out) <= set(HISTORIES[0])
        assert 1 <= len(held_out) <= 2
        if order == "kept":
            assert shown + held_out == HISTORIES[0][: len(shown + held_out)]
        seen.add(tuple(shown))
    assert len(seen) > 2


def test_whitened_states_have_no_common_direction() -> None:
    made = make(whiten_states=True, item_order="kept", max_items=5)
    made.condition(np.random.default_rng(0))
    assert made.heads is not None
    documents = [made._going_on(user, np.random.default_rng(0)) for user in (0, 1, 2)]
    found = made.heads["of_items"](made._states(packed(documents), made.collaborative))
    torch.testing.assert_close(found.mean(0), torch.zeros_like(found[0]), atol=1e-4, rtol=0)


def test_more_pre_training_than_there_are_epochs_is_refused() -> None:
    with pytest.raises(ValidationError, match="pretrain_epochs must be at most epochs, got pretrain_epochs=3"):
        LLM4RecConfig(epochs=2, pretrain_epochs=3)
