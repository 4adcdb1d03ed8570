"""Where targets stand among all items, or among sampled ones, and which items stand first.

`metrics` turns the ranks into figures, `lists` the first items. Shape letters: `U` queries in all, `B` queries in a
batch, `N` items, `M` sampled negatives of a query, `T` targets of a query where it has several, `K` first items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trials.data.preparing.dataset import IntArray, Queries
from trials.training.measures.best_items import NO_ITEM, best_items, cells_of, nan_last
from trials.training.ranks import Ranks
from trials.training.recommender import Recommender

Progress = Callable[[str, int, int], None]
"""Called with the phase (`train` or `evaluate`), the batches done and the batches in all."""


@dataclass(frozen=True)
class Ranked:
    """How a model ranks.

    Args:
        ranks_CU: `[rankings, U]`, from 1; `[rankings, U, T]`, 0 for none, where queries have several targets.
        lists_UK: int32 `[U, K]`, the first items among all, best first, `NO_ITEM` where there are fewer.
    """

    ranks_CU: NDArray[np.int64]
    lists_UK: NDArray[np.int32]


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
    found = rankings(
        model,
        queries,
        targets_U,
        [negatives_UM],
        batch_size=batch_size,
        rank_met=rank_met,
        progress=progress,
    )
    ranks_U: NDArray[np.int64] = found.ranks_CU[0]
    return ranks_U


def rankings(
    model: Recommender,
    queries: Queries,
    targets_U: IntArray,
    candidates: Sequence[IntArray | None],
    *,
    batch_size: int,
    rank_met: bool = True,
    progress: Progress | None = None,
    first: int = 0,
) -> Ranked:
    """Rank each query's target by the model's scores, among all items and among sampled ones, scoring once.

    A rank is 1 + the number of other candidates that score at least as high: ties count against the
    target, so a model that gives every item the same score gets the last rank, not the first. NaN
    scores are treated as -inf, so they rank last too. Of several targets of a query each one has a rank of its own, of
    equal scores the earlier target the better one. Memory is that of `batch_size * N` scores.

    Which protocol is right is the data set's to say (`SearchData.rank_met`), the same for every method, so that figures
    of one table compare: DARec and MixRec "rank the ground-truth item of each sequence among all items" (section
    3.1.2) of Amazon's, where CRAMER and Prompt-BERT rank among items that the user has not met.

    Args:
        model: Scores the queries; its training mode is restored afterwards.
        queries: `U` histories.
        targets_U: `[U]` the item that continues each; or `[U, T]` several, distinct, `NO_ITEM` where there are fewer.
        candidates: One ranking each. `[U, M]` the other candidates of each query, distinct and without the target,
            `NO_ITEM` where there are fewer; or None for all items.
        batch_size: Queries scored at once, >= 1.
        rank_met: Whether the items of a query's own history are among all items; its target always is. It has no
            effect on given candidates.
        progress: Told about every batch.
        first: How many of the first items to list, at most N; without those of a query's history if `rank_met` is
            False, whether or not they are targets.

    Raises:
        ValueError: If the model's scores are not one row a query.
    """
    ranks_CU = np.empty((len(candidates), *targets_U.shape), dtype=np.int64)
    lists: list[NDArray[np.int32]] = []
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
                scores_BN = nan_last(scores_BN)
                for ranks_U, negatives_UM in zip(ranks_CU, candidates, strict=True):
                    if negatives_UM is None:
                        ranks_B = _rank_all(scores_BN, targets_U[rows], None if rank_met else batch)
                    else:
                        ranks_B = _rank_sampled(scores_BN, targets_U[rows], negatives_UM[rows])
                    ranks_U[rows] = ranks_B.cpu().numpy()
                if first:
                    items_BK = best_items(scores_BN, first, None if rank_met else batch)[0]
                    lists.append(items_BK.cpu().numpy().astype(np.int32))
                if progress is not None:
                    progress("evaluate", done + 1, batches)
    finally:
        model.train(was_training)
    none = np.zeros((0, min(first, lists[0].shape[1] if lists else first)), dtype=np.int32)
    return Ranked(ranks_CU, np.concatenate([none, *lists]) if first else np.zeros((len(queries), 0), dtype=np.int32))


def shared_rankings(
    ranks: Ranks,
    model: Recommender,
    rank_own: Callable[[Queries, IntArray, Sequence[IntArray | None]], Ranked],
    queries: Queries,
    targets: IntArray,
    candidates: Sequence[IntArray | None],
) -> Ranked:
    """`rankings` by several workers, each of which ranks a run of the queries; the same in all of them.

    Args:
        rank_own: `rankings` under the model's present weights.
    """
    if ranks.alone or len(queries) < ranks.workers:  # a model may count on some query
        return rank_own(queries, targets, candidates)
    first, stop = ranks.run(len(queries))
    mine = [None if negatives_UM is None else negatives_UM[first:stop] for negatives_UM in candidates]
    own = rank_own(queries.rows(first, stop), targets[first:stop], mine)
    ranks_CU = torch.zeros((len(candidates), *targets.shape), dtype=torch.int64)
    ranks_CU[:, first:stop] = torch.from_numpy(np.asarray(own.ranks_CU))
    ranks.add(ranks_CU)
    lists_UK = torch.zeros((len(queries), own.lists_UK.shape[1]), dtype=torch.int32)
    if lists_UK.shape[1]:
        lists_UK[first:stop] = torch.from_numpy(own.lists_UK)
        ranks.add(lists_UK)
    model.add_counts(ranks.add)
    return Ranked(ranks_CU.numpy(), lists_UK.numpy())


def _rank_all(scores_BN: Tensor, targets_B: IntArray, excluded: Queries | None) -> Tensor:
    """Ranks `[B]` or `[B, T]` among all items but those of the `excluded` histories."""
    several = targets_B.ndim == 2
    targets_BT = _index(targets_B if several else targets_B[:, None], scores_BN)
    # A query's missing targets stand for its first one, which is marked anyway.
    marked_BT = torch.where(targets_BT == NO_ITEM, targets_BT[:, :1], targets_BT)
    targets = scores_BN.gather(1, marked_BT)
    met = None if excluded is None else cells_of(excluded, scores_BN)
    ranks = []
    for one_B1 in targets[:, :, None].unbind(dim=1):
        ahead_BN = scores_BN >= one_B1
        if met is not None:
            ahead_BN[met] = False
        ahead_BN.scatter_(1, marked_BT, False)
        ranks.append(1 + ahead_BN.sum(dim=1))
    return _among(torch.stack(ranks, dim=1), targets, targets_BT) if several else ranks[0]


def _rank_sampled(scores_BN: Tensor, targets_B: IntArray, negatives_BM: IntArray) -> Tensor:
    """Ranks `[B]` or `[B, T]` among the targets and the given negatives."""
    several = targets_B.ndim == 2
    targets_BT = _index(targets_B if several else targets_B[:, None], scores_BN)
    present_BM = _index(negatives_BM != NO_ITEM, scores_BN).bool()
    negatives = scores_BN.gather(1, _index(np.maximum(negatives_BM, 0), scores_BN))
    targets = scores_BN.gather(1, targets_BT.clamp(min=0))
    ranks = [1 + ((negatives >= one_B1) & present_BM).sum(dim=1) for one_B1 in targets[:, :, None].unbind(dim=1)]
    return _among(torch.stack(ranks, dim=1), targets, targets_BT) if several else ranks[0]


def _among(ranks_BT: Tensor, scores_BT: Tensor, targets_BT: Tensor) -> Tensor:
    """Ranks among all candidates from those among the candidates that are no targets; 0 where there is no target."""
    there_BT = targets_BT != NO_ITEM
    ours_BT1, others_B1T = scores_BT[:, :, None], scores_BT[:, None, :]
    earlier_TT = torch.ones(scores_BT.shape[1], scores_BT.shape[1], device=scores_BT.device).tril(-1).bool()
    ahead_BTT = (others_B1T > ours_BT1) | ((others_B1T == ours_BT1) & earlier_TT)
    return (ranks_BT + (ahead_BTT & there_BT[:, None, :]).sum(dim=2)) * there_BT


def _index(values: NDArray[Any], like: Tensor) -> Tensor:
    return torch.as_tensor(values.astype(np.int64), device=like.device)
