from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries

from trials.backbones.recommenders.cloze import Cloze
from trials.bert4rec import BERT4RecConfig
from trials.bert4rec.model import BERT4RecModel
from trials.data.preparing.dataset import SearchData

TINY: dict[str, Any] = {"max_length": 5, "hidden_size": 8, "inner_size": 8, "batch_size": 3, "dropout": 0.0}


def counting_up(lengths: list[int]) -> SearchData:
    """Sequences of these lengths, in which no item occurs twice."""
    return search_data(np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1]), max(30, sum(lengths)))


def make(lengths: list[int], **settings: Any) -> BERT4RecModel:
    torch.manual_seed(0)
    return BERT4RecModel(BERT4RecConfig(**{**TINY, **settings}), counting_up(lengths))


def epoch(model: BERT4RecModel, seed: int = 0) -> list[Cloze]:
    batches = list(model.batches(0, np.random.default_rng(seed)))
    assert len(batches) == model.num_batches()
    return batches


def test_the_loss_is_that_of_a_loop_over_windows_and_hidden_places() -> None:
    made = make([5], max_length=6)
    encoder = made.encoder
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    rows = [[1, 2, 3, 4, 5], [7, 8], [9, 10, 11, 12, 13, 14]]
    hidden = [[0, 1, 0, 0, 1], [1, 0], [0, 0, 0, 0, 0, 1]]
    batch = Cloze(as_queries(rows), np.array(list(chain(*hidden)), dtype=np.bool_))
    losses = []
    for row, flags in zip(rows, hidden, strict=True):
        vectors = [
            encoder.mask_token if flag else encoder.item_embedding.weight[item]
            for item, flag in zip(row, flags, strict=True)
        ]
        x_LD = torch.stack([vector + encoder.position_embedding.weight[n] for n, vector in enumerate(vectors)])
        x_LD = encoder.norm(x_LD)
        for layer in encoder.layers:
            out = torch.empty_like(x_LD)
            for place in range(len(row)):  # attention written out, head by head
                heads = []
                for head in range(2):
                    part = slice(4 * head, 4 * head + 4)
                    query = layer.query(x_LD)[place, part]
                    weights = torch.softmax(layer.key(x_LD)[:, part] @ query / 2, dim=0)
                    heads.append(weights @ layer.value(x_LD)[:, part])
                out[place] = torch.cat(heads)
            x_LD = layer.attention_norm(x_LD + layer.output(out))
            x_LD = layer.feed_forward_norm(x_LD + layer.outer(torch.nn.functional.gelu(layer.inner(x_LD))))
        for place, item in enumerate(row):
            if flags[place]:
                state = encoder.head_norm(torch.nn.functional.gelu(encoder.head(x_LD[place])))
                scores_N = state @ encoder.item_embedding.weight.T + encoder.item_bias
                losses.append(torch.logsumexp(scores_N, dim=0) - scores_N[item])
    torch.testing.assert_close(made.loss(batch)["cloze"], torch.stack(losses).mean())


@pytest.mark.parametrize("copies", [1, 3])
def test_an_epoch_hides_a_place_in_every_window_and_cuts_each_copy_anew(copies: int) -> None:
    lengths = [1, 2, 3, 6, 7, 11, 0, 40]
    data = counting_up(lengths)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    batches = epoch(make(lengths, copies=copies))
    windows = [(b.rows.history(i), b.part(i, i + 1).hidden_E) for b in batches for i in range(len(b.rows))]
    for items, hidden in windows:
        assert 2 <= len(items) <= 5
        assert hidden.any()
        assert (np.diff(items) == 1).all()  # the sequences of this data count up
        assert len(set(owner[items])) == 1
    covered = np.bincount(np.concatenate([items for items, _ in windows]), minlength=data.num_items)
    assert covered.max() <= copies
    assert {int(owner[items[0]]) for items, _ in windows} == {1, 2, 3, 4, 5, 7}
    again = epoch(make(lengths, copies=copies))
    other = epoch(make(lengths, copies=copies), seed=1)
    assert all(np.array_equal(a.rows.items, b.rows.items) for a, b in zip(batches, again, strict=True))
    assert not all(np.array_equal(a.rows.items, b.rows.items) for a, b in zip(batches, other, strict=True))


def test_in_time_every_item_but_a_first_is_the_last_of_a_window() -> None:
    made = make([12], copies=200, last_only=1.0)
    last = {int(b.rows.history(i)[-1]) for b in epoch(made) for i in range(len(b.rows))}
    assert last == set(range(1, 12))


def test_a_batch_hides_the_last_items_alone_or_every_item_by_chance() -> None:
    batches = epoch(make([50] * 40, copies=20, last_only=0.5, batch_size=50, max_length=20))
    sole = [np.array_equal(np.flatnonzero(b.hidden_E), b.rows.offsets[1:] - 1) for b in batches]
    assert np.mean(sole) == pytest.approx(0.5, abs=0.15)
    others = np.concatenate([b.hidden_E for b, only in zip(batches, sole, strict=True) if not only])
    assert others.mean() == pytest.approx(0.2, abs=0.02)


def test_more_batches_than_windows_repeat_some() -> None:
    batches = epoch(make([6, 6], max_length=5, batch_size=1))
    assert all(len(b.rows) == 1 for b in batches)


def test_without_a_sequence_of_two_items_there_is_nothing_to_train_on() -> None:
    assert epoch(make([1, 1])) == []


def test_scores_follow_the_history() -> None:
    made = make([5]).eval()
    one, other = made.scores(as_queries([[1, 2, 3]])), made.scores(as_queries([[3, 2, 1]]))
    assert one.shape == (1, 30)
    assert not torch.allclose(one, other)


def test_defaults_are_those_of_recbole() -> None:
    config = BERT4RecConfig()
    sizes = (config.num_layers, config.num_heads, config.hidden_size, config.inner_size, config.max_length)
    assert sizes == (2, 2, 64, 256, 50)
    assert (config.dropout, config.mask_ratio, config.last_only) == (0.2, 0.2, 0.5)
