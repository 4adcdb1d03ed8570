"""A trained model with all users of its data set: what it recommends to each of them.

Unlike `serving.ServedModel`, which answers for histories of strangers, a user who was trained on is asked about by the
row that the model knows, as in a final training's test.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from searchplat.contract import AssetSource, DataRequest, renewed
from searchplat.errors import InputError
from trials.data import open_search, open_user_keys
from trials.data.preparing.dataset import UNKNOWN_USER, IntArray, Queries, SearchData
from trials.training.measures.best_items import best_items, nan_last
from trials.training.recommender import Recommender
from trials.training.serving import about_model, load

if TYPE_CHECKING:
    from trials.training.method import RecommenderMethod


class AllUsers:
    """A `searchplat.contract.Listing`.

    Args:
        model: With its trained weights.
        data: All users of the data set.
        trained_U: `[U]` rows of the users in the model's training, `UNKNOWN_USER` of those who were not in it.
        users: `[U]` what the data set's files call them.
        batch_size: Users scored at once.
    """

    def __init__(
        self, model: Recommender, data: SearchData, trained_U: IntArray, users: Sequence[str], batch_size: int
    ) -> None:
        self.users, self.items, self.batch_size = users, data.keys, batch_size
        self._model, self._trained_U, self._rank_met = model.eval(), trained_U, data.rank_met
        self._queries = data.known_queries()
        self._started = False

    def top(
        self, users_B: NDArray[np.integer[Any]], k: int, *, repeats: bool | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """See `searchplat.contract.Listing`."""
        if k < 1:
            raise InputError(f"k: must be at least 1, got {k}; 10 is usual")
        found = self._queries.of(np.asarray(users_B, dtype=np.int64))
        queries = Queries(self._trained_U[users_B], found.items, found.offsets, found.requests, found.ratings)
        with torch.inference_mode(), _one_thread():
            if not self._started:  # once a process: it may read all items' texts
                self._model.start_evaluation()
                self._started = True
            scores_BN = nan_last(self._model.scores(queries).float())
            repeats = self._rank_met if repeats is None else repeats
            items_BK, scores_BK = best_items(scores_BN, k, None if repeats else queries)
        return items_BK.cpu().numpy().astype(np.int32), scores_BK.cpu().numpy().astype(np.float64)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within it torch takes one thread: sums then round alike in every process, whatever cores it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def open_listing(method: RecommenderMethod, folder: Path, assets: AssetSource) -> AllUsers:
    """Make a trained model ready, on the CPU; see `searchplat.contract.ListingMethod`."""
    served = load(method, folder, assets)
    told = about_model(folder)["data"]
    options, _ = renewed(told["options"], about_model(folder)["config"])
    trained = open_search(DataRequest(told["name"], options, told["fraction"], told["seed"]), assets)
    if trained.fingerprint != told["fingerprint"]:
        raise InputError(
            f"{folder}: the model was trained on data {told['name']} with hash {told['fingerprint'][:12]}, but here it "
            f"has {trained.fingerprint[:12]}; bring back the files it was trained on"
        )
    data = trained if told["fraction"] == 1 else open_search(DataRequest(told["name"], options), assets)
    trained_U = np.full(data.num_users, UNKNOWN_USER, dtype=np.int64)
    trained_U[trained.users_U] = np.arange(trained.num_users)
    return AllUsers(served.model, data, trained_U, open_user_keys(told["name"], options, assets), served.batch_size)
