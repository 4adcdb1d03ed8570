"""Names of items, and everything that can be wrong with a folder; the conformance suite loads every method."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest
from searchplat.errors import InputError
from trials.baselines import Popularity
from trials.data import open_search
from trials.sasrec import SASRec, SASRecConfig
from trials.sasrec.model import SASRecModel
from trials.training.serving import Items, ServedModel, load

KEYS = ["10", "11", "187", "13"]
TITLES = ["Toy Story", "Heat", "Heat", "187"]


class Ascending(torch.nn.Module):
    """Likes later items more; one of them is not a number."""

    def start_evaluation(self) -> None:
        pass

    def scores(self, queries: object) -> torch.Tensor:
        return torch.tensor([0.0, 1.0, float("nan"), 1.0]).expand(len(queries), -1)  # type: ignore[arg-type]


@pytest.fixture
def served() -> ServedModel:
    return ServedModel(Ascending(), Items(KEYS, TITLES, TITLES), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "row"),
    [("10", 0), (10, 0), ("toy  story", 0), ("id:11", 1), ("187", 2), ("title:187", 3), ("title: Toy Story ", 0)],
)
def test_items_are_found_by_id_before_title(served: ServedModel, name: str | int, row: int) -> None:
    assert served.find(name) == row


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Heat", "is the title of several items, whose ids are 11, 187; give one of these"),
        ("Toy Storey", "is neither an id nor a title of the 4 items; near it are 'Toy Story'"),
        ("zzzzzz", "take ids or titles of the data set"),
        ("id:Heat", "no item has this id"),
    ],
)
def test_what_is_not_found_is_said_with_a_remedy(served: ServedModel, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        served.top([[name]])


def test_ties_keep_the_order_of_items_and_nan_comes_last(served: ServedModel) -> None:
    (answer,) = served.top([[]], 4)
    assert [one.item for one in answer] == ["11", "13", "10", "187"]
    (some,) = served.top([["11"]], 2)
    assert [(one.item, one.title, one.score) for one in some] == [("13", "187", 1.0), ("10", "Toy Story", 0.0)]


def test_batches_and_their_order(served: ServedModel) -> None:
    answers = served.top([["10"], ["11"], ["13"]], 1)
    assert [answer[0].item for answer in answers] == ["11", "13", "11"]
    assert served.top([], 3) == []


def test_wrong_calls(served: ServedModel) -> None:
    with pytest.raises(InputError, match="k: must be at least 1, got 0"):
        served.top([["10"]], 0)
    with pytest.raises(InputError, match="one a history, got 1 for 2"):
        served.top([["10"], ["11"]], requests=["something light"])


@pytest.fixture
def assets(tmp_path: Path) -> AssetStore:
    return AssetStore(tmp_path / "cache")


@pytest.fixture
def folder(tmp_path: Path, assets: AssetStore) -> Path:
    """What a final training of SASRec leaves, with random weights."""
    data = open_search(DataRequest("toy"), assets)
    config = SASRecConfig(hidden_size=8, inner_size=8, num_layers=1, num_heads=1)
    path = tmp_path / "run"
    path.mkdir()
    model = SASRecModel(config, data)
    safetensors.torch.save_file(
        {name: tensor.detach() for name, tensor in model.named_parameters()}, path / "model.safetensors"
    )
    told = {"name": "toy", "options": {}, "fraction": 1.0, "seed": 0, "fingerprint": data.fingerprint}
    about = {
        "method": "sasrec", "config": config.model_dump(mode="json"), "data": told, "seed": 1,
        "num_users": data.num_users, "num_items": data.num_items,
    }  # fmt: skip
    (path / "model.json").write_text(json.dumps(about))
    return path


def test_a_model_from_before_the_data_set_said_what_is_ranked_is_served(folder: Path, assets: AssetStore) -> None:
    about = json.loads((folder / "model.json").read_text())
    about["config"]["exclude_history"] = False
    (folder / "model.json").write_text(json.dumps(about))
    assert len(load(SASRec(), folder, assets).top([["toy-3"]], 2)[0]) == 2


def test_the_keys_are_those_of_the_files(assets: AssetStore) -> None:
    data = open_search(DataRequest("toy"), assets)
    assert list(data.keys) == [f"toy-{n}" for n in range(40)]


def test_an_empty_history_is_refused_where_the_model_cannot_read_it(folder: Path, assets: AssetStore) -> None:
    served = SASRec().load(folder, assets)
    with pytest.raises(InputError, match="a history is empty, which this model cannot answer"):
        served.top([["toy-1"], []])


def test_loading_leaves_the_random_state_alone(folder: Path, assets: AssetStore) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    SASRec().load(folder, assets)
    np.testing.assert_array_equal(torch.get_rng_state(), before)


def change(name: str, value: object) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        about = json.loads((folder / "model.json").read_text())
        about[name] = {**about[name], **value} if isinstance(value, dict) else value
        (folder / "model.json").write_text(json.dumps(about))

    return apply


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model.json").unlink(), "holds no trained model: model.json cannot be read"),
        (lambda f: (f / "model.json").write_text("[]"), "holds no trained model"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x" * 20), "the weights cannot be read"),
        (change("data", {"fingerprint": "0" * 64}), "trained on data toy with hash 000000000000, but here it has"),
        (change("config", {"hidden_size": 4}), "the weights are of another model: .* must have shape"),
    ],
)
def test_a_spoilt_folder_is_refused(
    folder: Path, assets: AssetStore, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(InputError, match=message):
        SASRec().load(folder, assets)


def test_a_model_of_another_method_is_refused(folder: Path, assets: AssetStore) -> None:
    with pytest.raises(InputError, match="is a model of method 'sasrec', not of 'popularity'"):
        Popularity().load(folder, assets)
