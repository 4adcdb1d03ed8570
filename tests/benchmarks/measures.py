"""What measures of lists cost an evaluation: SASRec on MovieLens 100K, and random scores over many items.

    python tests/benchmarks/measures.py

Evaluations with the default metrics and with measures of lists besides take turns; a figure is the median of their
ratios, each pair measured side by side. The first evaluation, which counts who has met what, is apart.
"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, TrialJob, WarmCache
from searchplat.contract.measures import BEYOND
from searchplat.methods import load_method
from trials.data.preparing.dataset import Queries, SearchData
from trials.training.loop import Loop
from trials.training.recommender import Recommender
from trials.training.settings.config import LoopConfig

PLAIN = ("mrr", "recall@10", "ndcg@10")
SETS = {
    "map@10, precision@10": ("map@10", "precision@10"),
    "all but diversity": tuple(name for name in BEYOND if not name.startswith("diversity")),
    "all of lists": BEYOND,
    "all groups of mrr, recall@10, ndcg@10": tuple(
        f"{group}/{name}"
        for group in ("cold", "warm", "tail", "torso", "head", "short", "medium", "long")
        for name in PLAIN
    ),
}
PAIRS = 9


class Products(Recommender):
    """Scores of a factorisation: the cheapest model that there is, so that ratios are at their worst."""

    def __init__(self, users: int, items: int) -> None:
        super().__init__()
        self.users_UD = torch.randn(users, 64)
        self.items_ND = torch.randn(items, 64)

    def scores(self, queries: Queries) -> Any:
        return self.users_UD[torch.as_tensor(queries.users_B)] @ self.items_ND.T


def random_data(users: int, items: int) -> SearchData:
    rng = np.random.default_rng(0)
    odds = 1 / np.arange(1, items + 1)
    lengths = rng.integers(5, 40, size=users)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    made = rng.choice(items, size=(offsets[-1] + users), p=odds / odds.sum()).astype(np.int32)
    names = [str(item) for item in range(items)]
    return SearchData(
        "random", made[: offsets[-1]], offsets, made[offsets[-1] :], np.arange(users), items, names, names, "random"
    )


def seconds(loop: Loop, names: tuple[str, ...]) -> float:
    data = loop.data
    began = time.perf_counter()
    loop.measure(data.valid_queries(), data.valid_targets(), None, names)
    return time.perf_counter() - began


def report(title: str, loop: Loop) -> None:
    plain = statistics.median(seconds(loop, PLAIN) for _ in range(3))
    print(f"{title}: {loop.data.num_users:,} users, {loop.data.num_items:,} items, {plain:.2f} s an evaluation")
    for name, more in SETS.items():
        first = seconds(loop, (*PLAIN, *more))
        pairs = [(seconds(loop, PLAIN), seconds(loop, (*PLAIN, *more))) for _ in range(PAIRS)]
        ratio = statistics.median(other / one for one, other in pairs)
        print(f"  {name}: {ratio:.2f} times, the first {first / plain:.2f} times", flush=True)


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(mkdtemp())
    method: Any = load_method("sasrec")
    job = TrialJob(None, method.Config(), DataRequest("ml-100k"), 1, folder, AssetStore(), WarmCache())
    report("SASRec", method.start(job))
    for users, items in ((2_000, 1_700), (2_000, 20_000), (2_000, 100_000)):
        data = random_data(users, items)
        report("products", Loop(Products(users, items), data, LoopConfig(), seed=1, folder=folder))


if __name__ == "__main__":
    main()
