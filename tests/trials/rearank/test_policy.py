from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from trials.backbones.decoders.packed_run import run_decoder
from trials.rearank.answers import Answers, chosen
from trials.rearank.batch import Shown
from trials.rearank.model import RearankModel
from trials.training.measures.best_items import NO_ITEM

Make = Callable[..., RearankModel]
SHOWN = Shown([np.array([1, 2]), np.array([7])], None, np.array([[4, 5, 6, 8], [3, 9, 2, NO_ITEM]]))
WAYS: list[dict[str, Any]] = [
    {"listing": "first"},
    {"listing": "first", "verbaliser": "titles"},
    {"listing": "written"},
    {"listing": "written", "verbaliser": "letters"},
    {"listing": "written", "reasoning_tokens": 3},
    {"listing": "first", "reasoning_tokens": 2},
]


def every_order(like: Answers) -> Answers:
    """For two prompts, of four and three candidates, the same reasoning and every list; those of three four times."""
    of_four = np.array(list(itertools.permutations(range(4))))
    of_three = np.array([[*order, 3] for order in itertools.permutations(range(3))] * 4)
    repeated = [np.repeat(getattr(like, field.name), 24, axis=0) for field in dataclasses.fields(like)]
    return dataclasses.replace(Answers(*repeated), orders_RK=np.concatenate([of_four, of_three]))


@pytest.mark.parametrize("way", WAYS, ids=str)
@torch.no_grad()
def test_all_lists_have_a_probability_of_1_and_the_likeliest_letter_is_written(make: Make, way: dict[str, Any]) -> None:
    made = make(**way)
    prompted = made._prompted(SHOWN)
    best = made.policy.write(prompted, 4)
    thoughts = best.thoughts_RT.shape[1]
    assert [sorted(order) for order in best.orders_RK.tolist()] == [[0, 1, 2, 3]] * 2
    assert best.orders_RK[1, 3] == 3
    every = every_order(best)
    log_RM = made.policy.log_probs(prompted, every)
    of_lists = log_RM[:, thoughts:].sum(1).exp().view(2, 24)
    torch.testing.assert_close(of_lists.sum(1), torch.tensor([1.0, 4.0]))
    for b in range(2):
        # The decoder that reads on with what it kept agrees with the one that reads all at once.
        written, orders = best.orders_RK[b], every.orders_RK[24 * b : 24 * (b + 1)]
        for step in range(3):
            same = (orders[:, :step] == written[:step]).all(axis=1)
            mass = [float(of_lists[b, same & (orders[:, step] == place)].sum()) for place in range(4)]
            assert int(np.argmax(mass)) == written[step]


@torch.no_grad()
def test_a_reasoning_is_as_likely_as_the_head_says_token_by_token(make: Make) -> None:
    made = make(listing="written", reasoning_tokens=3)
    policy, prompted = made.policy, made._prompted(SHOWN)
    answers = policy.write(prompted, 4, group=40, rng=np.random.default_rng(0))
    end = policy._script.closing[0]
    assert answers.ended_R.any()
    assert not answers.ended_R.all()
    log_RM = policy.log_probs(prompted, answers)
    decided = torch.from_numpy(answers.decided())
    assert (log_RM[~decided] == 0).all()
    assert (log_RM[:, :3][decided[:, :3]] < 0).all()
    (head,) = policy._head
    for r in [0, 41, int(np.flatnonzero(answers.ended_R)[0])]:
        thought = answers.thoughts_RT[r, : answers.lengths_R[r]]
        assert (end in thought) == answers.ended_R[r]
        ids = np.concatenate([prompted.tokens.row(r // 40), thought])
        read = np.arange(len(ids) - len(thought) - 1, len(ids) - 1)
        words = policy._lm.parts.embed(torch.from_numpy(ids))
        states = run_decoder(policy._lm, words, np.array([len(ids)]), read, np.array([len(read)]))
        expected = (states @ head.T).log_softmax(1)[np.arange(len(thought)), thought]
        torch.testing.assert_close(log_RM[r, : len(thought)], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", WAYS, ids=str)
@torch.no_grad()
def test_the_reference_is_the_model_as_it_began(make: Make, way: dict[str, Any]) -> None:
    made = make(**way)
    prompted, policy = made._prompted(SHOWN), made.policy
    answers = policy.write(prompted, 4, group=2, rng=np.random.default_rng(0))
    apart = policy.log_probs(prompted, answers, reference=True) - policy.log_probs(prompted, answers)
    assert apart.abs().max() > 1e-3
    assert policy.adapters is not None
    for update in (*policy.adapters.queries, *policy.adapters.values):
        torch.nn.init.zeros_(update.up.weight)
    if policy.verbaliser.kind != "words":
        torch.nn.init.zeros_(policy.verbaliser.vectors_KD)
        policy.verbaliser.bias_K.copy_(policy.started_K)
    apart = policy.log_probs(prompted, answers, reference=True) - policy.log_probs(prompted, answers)
    assert apart.abs().max() < 1e-5


def test_choices_follow_their_chances_and_what_has_none_is_never_taken() -> None:
    logits = torch.log(torch.tensor([[0.0, 0.2, 0.0, 0.8]]))
    uniforms = torch.tensor(np.random.default_rng(0).random(4000))
    found = chosen(logits.expand(4000, -1), uniforms)
    assert set(found.tolist()) == {1, 3}
    assert float((found == 1).double().mean()) == pytest.approx(0.2, abs=0.02)
    assert chosen(logits.expand(2, -1), torch.tensor([0.0, np.nextafter(1.0, 0)])).tolist() == [1, 3]
    assert chosen(logits, None).tolist() == [3]


@pytest.mark.parametrize("way", WAYS, ids=str)
@torch.no_grad()
def test_lists_are_drawn_from_logits_of_full_precision(make: Make, way: dict[str, Any]) -> None:
    made = make(**way, precision="bfloat16")
    seen: list[torch.dtype] = []
    made.policy.verbaliser.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
    prompted = made._prompted(SHOWN)
    made.policy.log_probs(prompted, made.policy.write(prompted, 4))
    assert set(seen) == {torch.float32}
