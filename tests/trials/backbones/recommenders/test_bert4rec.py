from __future__ import annotations

from typing import Any

import pytest
import torch
from method_cases import as_queries

from trials.backbones.recommenders.bert4rec import BERT4RecEncoder


def encoder(**sizes: Any) -> BERT4RecEncoder:
    torch.manual_seed(0)
    made = {"max_length": 6, "num_layers": 2, "num_heads": 2, "hidden_size": 8, "inner_size": 12, **sizes}
    model = BERT4RecEncoder(10, dropout=0.5, **made).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_a_state_depends_on_all_real_places_and_on_no_padding() -> None:
    model = encoder()
    items_BL, lengths_B = torch.tensor([[1, 2, 3, 4, 0, 0]]), torch.tensor([4])
    states = model(items_BL, lengths_B)[0, :4]
    for place in range(6):
        changed = items_BL.clone()
        changed[0, place] = 9
        difference = (model(changed, lengths_B)[0, :4] - states).abs().amax(dim=-1)
        assert bool((difference > 0).all()) == (place < 4)
        assert bool((difference == 0).all()) == (place >= 4)


def test_a_hidden_item_is_not_seen() -> None:
    model = encoder()
    lengths_B, hidden_BL = torch.tensor([4]), torch.tensor([[False, True, False, False]])
    one = model(torch.tensor([[1, 2, 3, 4]]), lengths_B, hidden_BL)
    other = model(torch.tensor([[1, 7, 3, 4]]), lengths_B, hidden_BL)
    assert torch.equal(one, other)
    assert not torch.allclose(one, model(torch.tensor([[1, 2, 3, 4]]), lengths_B))


def test_the_next_item_is_scored_at_a_hidden_place_after_the_history() -> None:
    model = encoder()
    found_BD = model.encode(as_queries([[1, 2, 3]]))
    hidden_BL = torch.tensor([[False, False, False, True]])
    states_BLD = model(torch.tensor([[1, 2, 3, 5]]), torch.tensor([4]), hidden_BL)
    torch.testing.assert_close(found_BD[0], model.predict(states_BLD[0, 3]))


def test_a_history_is_encoded_alike_whatever_stands_beside_it() -> None:
    model = encoder()
    histories: list[list[int]] = [[1, 2, 3], [], [4], [5, 6, 7, 8, 9]]
    together_BD = model.encode(as_queries(histories))
    for b, history in enumerate(histories):
        torch.testing.assert_close(model.encode(as_queries([history]))[0], together_BD[b])


def test_the_latest_items_are_read_and_one_place_is_kept_for_the_token() -> None:
    model = encoder()
    long, short = model.encode(as_queries([[9, 8, 7, 1, 2, 3, 4, 5]])), model.encode(as_queries([[1, 2, 3, 4, 5]]))
    assert torch.equal(long, short)
    states_BLD, lengths_B = model.states(as_queries([[9, 8, 0, 1, 2, 3, 4, 5], [4]]))
    assert states_BLD.shape == (2, 6, 8)
    assert lengths_B.tolist() == [6, 1]


def test_states_of_an_empty_history_are_refused() -> None:
    with pytest.raises(ValueError, match="an empty history has no states"):
        encoder().states(as_queries([[1], []]))


def test_scores_are_inner_products_with_the_item_table_and_a_bias() -> None:
    model = encoder()
    state = torch.randn(8)
    expected = [
        float(state @ item + bias)
        for item, bias in zip(model.item_embedding.weight.detach(), model.item_bias.detach(), strict=True)
    ]
    torch.testing.assert_close(model.item_scores(state[None])[0].detach(), torch.tensor(expected))
