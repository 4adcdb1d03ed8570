from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from pydantic import ValidationError
from torch.nn import functional as F

from trials.backbones.recommenders.adaptor import Adaptor
from trials.unisrec import UniSRecConfig
from trials.unisrec.model import Contrast, UniSRecModel
from trials.unisrec.texts import without_words

TINY: dict[str, Any] = {"max_length": 6, "hidden_size": 8, "inner_size": 8, "batch_size": 4, "dropout": 0.0}
TINY |= {"experts": 3, "adaptor_dropout": 0.0}
PRETRAINED: dict[str, Any] = {"epochs": 3, "pretrain_epochs": 1}


def make(**settings: Any) -> UniSRecModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in (9, 3, 6, 2, 5)], num_items=30)
    torch.manual_seed(0)
    texts = (torch.randn(30, 12), torch.randn(30, 12))
    return UniSRecModel(UniSRecConfig(**{**TINY, **settings}), data, texts)


def test_the_adaptor_mixes_whitenings_by_its_gates() -> None:
    torch.manual_seed(1)
    adaptor = Adaptor(5, 4, 3, 0.0).eval()
    for parameter in adaptor.parameters():
        torch.nn.init.normal_(parameter)
    texts = torch.randn(2, 5)
    weights = torch.softmax(texts @ adaptor.gate_WG, dim=-1)
    experts = [(texts - adaptor.centres_GW[g]) @ adaptor.whitenings_GWD[g] for g in range(3)]
    torch.testing.assert_close(adaptor(texts), sum(weights[:, g, None] * experts[g] for g in range(3)))
    adaptor.train()
    assert not torch.equal(adaptor.gates(texts), adaptor.gates(texts))


def test_fine_tuning_is_a_softmax_of_cosines_over_all_items() -> None:
    made = make().eval()
    table = made.adaptor(made.texts_NW) + made.item_embedding.weight
    rows = [[1, 2, 3], [4, 5]]
    terms = []
    for row in rows:
        for place in range(len(row) - 1):
            state = made.encoder.through_layers(table[row[: place + 1]][None], None)[0, -1]
            logits = F.cosine_similarity(state[None], table) / 0.07
            torch.testing.assert_close(made.scores(as_queries([row[: place + 1]]))[0], logits, rtol=1e-4, atol=1e-4)
            terms.append(F.cross_entropy(logits, torch.tensor(row[place + 1])))
    torch.testing.assert_close(made.loss(as_queries(rows))["next"], torch.stack(terms).mean())


def test_pre_training_tells_items_and_sequences_of_a_batch_apart() -> None:
    made = make(**PRETRAINED, lambda_seq=0.5).eval()
    rows = as_queries([[1, 2, 3], [4, 3], [7, 8, 9]])
    kept = np.array([True, False, False, True, False, False, True, False])
    batch = Contrast(rows, kept, np.array([False, True, False]), (0, 3))
    table, fewer = made.adaptor(made.texts_NW), made.adaptor(made.fewer_NW)
    candidates = table[[2, 3, 8, 9]]

    def state(vectors: torch.Tensor) -> torch.Tensor:
        return made.encoder.through_layers(vectors[None], None)[0, -1]

    def cross_entropy(states: list[torch.Tensor], among: torch.Tensor, targets: list[int]) -> torch.Tensor:
        cosines = F.normalize(torch.stack(states), dim=-1) @ F.normalize(among, dim=-1).T
        return F.cross_entropy(cosines / 0.07, torch.tensor(targets))

    histories = [[1], [1, 2], [4], [7], [7, 8]]
    losses = made.loss(batch)
    expected = cross_entropy([state(table[row]) for row in histories], candidates, [0, 1, 1, 2, 3])
    torch.testing.assert_close(losses["item"], expected)
    augmented = torch.stack([state(table[[1]]), state(fewer[[4]]), state(table[[8]])])
    expected = cross_entropy([state(table[row]) for row in ([1, 2], [4], [7, 8])], augmented, [0, 1, 2])
    torch.testing.assert_close(losses["sequence"], 0.5 * expected)


def test_an_augmentation_never_shows_the_target_and_always_something() -> None:
    made = make(**PRETRAINED, item_drop=0.9)
    for batch in made.batches(0, np.random.default_rng(0)):
        assert isinstance(batch, Contrast)
        assert not batch.kept_E[batch.windows.offsets[1:] - 1].any()
        assert np.add.reduceat(batch.kept_E, batch.windows.offsets[:-1]).min() >= 1


def test_ids_count_from_fine_tuning_on() -> None:
    made = make(**PRETRAINED).eval()
    (*_, first) = made.batches(0, np.random.default_rng(0))
    assert isinstance(first, Contrast)
    before = made.scores(as_queries([[1, 2]]))
    torch.nn.init.normal_(made.item_embedding.weight)
    assert torch.equal(made.scores(as_queries([[1, 2]])), before)
    next(made.batches(1, np.random.default_rng(0)))
    assert not torch.equal(made.scores(as_queries([[1, 2]])), before)


def test_a_frozen_encoder_learns_in_pre_training_alone() -> None:
    made = make(**PRETRAINED, freeze_encoder=True)
    next(iter(made.batches(0, np.random.default_rng(0))))
    assert all(parameter.requires_grad for parameter in made.encoder.parameters())
    batch = next(iter(made.batches(1, np.random.default_rng(0))))
    made.loss(batch)["next"].backward()
    assert all(parameter.grad is None for parameter in made.encoder.parameters())
    assert made.adaptor.whitenings_GWD.grad is not None


def test_words_are_left_out_alike_every_time_and_one_stays() -> None:
    text = "a b c d e f g h"
    assert without_words(text, 0.5) == without_words(text, 0.5) != text
    assert without_words(text, 0.0) == text
    assert without_words("one", 0.99) == "one"
    assert without_words("", 0.5) == ""


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="pretrain_epochs must be below epochs, got pretrain_epochs=3, epochs=3"):
        UniSRecConfig(epochs=3, pretrain_epochs=3)
    with pytest.raises(ValidationError, match="freeze_encoder needs pretrain_epochs"):
        UniSRecConfig(freeze_encoder=True)
