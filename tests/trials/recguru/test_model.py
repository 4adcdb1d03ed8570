"""The decoders, the losses and who learns from which, against references written otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import search_data
from method_cases import as_queries
from pydantic import ValidationError
from torch.nn import functional as F

from trials.backbones.recommenders.masks import NO_MASKS
from trials.recguru import RecGURUConfig
from trials.recguru.model import RecGURUModel, second_halves
from trials.recguru.network import UserAwareLayer

TINY: dict[str, Any] = {"max_length": 6, "hidden_size": 8, "inner_size": 8, "batch_size": 4, "dropout": 0.0}
TINY |= {"discriminator_factor": 2, "discriminator_dropout": 0.0, "epochs": 4}
ROWS = [[1, 2, 3, 4, 5, 6], [7, 8], [9, 1, 2]]


def make(**settings: Any) -> RecGURUModel:
    rng = np.random.default_rng(0)
    data = search_data([rng.integers(30, size=length) for length in (9, 3, 6, 2, 5)], num_items=30)
    torch.manual_seed(0)
    made = RecGURUModel(RecGURUConfig(**{**TINY, **settings}), data)
    for weight in made.parameters():  # off the quiet start, so that every part matters
        torch.nn.init.normal_(weight, std=0.3)
    return made.eval()


def user_of(made: RecGURUModel, items: list[int]) -> torch.Tensor:
    return made.encoder.users(torch.tensor([items]))[0, -1]


def test_a_layer_attends_to_items_then_to_the_user_then_feeds() -> None:
    torch.manual_seed(0)
    layer = UserAwareLayer(8, 2, 8, 0.0).eval()
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    states, user = torch.randn(1, 5, 8), torch.randn(8)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([torch.randn(16, 8), layer.user_value.weight]))
        attention.in_proj_bias.copy_(torch.cat([torch.randn(16), layer.user_value.bias]))
        attention.out_proj.weight.copy_(layer.user_output.weight)
        attention.out_proj.bias.copy_(layer.user_output.bias)
    attended = layer.attended(states, NO_MASKS, None)
    repeated = user.expand(1, 5, -1)
    told = attention(attended, repeated, repeated)[0]
    expected = layer.fed(layer.user_norm(attended + told), NO_MASKS)
    torch.testing.assert_close(layer.read(states, repeated), expected)


def test_the_losses_are_those_of_every_window_by_itself() -> None:
    made = make(lambda_reconstruction=0.5, lambda_adversary=0.25, lambda_overlap=2.0)
    network, table = made.encoder, made.encoder.encoder.item_embedding.weight
    following, said, overlap, logits = [], [], [], []
    for row in ROWS:
        read = row[:-1]
        for place in range(1, len(row)):
            users = torch.stack([user_of(made, row[: end + 1]) for end in range(place)])[None]
            state = network.recommender(table[row[:place]][None], users)[0, -1]
            following.append(F.cross_entropy(table @ state, torch.tensor(row[place])))
            torch.testing.assert_close(made.scores(as_queries([row[:place]]))[0], table @ state, rtol=1e-4, atol=1e-4)
        shifted = torch.cat([network.start_D[None], table[read[:-1]]])[None]
        states = network.decoder(shifted, user_of(made, read).expand(1, len(read), -1))[0]  # type: ignore[misc]
        said += [F.cross_entropy(table @ state, torch.tensor(item)) for state, item in zip(states, read, strict=True)]
        if len(read) >= 2:
            halves = [user_of(made, half) for half in (read[: len(read) // 2], read[len(read) // 2 :])]
            overlap.append(((halves[0] - halves[1]) ** 2).mean())
            logits.append([made.discriminator(half[None])[0] for half in halves])  # type: ignore[misc]
    losses = made.loss(as_queries(ROWS))
    mean = {name: torch.stack(terms).mean() for name, terms in (("f", following), ("s", said), ("o", overlap))}
    told = torch.stack([-F.logsigmoid(-first) - F.logsigmoid(second) for first, second in logits]).mean() / 2
    fooled = torch.stack([-F.logsigmoid(first) - F.logsigmoid(-second) for first, second in logits]).mean() / 2
    expected = {"next": mean["f"], "reconstruction": 0.5 * mean["s"], "overlap": 2 * mean["o"]}
    expected |= {"adversary": 0.25 * fooled, "discriminator": told}
    assert set(losses) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, rtol=1e-4, atol=1e-4)


def test_each_side_of_the_contest_learns_from_its_own_loss() -> None:
    made = make()
    sides = {
        "adversary": made.encoder.encoder.layers[0].query.weight,  # type: ignore[union-attr]
        "discriminator": made.discriminator.output.weight,  # type: ignore[union-attr]
    }
    for loss, weight in sides.items():
        made.zero_grad()
        made.loss(as_queries(ROWS))[loss].backward()
        for other in sides.values():
            assert (other.grad is not None and bool(other.grad.any())) == (other is weight)


@pytest.mark.parametrize("detached", [True, False])
def test_the_recommenders_loss_reaches_the_encoder_only_if_told(detached: bool) -> None:
    made = make(detach_users=detached)
    made.loss(as_queries(ROWS))["next"].backward()
    assert (made.encoder.encoder.layers[0].query.weight.grad is None) == detached  # type: ignore[union-attr]
    assert made.encoder.encoder.item_embedding.weight.grad is not None


def test_what_follows_a_place_is_not_seen_there() -> None:
    made = make(detach_users=False)
    one, other = made.encoder(torch.tensor([[1, 2, 3, 4], [1, 2, 8, 9]]))
    assert torch.equal(one[:2], other[:2])
    assert not torch.equal(one[2], other[2])


def test_pre_training_is_the_contest_and_what_follows_is_not() -> None:
    made = make(pretrain_epochs=1)
    contest = {"reconstruction", "adversary", "discriminator", "overlap"}
    for epoch, names in enumerate([contest, {"next", "reconstruction"}]):
        batch = next(iter(made.batches(epoch, np.random.default_rng(0))))
        assert set(made.loss(batch)) == names
        weights = [made.share(batch, rank, 3)[1] for rank in range(3)]
        assert {name: pytest.approx(1.0) for name in names} == {name: sum(w[name] for w in weights) for name in names}
    assert set(make(lambda_adversary=0.0, lambda_overlap=0.0).loss(as_queries(ROWS))) == {"next", "reconstruction"}


def test_windows_of_one_item_have_no_halves() -> None:
    made = make()
    assert set(made.loss(as_queries([[1, 2], [3, 4]]))) == {"next", "reconstruction"}
    assert set(made.share(as_queries([[1, 2], [3, 4]]), 0, 2)[1]) == {"next", "reconstruction"}
    halves, lengths = second_halves(
        torch.tensor([[1, 2, 3, 4, 5], [6, 7, 0, 0, 0]]), torch.tensor([5, 2]), torch.tensor([2, 1])
    )
    assert halves.tolist() == [[3, 4, 5], [7, 0, 0]]
    assert lengths.tolist() == [3, 1]


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="pretrain_epochs must be below epochs, got pretrain_epochs=3, epochs=3"):
        RecGURUConfig(epochs=3, pretrain_epochs=3)
    with pytest.raises(ValidationError, match="lambda_reconstruction must be above 0 with detach_users"):
        RecGURUConfig(lambda_reconstruction=0.0)
    with pytest.raises(ValidationError, match="lambda_reconstruction must be above 0 with pretrain_epochs"):
        RecGURUConfig(lambda_reconstruction=0.0, detach_users=False, pretrain_epochs=1)
