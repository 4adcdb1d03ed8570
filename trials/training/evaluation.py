"""Where a target stands among all items, or among sampled ones. `metrics` turns the ranks into figures.

Shape letters: `U` queries in all, `B` queries in a batch, `N` items, `M` sampled negatives of a query.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.data.preparing.dataset import IntArray, Queries
from trials.training.ranks import Ranks
from trials.training.recommender import Recommender

NO_ITEM = -1
"""Fills a row of negatives that has fewer than `M`."""

Progress = Callable[[str, int, int], None]
"""Called with the phase (`train` or `evaluate`), the batches done and the batches in all."""


def target_ranks(
    model: Recommender,
    queries: Queries,
    targets_U: IntArray,
    *,
    batch_size: int,
    rank_met: bool = True,
    negatives_UM: IntArray | None = None,
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """Ranks `[U]` of each query's target among one kind of candidates; see `rankings`."""
    ranks_CU = rankings(
        model,
        queries,
        targets_U,
        [negatives_UM],
        batch_size=batch_size,
        rank_met=rank_met,
        progress=progress,
    )
    return ranks_CU.reshape(-1)


def rankings(
    model: Recommender,
    queries: Queries,
    targets_U: IntArray,
    candidates: Sequence[IntArray | None],
    *,
    batch_size: int,
    rank_met: bool = True,
    progress: Progress | None = None,
) -> NDArray[np.int64]:
    """Rank each query's target by the model's scores, among all items and among sampled ones, scoring once.

    A rank is 1 + the number of other candidates that score at least as high: ties count against the
    target, so a model that gives every item the same score gets the last rank, not the first. NaN
    scores are treated as -inf, so they rank last too. Memory is that of `batch_size * N` scores.

    Which protocol is right is the data set's to say (`SearchData.rank_met`), the same for every method, so that figures
    of one table compare: DARec and MixRec "rank the ground-truth item of each sequence among all items" (section
    3.1.2) of Amazon's, where CRAMER and Prompt-BERT rank among items that the user has not met.

    Args:
        model: Scores the queries; its training mode is restored afterwards.
        queries: `U` histories.
        targets_U: `[U]` the item that continues each.
        candidates: One ranking each. `[U, M]` the other candidates of each query, distinct and without the target,
            `NO_ITEM` where there are fewer; or None for all items.
        batch_size: Queries scored at once, >= 1.
        rank_met: Whether the items of a query's own history are among all items; its target always is. It has no
            effect on given candidates.
        progress: Told about every batch.

    Returns:
        `[rankings, U]` ranks, from 1.

    Raises:
        ValueError: If the model's scores are not one row a query.
    """
    ranks_CU = np.empty((len(candidates), len(queries)), dtype=np.int64)
    batches = -(-len(queries) // batch_size)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            model.start_evaluation()
            for done, start in enumerate(range(0, len(queries), batch_size)):
                rows = slice(start, min(start + batch_size, len(queries)))
                batch = queries.rows(rows.start, rows.stop)
                scores_BN = model.scores(batch)
                if scores_BN.ndim != 2 or scores_BN.shape[0] != len(batch):
                    raise ValueError(
                        f"{type(model).__name__}.scores must return one row a query, [{len(batch)}, N], "
                        f"got {list(scores_BN.shape)}"
                    )
                for ranks_U, negatives_UM in zip(ranks_CU, candidates, strict=True):
                    if negatives_UM is None:
                        ranks_B = _rank_all(scores_BN, targets_U[rows], None if rank_met else batch)
                    else:
                        ranks_B = _rank_sampled(scores_BN, targets_U[rows], negatives_UM[rows])
                    ranks_U[rows] = ranks_B.cpu().numpy()
                if progress is not None:
                    progress("evaluate", done + 1, batches)
    finally:
        model.train(was_training)
    return ranks_CU


def shared_rankings(
    ranks: Ranks,
    model: Recommender,
    rank_own: Callable[[Queries, IntArray, Sequence[IntArray | None]], IntArray],
    queries: Queries,
    targets_U: IntArray,
    candidates: Sequence[IntArray | None],
) -> IntArray:
    """`rankings` by several workers, each of which ranks a run of the queries; the same in all of them.

    Args:
        rank_own: `rankings` under the model's present weights.
    """
    if ranks.alone or len(queries) < ranks.workers:  # a model may count on some query
        return rank_own(queries, targets_U, candidates)
    first, stop = ranks.run(len(queries))
    mine = [None if negatives_UM is None else negatives_UM[first:stop] for negatives_UM in candidates]
    ranks_CU = torch.zeros((len(candidates), len(queries)), dtype=torch.int64)
    own_CU = rank_own(queries.rows(first, stop), targets_U[first:stop], mine)
    ranks_CU[:, first:stop] = torch.from_numpy(np.asarray(own_CU))
    ranks.add(ranks_CU)
    model.add_counts(ranks.add)
    return ranks_CU.numpy()


def _rank_all(scores_BN: Tensor, targets_B: IntArray, excluded: Queries | None) -> Tensor:
    """Ranks `[B]` among all items but those of the `excluded` histories."""
    scores_BN = _nan_last(scores_BN)
    targets_B1 = _index(targets_B, scores_BN)[:, None]
    ahead_BN = scores_BN >= scores_BN.gather(1, targets_B1)
    if excluded is not None:
        rows = np.repeat(np.arange(len(excluded)), np.diff(excluded.offsets))
        ahead_BN[_index(rows, scores_BN), _index(excluded.items, scores_BN)] = False
    ahead_BN.scatter_(1, targets_B1, False)
    return 1 + ahead_BN.sum(dim=1)


def _rank_sampled(scores_BN: Tensor, targets_B: IntArray, negatives_BM: IntArray) -> Tensor:
    """Ranks `[B]` among the target and the given negatives."""
    scores_BN = _nan_last(scores_BN)
    present_BM = _index(negatives_BM != NO_ITEM, scores_BN).bool()
    negatives = scores_BN.gather(1, _index(np.maximum(negatives_BM, 0), scores_BN))
    ahead_BM = (negatives >= scores_BN.gather(1, _index(targets_B, scores_BN)[:, None])) & present_BM
    return 1 + ahead_BM.sum(dim=1)


def _nan_last(scores_BN: Tensor) -> Tensor:
    return torch.where(scores_BN.isnan(), -torch.inf, scores_BN)


def _index(values: NDArray[Any], like: Tensor) -> Tensor:
    return torch.as_tensor(values.astype(np.int64), device=like.device)
