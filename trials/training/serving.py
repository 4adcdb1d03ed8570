"""A trained model that answers: from a final training's folder, or from a package that needs no data set.

A package holds the training's `model.safetensors` and `model.json`, and `items.json`: names, titles, sentences and
attributes of all items. It holds no user's history (what a model learnt of its users, DARec's user vectors, is among
the weights); frozen pretrained weights stay assets, by their name in the config.
`trials.training.final` writes the training's folder.
"""

from __future__ import annotations

import difflib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from searchplat.contract import AssetSource, DataRequest, Recommended, TrialJob, WarmCache, renewed
from searchplat.errors import InputError
from trials.data import open_search
from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries, SearchData
from trials.training.recommender import Recommender
from trials.training.seeds import seed_everything

if TYPE_CHECKING:
    from trials.training.method import RecommenderMethod

WEIGHTS = "model.safetensors"
ABOUT = "model.json"
ITEMS = "items.json"


@dataclass(frozen=True)
class Items:
    """What a model can recommend.

    Args:
        keys: `[N]` what the data set's files call the items.
        titles: `[N]`.
        sentences: `[N]` what methods that read text read of an item.
        attributes: Name -> `[N]` texts, for methods that read single attributes.
    """

    keys: Sequence[str]
    titles: Sequence[str]
    sentences: Sequence[str]
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)


class ServedModel:
    """A `searchplat.contract.Served` around a trained recommender.

    A history is all that is known of its user: the model is asked as for a user who was not in training, also if it
    is that of one who was. Models that keep a vector for each user (DARec's collaborative part) take the mean user's.

    Args:
        model: With its trained weights.
        batch_size: Histories scored at once.
    """

    def __init__(self, model: Recommender, items: Items, batch_size: int) -> None:
        self._model = model.eval()
        self._items = items
        self._batch_size = batch_size
        self._by_key = {key: n for n, key in enumerate(items.keys)}
        self._by_title: dict[str, list[int]] = {}
        for n, title in enumerate(items.titles):
            self._by_title.setdefault(_folded(title), []).append(n)

    @property
    def batch_size(self) -> int:
        """Histories scored at once."""
        return self._batch_size

    @property
    def model(self) -> Recommender:
        """What answers, in evaluation mode."""
        return self._model

    def top(
        self,
        histories: Sequence[Sequence[str | int]],
        k: int = 10,
        *,
        exclude_history: bool = True,
        requests: Sequence[str] | None = None,
    ) -> list[list[Recommended]]:
        """See `searchplat.contract.Served`. `id:` or `title:` before a text says which of the two it is."""
        if k < 1:
            raise InputError(f"k: must be at least 1, got {k}; 10 is usual")
        if requests is not None and len(requests) != len(histories):
            raise InputError(f"requests: must be one a history, got {len(requests)} for {len(histories)}")
        rows = [np.array([self.find(name) for name in history], dtype=np.int64) for history in histories]
        answers: list[list[Recommended]] = []
        with torch.inference_mode():
            self._model.start_evaluation()
            for start in range(0, len(rows), self._batch_size):
                part = rows[start : start + self._batch_size]
                asked = None if requests is None else requests[start : start + self._batch_size]
                for history, scores_N in zip(part, self._scores(part, asked), strict=True):
                    answers.append(self._best(scores_N, k, history if exclude_history else None))
        return answers

    def find(self, name: str | int) -> int:
        """Row of an item: by its name in the files, else by its title, in which case and spaces do not matter.

        Raises:
            InputError: If there is none, with the nearest titles, or several, with their names.
        """
        text = str(name).strip()
        kind, _, rest = text.partition(":")
        if kind != "title":
            key = rest.strip() if kind == "id" else text
            if key in self._by_key:
                return self._by_key[key]
        if kind == "id":
            raise InputError(f"item {text!r}: no item has this id; write its title instead")
        title = rest.strip() if kind == "title" else text
        found = self._by_title.get(_folded(title), [])
        if len(found) > 1:
            keys = ", ".join(self._items.keys[n] for n in found)
            raise InputError(f"item {text!r}: is the title of several items, whose ids are {keys}; give one of these")
        if not found:
            near = difflib.get_close_matches(_folded(title), self._by_title, n=3)
            hint = ", ".join(repr(self._items.titles[self._by_title[other][0]]) for other in near)
            raise InputError(
                f"item {text!r}: is neither an id nor a title of the {len(self._items.keys)} items"
                + (f"; near it are {hint}" if hint else "; take ids or titles of the data set")
            )
        return found[0]

    def _scores(self, histories: Sequence[IntArray], requests: Sequence[str] | None) -> Any:
        lengths = np.array([len(history) for history in histories], dtype=np.int64)
        queries = Queries(
            np.full(len(histories), UNKNOWN_USER, dtype=np.int64),
            np.concatenate([*histories, np.zeros(0, dtype=np.int64)]),
            np.concatenate([[0], np.cumsum(lengths)]),
            requests,
        )
        try:
            return self._model.scores(queries).float().cpu().numpy()
        except ValueError as error:
            if lengths.min(initial=1) == 0:
                raise InputError(f"a history is empty, which this model cannot answer ({error})") from error
            raise

    def _best(self, scores_N: Any, k: int, excluded: IntArray | None) -> list[Recommended]:
        scores_N = np.where(np.isnan(scores_N), -np.inf, scores_N)
        order = np.argsort(-scores_N, kind="stable")
        if excluded is not None:
            order = order[~np.isin(order, excluded)]
        items = self._items
        return [Recommended(items.keys[n], items.titles[n], float(scores_N[n])) for n in order[:k].tolist()]


