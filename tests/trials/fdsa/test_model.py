from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from by_hand import Folder, random_data
from method_cases import as_queries

from searchplat.contract import DataRequest
from searchplat.errors import InputError
from trials.fdsa import FDSA, FDSAConfig
from trials.fdsa.model import FDSAModel

TINY: dict[str, Any] = {"max_length": 4, "hidden_size": 8, "inner_size": 8, "batch_size": 3, "dropout": 0.0}


def make(**settings: Any) -> FDSAModel:
    data = random_data()
    torch.manual_seed(0)
    return FDSAModel(FDSAConfig(**{**TINY, **settings}), replace(data, attributes={"title": data.titles}))


def test_both_streams_are_read_and_merged() -> None:
    made = make().eval()
    encoder = made.encoder
    items = torch.tensor([[3, 5, 3, 1]])
    by_item = encoder.items.through_layers(encoder.items.item_embedding(items), None)
    by_feature = encoder.feature_layers.through_layers(encoder.features(items[0])[None], None)
    merged = encoder.merge_norm(encoder.merge(torch.cat([by_item, by_feature], dim=-1)))
    torch.testing.assert_close(encoder(items), merged)
    expected = merged[0, -1] @ encoder.items.item_embedding.weight.T
    torch.testing.assert_close(made.scores(as_queries([[9, 3, 5, 3, 1]]))[0], expected)


def test_what_is_said_of_items_changes_their_scores() -> None:
    made = make().eval()
    before = made.scores(as_queries([[1, 2]]))
    made.encoder.features.words_NKT[2] = made.encoder.features.words_NKT[7].clone()
    assert not torch.equal(made.scores(as_queries([[1, 2]])), before)


def test_a_place_does_not_see_what_comes_after_it() -> None:
    encoder = make().eval().encoder
    one, other = encoder(torch.tensor([[1, 2, 3, 4]])), encoder(torch.tensor([[1, 2, 3, 9]]))
    torch.testing.assert_close(one[:, :3], other[:, :3])


def test_all_that_trains_gets_a_gradient() -> None:
    made = make()
    made.loss(as_queries([[1, 2, 3], [4, 5]]))["next"].backward()
    assert all(parameter.grad is not None for parameter in made.parameters())


def test_an_attribute_that_the_data_lacks_is_refused(tmp_path: Path) -> None:
    request = DataRequest(name="toy", options={}, fraction=1.0, seed=1)
    with pytest.raises(InputError, match="data toy must have each, got colour; it has "):
        FDSA().prepare(FDSAConfig(attributes=("colour",)), request, Folder(tmp_path))
