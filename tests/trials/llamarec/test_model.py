from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder, search_data
from method_cases import as_queries
from pydantic import ValidationError
from torch.nn import functional as F

from trials.backbones.decoders.candidate_prompts import Prompts, letter_tokens, texts, tokenised
from trials.backbones.decoders.decoder_lm import load_decoder
from trials.backbones.recommenders.retrieved import Examples, examples_of, retrieve
from trials.backbones.recommenders.sasrec import SASRecEncoder
from trials.llamarec import LlamaRecConfig
from trials.llamarec.examples import drawn
from trials.llamarec.model import LlamaRecModel
from trials.llamarec.prompts import TEMPLATE
from trials.nn.verbaliser import place_bias

HISTORIES = [[1, 2, 3, 4, 5], [1, 2], [9, 10, 11], [7]]
TITLES = [f"film {n} red" for n in range(20)]


def retriever() -> SASRecEncoder:
    torch.manual_seed(0)
    sizes: dict[str, Any] = {"num_layers": 1, "num_heads": 1, "hidden_size": 8, "inner_size": 8, "dropout": 0.0}
    encoder = SASRecEncoder(20, max_length=10, **sizes).eval()
    torch.nn.init.normal_(encoder.item_embedding.weight)
    return encoder


def make(examples: Examples | None = None, *, rank_met: bool = True, **settings: Any) -> LlamaRecModel:
    config = LlamaRecConfig(backbone="random-llama", **{"candidates": 4, "max_items": 3, "rank": 2, **settings})
    lm = load_decoder("random-llama", Folder(), texts=texts(TEMPLATE, TITLES))
    prompts = Prompts(tokenised(lm.tokenize, TEMPLATE, TITLES, 8, lines=True))
    words = lm.parts.embed(torch.from_numpy(letter_tokens(lm.tokenize, 4, "random-llama")))
    examples = examples or examples_of(search_data(HISTORIES, 20), None)
    made = LlamaRecModel(config, lm, prompts, words, retriever(), examples, rank_met=rank_met)
    if made.adapters is not None:
        for update in (*made.adapters.queries, *made.adapters.values):
            torch.nn.init.normal_(update.up.weight, std=0.1)
    return made


def test_random_candidates_hold_the_target_once_and_nothing_met() -> None:
    examples = examples_of(search_data(HISTORIES, 20), None)
    rows = np.arange(len(examples))
    found = drawn(examples, rows, 15, 20, np.random.default_rng(0))
    for e, candidates in enumerate(found):
        assert len(set(candidates)) == 15
        assert examples.targets_E[e] in candidates
        assert not set(candidates) & set(examples.histories.row(e).tolist())
    places = [np.flatnonzero(row == target)[0] for row, target in zip(found, examples.targets_E, strict=True)]
    assert len(set(places)) > 1


