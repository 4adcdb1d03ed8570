"""Promotions with known ranks, without training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from searchplat.promotion.record import FINAL, FINISHED, Promotion, PromotionRun
from searchplat.promotion.statistics import per_user

METRICS = ("mrr", "ndcg@10")
Make = Callable[..., Promotion]


@pytest.fixture
def promoted(tmp_path: Path) -> Make:
    """Makes a promotion; `quality` is each candidate's mean rank, the smaller the better."""

    def make(
        search: str = "first",
        quality: dict[str, float] | None = None,
        *,
        method: str = "darec",
        users: int = 300,
        seeds: Sequence[int] = (1, 2, 3),
        data: str = "toy",
        fingerprint: str = "f" * 64,
        **more: Any,
    ) -> Promotion:
        quality = quality or {"trial-3": 4.0, "trial-5": 6.0, "default": 12.0, "popularity": 20.0}
        ease = np.random.default_rng(0).gamma(2.0, 0.5, size=users)  # the users are the same for everybody
        runs = []
        for place, (candidate, mean) in enumerate(quality.items()):
            for seed in seeds:
                rng = np.random.default_rng([place, seed])
                ranks = (1 + rng.poisson(mean * ease)).astype(np.int32)
                path = tmp_path / search / f"{candidate}-{seed}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, ranks)
                figures = {metric: float(per_user(metric, ranks).mean()) for metric in METRICS}
                trial = candidate.startswith("trial-")
                runs.append(
                    PromotionRun(
                        candidate=candidate, trial=int(candidate[6:]) if trial else place,
                        control=None if trial else candidate,
                        method="popularity" if candidate == "popularity" else method, config={"x": 1}, seed=seed,
                        phase=FINAL, folder=path.with_suffix(""), state=FINISHED, valid=figures, test=figures,
                        best_epoch=2, epochs=4, seconds=10.0 + seed, peak_bytes=2.0**30, parameters=1234, ranks=path,
                        data_fingerprint=fingerprint,
                    )
                )  # fmt: skip
        scores = {candidate: 1 / mean for candidate, mean in quality.items()}
        return Promotion(
            search=search, number=1, data=data, data_options=more.pop("data_options", {}),
            data_fingerprint=fingerprint, num_users=users, metrics=METRICS, search_scores=scores, lineage={},
            test_openings=12, runs=tuple(runs), **more,
        )  # fmt: skip

    return make