def pack(folder: Path, target: Path, assets: AssetSource) -> None:
    """Write a package; see `searchplat.contract.ServingMethod`."""
    about = about_model(folder)
    items = _items(folder, about, assets)
    target.mkdir(parents=True)
    shutil.copyfile(folder / WEIGHTS, target / WEIGHTS)
    _write_json(target / ABOUT, about)
    columns = {"keys": items.keys, "titles": items.titles, "sentences": items.sentences}
    content: dict[str, Any] = {name: list(column) for name, column in columns.items()}
    content["attributes"] = {name: list(column) for name, column in items.attributes.items()}
    _write_json(target / ITEMS, content)


def load(method: RecommenderMethod, folder: Path, assets: AssetSource) -> ServedModel:
    """Make a trained model ready to answer, on the CPU; see `searchplat.contract.ServingMethod`."""
    about = about_model(folder)
    if about["method"] != method.name:
        raise InputError(f"{folder / ABOUT}: is a model of method {about['method']!r}, not of {method.name!r}")
    items = _items(folder, about, assets)
    options, values = renewed(about["data"]["options"], about["config"])
    config = method.Config(**values)
    request = DataRequest(about["data"]["name"], options, about["data"]["fraction"])
    job = TrialJob(None, config, request, about["seed"], folder, assets, WarmCache(), threads=torch.get_num_threads())
    with torch.random.fork_rng(devices=[]):
        seed_everything(about["seed"])
        model = method.rebuild(config, _stand_in(about, items), job)
    try:
        weights = safetensors.torch.load((folder / WEIGHTS).read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{folder / WEIGHTS}: the weights cannot be read ({error})") from error
    load_weights(model, weights, folder)
    return ServedModel(model, items, config.eval_batch_size)


def persistent_buffers(model: nn.Module) -> dict[str, Tensor]:
    """The buffers that belong to a model's state, by name; others are made anew with the model."""
    kept = model.state_dict().keys()
    return {name: buffer for name, buffer in model.named_buffers() if name in kept}


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], place: Path) -> None:
    """Copy trained parameters and persistent buffers into a model of the same make.

    Raises:
        InputError: If names or shapes differ.
    """
    own = {name: p for name, p in model.named_parameters() if p.requires_grad} | persistent_buffers(model)
    ours = {name: tuple(tensor.shape) for name, tensor in own.items()}
    theirs = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if ours != theirs:
        first = min(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        raise InputError(
            f"{place}: the weights are of another model: {first!r} must have shape {ours.get(first)}, "
            f"got {theirs.get(first)}; use the searchplat version that trained it"
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(weights[name])


def about_model(folder: Path) -> dict[str, Any]:
    """What a package or a final training's folder says of its model.

    Raises:
        InputError: If it holds none.
    """
    try:
        about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        about["method"], about["config"], about["data"]["fingerprint"], about["num_users"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"{folder}: holds no trained model: {ABOUT} cannot be read ({error})") from error
    return about


def _items(folder: Path, about: Mapping[str, Any], assets: AssetSource) -> Items:
    """From the package, else from the data set that the model was trained on."""
    if (folder / ITEMS).exists():
        try:
            return Items(**json.loads((folder / ITEMS).read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise InputError(f"{folder / ITEMS}: cannot be read ({error})") from error
    told = about["data"]
    data = open_search(DataRequest(told["name"], told["options"], told["fraction"], told["seed"]), assets)
    if data.fingerprint != told["fingerprint"]:
        raise InputError(
            f"{folder}: the model was trained on data {told['name']} with hash {told['fingerprint'][:12]}, but here it "
            f"has {data.fingerprint[:12]}; bring back the files it was trained on"
        )
    attributes = {name: list(column) for name, column in data.attributes.items()}
    return Items(list(data.keys), list(data.titles), list(data.sentences), attributes)


def _stand_in(about: Mapping[str, Any], items: Items) -> SearchData:
    """Data of the right sizes and texts in which every user has met item 0 twice: the weights hold what was learnt."""
    users = int(about["num_users"])
    return SearchData(
        name=about["data"]["name"],
        train_items=np.zeros(2 * users, dtype=np.int32),
        train_offsets=np.arange(users + 1, dtype=np.int64) * 2,
        valid_target_U=np.zeros(users, dtype=np.int32),
        users_U=np.arange(users, dtype=np.int64),
        num_items=len(items.keys),
        sentences=items.sentences,
        titles=items.titles,
        fingerprint=about["data"]["fingerprint"],
        keys=items.keys,
        attributes=items.attributes,
    )


def _folded(title: str) -> str:
    return " ".join(title.split()).casefold()


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