def test_the_loss_is_the_answers_letter_among_the_heads_letters() -> None:
    made = make().eval()
    lm = made._lm
    batch = made.batch(np.array([0, 3]), np.random.default_rng(0))
    assert [len(history) for history in batch.histories] == [1, 3]
    terms = []
    for history, candidates, answer in zip(batch.histories, batch.candidates_BK, batch.answers_B, strict=True):
        shown = "".join(f" {TITLES[item]}\n" for item in history)
        pool = "".join(f"({letter}) {TITLES[item]}\n" for letter, item in zip("ABCD", candidates, strict=True))
        (ids,) = lm.tokenize([TEMPLATE.head + shown + TEMPLATE.pool + pool + TEMPLATE.response])
        h = lm.parts.embed(torch.tensor(ids))
        positions = torch.arange(len(ids))
        for layer in lm.parts.layers:
            rotation = lm.parts.rotation(positions)
            x = layer.before_attention(h)
            q = layer.queries(x, rotation)
            k, v = (part.repeat_interleave(q.shape[1] // part.shape[1], 1) for part in layer.keys_values(x, rotation))
            weights = torch.einsum("qhc,khc->hqk", q, k) * layer.scale
            weights = weights.masked_fill(torch.ones(len(ids), len(ids)).triu(1).bool(), -torch.inf).softmax(-1)
            h = h + layer.output(torch.einsum("hqk,khc->qhc", weights, v).flatten(1))
            h = h + layer.feed_forward(layer.before_feed_forward(h))
        letters = lm.parts.embed(torch.tensor([lm.tokenize([letter])[0][0] for letter in "ABCD"]))
        terms.append(F.cross_entropy(letters @ lm.parts.final_norm(h)[-1], torch.tensor(answer)))
    torch.testing.assert_close(made.loss(batch)["letter"], torch.stack(terms).mean(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank_met", [True, False])
def test_what_is_retrieved_comes_first_in_the_letters_order_and_the_rest_as_the_retriever_has_it(
    rank_met: bool,
) -> None:
    made = make(rank_met=rank_met).eval()
    history = [3, 5, 7, 8, 9]
    found = made.scores(as_queries([history]))[0]
    before, candidates = retrieve(made.retriever, as_queries([history]), 4, rank_met=rank_met)
    logits = made.logits([np.array([7, 8, 9])], candidates.numpy())[0]
    items = candidates[0]
    assert rank_met or not set(items.tolist()) & set(history)
    torch.testing.assert_close(found[items] - found[items].min(), logits - logits.min())
    rest = torch.ones(20, dtype=torch.bool)
    rest[items] = False
    assert torch.equal(found[rest], before[0][rest])
    if not rest[history].any() or rank_met:
        assert found[items].min() >= found[rest].max()


def test_with_fewer_items_than_letters_all_are_ranked() -> None:
    made = make(rank_met=False).eval()
    found = made.scores(as_queries([range(18)]))[0]
    assert found.isfinite().all()
    assert found.shape == (20,)


@pytest.mark.parametrize("verbaliser", ["letters", "titles"])
def test_a_verbaliser_of_ours_starts_at_the_retrievers_order_and_the_rest_learns_nothing(verbaliser: str) -> None:
    every = examples_of(search_data(HISTORIES, 20), None)
    rng = np.random.default_rng(0)
    candidates = np.stack([rng.permutation(np.delete(np.arange(20), target)[:4]) for target in every.targets_E])
    candidates[np.arange(7), [0, 1, 2, 1, 0, 1, 1]] = every.targets_E
    made = make(Examples(every.histories, every.targets_E, every.places_E, candidates), verbaliser=verbaliser)
    made.condition(np.arange(7), rng)
    batch = made.batch(np.arange(7), rng)
    started = place_bias(np.array([0, 1, 2, 1, 0, 1, 1]), 4)
    torch.testing.assert_close(made.logits(batch.histories, batch.candidates_BK), started.expand(7, 4))
    torch.nn.init.normal_(made.verbaliser.vectors_KD)
    made.loss(batch)["letter"].backward()
    learn = {name for name, p in made.named_parameters() if p.grad is not None and p.grad.any()}
    assert learn == {name for name, _ in made.named_parameters()}
    assert all(name.startswith(("adapters.", "verbaliser.")) for name in learn)
    assert all(not p.requires_grad for p in made._lm.parts.model.parameters())


def test_a_title_is_read_with_the_history_and_what_stands_before_it_alone() -> None:
    made = make(verbaliser="titles").eval()
    torch.nn.init.normal_(made.verbaliser.vectors_KD)
    history = np.array([1, 2])

    def logits(history: Any, *candidates: int) -> torch.Tensor:
        return made.logits([history], np.array([candidates]))[0]

    found = logits(history, 5, 6, 7, 8)
    torch.testing.assert_close(logits(history, 5, 6, 9, -1)[:2], found[:2])
    assert (logits(history[:1], 5, 6, 7, 8) - found).abs().min() > 1e-4
    assert (logits(history, 5, 6, 9, 8) - found).abs()[2:].min() > 1e-4


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="rank must be at least 1 with verbaliser=words, got 0"):
        LlamaRecConfig(rank=0)
    with pytest.raises(ValidationError, match="targets_per_user must be a number with training_candidates=held-out"):
        LlamaRecConfig(training_candidates="held-out")
