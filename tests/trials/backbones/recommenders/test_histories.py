from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from torch import Tensor

from trials.backbones.recommenders import cloze, histories, next_item
from trials.backbones.recommenders.histories import by_length
from trials.training.recommender import Recommender
from trials.unisrec import model as unisrec

CPU = torch.device("cpu")


def test_rows_of_about_the_same_length_are_a_part() -> None:
    lengths = np.array([2, 40, 3, 1, 4, 33, 5])
    parts = [rows.tolist() for rows in by_length(lengths, CPU)]
    assert parts == [[0, 3], [2, 4], [6], [1, 5]]


@pytest.mark.parametrize(
    ("lengths", "device"), [([2, 40, 3], "cuda"), ([40, 40, 17, 40], "cpu"), ([5], "cpu"), ([], "cpu"), ([0, 0], "cpu")]
)
def test_rows_stay_together_where_little_would_be_saved(lengths: list[int], device: str) -> None:
    (rows,) = by_length(np.array(lengths, dtype=np.int64), torch.device(device))
    assert rows.tolist() == list(range(len(lengths)))


LONG = [list(range(1, 18)), [3, 5], [7, 2, 9], [4, 1], [8, 6, 3, 2, 1]]


def sasrec(sequences: list[list[int]]) -> Recommender:
    from trials.sasrec.config import SASRecConfig
    from trials.sasrec.model import SASRecModel

    return SASRecModel(SASRecConfig(**SIZES), search_data(sequences, 20))


def bert4rec(sequences: list[list[int]]) -> Recommender:
    from trials.bert4rec.config import BERT4RecConfig
    from trials.bert4rec.model import BERT4RecModel

    return BERT4RecModel(BERT4RecConfig(**SIZES), search_data(sequences, 20))


def textual(sequences: list[list[int]]) -> Recommender:
    from trials.unisrec.config import UniSRecConfig

    texts = torch.randn((20, 10), generator=torch.Generator().manual_seed(0))
    config = UniSRecConfig(**SIZES, pretrain_epochs=0)
    return unisrec.UniSRecModel(config, search_data(sequences, 20), (texts, texts))


SIZES: dict[str, Any] = {"max_length": 20, "hidden_size": 8, "inner_size": 8, "batch_size": 8, "dropout": 0.0}


@pytest.mark.parametrize(("make", "module"), [(sasrec, next_item), (bert4rec, cloze), (textual, unisrec)])
def test_losses_gradients_and_scores_are_those_of_the_whole_batch(
    make: Any, module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def learned() -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor]:
        torch.manual_seed(0)
        model = make(LONG)
        batch = next(iter(model.batches(0, np.random.default_rng(0))))
        losses = model.loss(batch)
        sum(losses.values()).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        model.eval().start_evaluation()
        return losses, gradients, model.scores(as_queries([history[:-1] for history in LONG]))

    in_parts = learned()
    assert len(by_length(np.array([len(history) for history in LONG]), CPU)) > 1
    for place in (module, histories):
        monkeypatch.setattr(place, "by_length", lambda lengths, device: [np.arange(len(lengths))])
    torch.testing.assert_close(in_parts, learned())
