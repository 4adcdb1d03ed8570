from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from by_hand import Folder, random_data, search_data
from torch.nn import functional as F

from searchplat.errors import InputError
from trials.backbones.encoders.text_encoder import load_text_encoder
from trials.blair import BLaIRConfig
from trials.blair.build import tuned
from trials.blair.pairs import Pairs, pairs_of
from trials.blair.tuning import TunableEncoder, contrast, tune

TITLES = ["red film", "blue film", "old book", "new book", "war", "love"]


PAIRS = Pairs(["blue", "red", "new", "love"], np.array([0, 1, 2, 3]), np.array([4, 5, 0, 1]))


def told_apart(made: TunableEncoder) -> float:
    candidates = made.read(TITLES)[PAIRS.items_I]
    return float(contrast(made.read(PAIRS.contexts), candidates, torch.arange(4), 0.05))


def encoder(**settings: Any) -> TunableEncoder:
    config = BLaIRConfig(text_encoder="random-bert", **settings)
    torch.manual_seed(0)
    return TunableEncoder(load_text_encoder("random-bert", Folder(), texts=TITLES), config, "cpu", None)


def test_a_contexts_item_is_told_from_those_of_the_batch() -> None:
    torch.manual_seed(0)
    contexts, items = (F.normalize(torch.randn(n, 4), dim=-1) for n in (3, 2))
    expected = 0.0
    for context, target in zip(contexts, (1, 0, 1), strict=True):
        f = [float(torch.exp(context @ item / 0.05)) for item in items]
        expected -= np.log(f[target] / sum(f)) / 3
    found = contrast(contexts, items, torch.tensor([1, 0, 1]), 0.05)
    assert float(found) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("what", ["head", "last", "all"])
def test_tuning_brings_words_to_their_items_and_leaves_the_original_alone(what: Any) -> None:
    made = encoder(tuned=what)
    names = {name for name, p in made.named_parameters() if p.requires_grad}
    before = made.read(TITLES)
    original = TunableEncoder.weights(made)
    config = BLaIRConfig(tuned=what, tune_epochs=20, tune_learning_rate=1e-2, tune_batch_size=6)
    tune(made, PAIRS, TITLES, config)
    assert set(made.weights()) == names == set(original)
    assert all(not torch.equal(made.weights()[name], original[name]) for name in names)
    assert told_apart(made) < told_apart(encoder(tuned=what)) / 2
    torch.testing.assert_close(encoder(tuned=what).read(TITLES), before)
    again = encoder(tuned=what)
    again.load(made.weights())
    torch.testing.assert_close(again.read(TITLES), made.read(TITLES))


def test_pairs_are_requests_with_what_answered_them_or_items_with_what_followed() -> None:
    data = search_data([[1, 2, 3], [4, 5], [0]], num_items=6)
    found = pairs_of(data, "auto")
    assert (found.contexts_I.tolist(), found.items_I.tolist()) == ([1, 2, 4], [2, 3, 5])
    assert found.contexts == list(data.sentences)
    data = search_data([[1, 2, 3], [4, 5], [0]], num_items=6, requests=["a", " ", "b", "", "a", "c"])
    found = pairs_of(data, "auto")
    assert ([found.contexts[row] for row in found.contexts_I], found.items_I.tolist()) == (
        ["a", "b", "a", "c"],
        [1, 3, 5, 0],
    )
    assert pairs_of(data, "items").contexts == list(data.sentences)
    with pytest.raises(InputError, match="context: data set 'by-hand' has no requests of its own"):
        pairs_of(random_data(), "requests")


def test_what_is_tuned_is_kept_and_says_nothing_of_validation(tmp_path: Path) -> None:
    config = BLaIRConfig(text_encoder="random-bert", tune_epochs=1)
    data = random_data()
    drawn = torch.random.get_rng_state()
    vectors, weights = tuned(config, data, Folder(tmp_path), "cpu")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(20))
    (kept,) = (tmp_path / "prepared" / "blair").glob("*.safetensors")
    written = kept.stat().st_mtime_ns
    again, _ = tuned(config.model_copy(update={"learning_rate": 0.1}), data, Folder(tmp_path), "cpu")
    assert torch.equal(again, vectors)
    assert kept.stat().st_mtime_ns == written
    other = random_data(valid_target_U=data.valid_target_U[::-1].copy())
    assert torch.equal(tuned(config, other, Folder(tmp_path / "elsewhere"), "cpu")[0], vectors)
    assert set(weights) == {"head.weight", "head.bias"}
