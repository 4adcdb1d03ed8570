"""Trials of other searches as prior means of the models of the search at hand: one for each objective and task.

Next: `models.prior_mean`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from searchplat.searchers.options import PROptions
from searchplat.searchers.pr.models.prior_mean import PriorMean
from searchplat.searchers.pr.proposal import family_of, models_of, one_thread, standardised
from searchplat.searchers.transfer import SourceTask, varied
from searchplat.spec.space import Space

if TYPE_CHECKING:
    from searchplat.searchers.pr.searcher import Codec

_LEAST = 3
"""Different values that a task has at least; fewer say nothing of a function of points."""


def prior_means(
    codec: Codec, space: Space, tasks: Sequence[SourceTask], signs_J: Tensor, options: PROptions
) -> list[list[PriorMean]]:
    """Fit the tasks, each by itself and on its own standardised values.

    Axes on which a task's trials do not differ, or which it does not have, are none of its business: it says the same
    of all points that differ on these alone.

    Args:
        codec: Of the space.
        tasks: With trials in the space alone.
        signs_J: 1 where more is better, else -1.

    Returns:
        For each objective the prior means of those tasks that can tell anything.
    """
    found: list[list[PriorMean]] = [[] for _ in signs_J]
    for task in tasks:
        known_D = codec.columns_of(varied(task, space))
        if not bool(known_D.any()):
            continue
        features_ND = codec.encoding.features(codec.encode_partly([trial.values for trial in task.trials])) * known_D
        values_NJ = torch.tensor([trial.objectives for trial in task.trials], dtype=torch.float64) * signs_J
        for means, values_N in zip(found, values_NJ.T, strict=True):
            if len(values_N.unique()) < _LEAST:
                continue
            with one_thread(), torch.no_grad():
                family = family_of(codec.encoding, options)
                models, _ = models_of(codec.encoding, features_ND, standardised(values_N), family)
            # The likeliest alone: it is asked as often as the models of the search at hand, and it has more points.
            means.append(PriorMean(task.name, models[0], known_D))
    return found
