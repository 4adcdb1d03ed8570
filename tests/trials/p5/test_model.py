from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from torch.nn import functional as F

from trials.data.preparing.dataset import UNKNOWN_USER
from trials.p5 import P5Config
from trials.p5.model import P5Model
from trials.p5.prompts import FIRST_PAIR, IDS, PAD, START, TEMPLATES, item_pieces, padded, prompt
from trials.p5.transformer import Attention

HISTORIES = [[9, 3, 50], [3, 8], [5]]
SIZES: dict[str, Any] = {"num_layers": 2, "hidden_size": 16, "inner_size": 16, "num_heads": 2, "dropout": 0.0}
SIZES |= {"targets_per_user": 1}


def make(items: int = 300, **settings: Any) -> P5Model:
    torch.manual_seed(0)
    return P5Model(P5Config(**{**SIZES, "max_items": 3, **settings}), search_data(HISTORIES, items)).eval()


def numbers(pieces: np.ndarray) -> list[int]:
    return [int("".join(f"{piece - FIRST_PAIR:02d}" for piece in row)) for row in pieces]


def test_sequential_numbers_follow_the_training_sequences_and_have_one_length() -> None:
    found = numbers(item_pieces(search_data(HISTORIES, 300), "sequential", np.random.default_rng(0)))
    assert [found[item] for item in (9, 3, 50, 8, 5)] == [1000, 1001, 1002, 1003, 1004]
    assert sorted(found) == list(range(1000, 1300))
    assert item_pieces(search_data(HISTORIES, 9001), "random", np.random.default_rng(0)).shape == (9001, 3)
    assert item_pieces(search_data([[1, 2]], 90), "random", np.random.default_rng(0)).shape == (90, 1)


def test_a_prompt_names_the_user_and_the_items_in_order() -> None:
    words = prompt(TEMPLATES[1], 154, [[FIRST_PAIR + 10, FIRST_PAIR + 7], [FIRST_PAIR + 12, FIRST_PAIR]])
    texts = {place: token for token, place in IDS.items()}
    said = " ".join("".join(texts[token] for token in word) for word in words)
    assert said == ("here is what user_155 has bought so far : 1007 , 1200 . which item comes next for the user ?")
    laid = padded([words, prompt(TEMPLATES[3], UNKNOWN_USER, [])])
    place = laid.ids_BL[0].tolist().index(FIRST_PAIR + 10)
    assert laid.words_BL[0, place] == laid.words_BL[0, place + 1] == laid.words_BL[0, place + 2] - 1
    assert "somebody" in {texts[token] for token in laid.ids_BL[1].tolist()}
    assert (laid.ids_BL[1] == PAD).sum() > 0


@pytest.mark.parametrize("items", [60, 300, 9500])
def test_scores_are_the_likelihoods_of_numbers_written_piece_by_piece(items: int) -> None:
    made = make(items)
    queries = as_queries([[9, 3, 8, 7], [5]], [0, UNKNOWN_USER])
    with torch.no_grad():
        found = made.scores(queries)
        for b, (user, history) in enumerate(((0, [3, 8, 7]), (UNKNOWN_USER, [5]))):
            prompts = padded([prompt(TEMPLATES[0], user, made.pieces_NC[history].tolist())])
            for item in (0, 17, items - 1):
                total, begun = torch.tensor(0.0), [START]
                for piece in made.pieces_NC[item].tolist():
                    count = len(begun)
                    sees = torch.ones(count, count, dtype=torch.bool).tril()
                    logits = made._written(prompts, torch.tensor([begun]), torch.arange(count), sees)[0, -1]
                    total = total + logits.log_softmax(-1)[piece]
                    begun.append(piece)
                torch.testing.assert_close(found[b, item], total, rtol=1e-4, atol=1e-4)
    # Numbers are told apart by all their pieces, and what is no number has the rest of the likelihood.
    assert (found.exp().sum(1) < 1).all()


def test_the_loss_is_the_mean_over_the_pieces_that_scores_add_up() -> None:
    made = make(stranger_share=0.0)
    (batch,) = made.batches(0, np.random.default_rng(0))
    assert len(batch.prompts) == 2  # the third user has no target
    for b in range(2):
        one, _ = made.share(batch, b, 2)
        logits = made._written(
            one.prompts,
            torch.tensor([[START, one.targets_BC[0, 0]]]),
            torch.arange(2),
            torch.tensor([[True, False], [True, True]]),
        )
        terms = [F.cross_entropy(logits[0, c], torch.tensor(one.targets_BC[0, c])) for c in range(2)]
        torch.testing.assert_close(made.loss(one)["next"], torch.stack(terms).mean())


def test_targets_are_not_in_their_prompts_and_strangers_are_not_named() -> None:
    made = make(stranger_share=0.9)
    strangers = 0
    for epoch in range(20):
        for batch in made.batches(epoch, np.random.default_rng(epoch)):
            for ids, target in zip(batch.prompts.ids_BL.tolist(), batch.targets_BC.tolist(), strict=True):
                assert all(ids[place : place + 2] != target for place in range(len(ids)))
                strangers += IDS["somebody"] in ids
                assert (IDS["somebody"] in ids) != (IDS["user_"] in ids)
    assert 30 < strangers < 40


def test_attention_is_a_softmax_of_inner_products_and_a_bias() -> None:
    torch.manual_seed(0)
    attention = Attention(8, 2, 0.0)
    x, read, bias = torch.randn(1, 3, 8), torch.randn(1, 5, 8), torch.randn(1, 2, 3, 5)
    q, k, v = attention.query(x), attention.key(read), attention.value(read)
    heads = []
    for head in range(2):
        rows = slice(4 * head, 4 * head + 4)
        weights = (q[0, :, rows] @ k[0, :, rows].T + bias[0, head]).softmax(-1)
        heads.append(weights @ v[0, :, rows])
    torch.testing.assert_close(attention(x, read, bias)[0], attention.out(torch.cat(heads, dim=-1)))
