"""How much each parameter tells good trials from others, by Optuna's evaluator on a study in memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from searchplat.searchers.optuna_space import OptunaSpace
from searchplat.spec.space import Space


def importance(
    space: Space, points: Sequence[Mapping[str, Any]], values: Sequence[float], maximize: bool
) -> dict[str, float]:
    """Importance of each parameter that can vary, the greatest first, 1 in all.

    Args:
        space: The axes; what else points have is left out.
        points: Values of each trial.
        values: The objective of each trial.
        maximize: Whether more is better.

    Returns:
        Empty if there are too few trials to tell.

    Source: PED-ANOVA (Watanabe et al., IJCAI 2023), as Optuna has it.
    """
    import optuna

    translation = OptunaSpace(space, {})
    with _quiet():
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for point, value in zip(points, values, strict=True):
            params, distributions = translation.params(point)
            study.add_trial(optuna.create_trial(params=params, distributions=distributions, value=value))
        try:
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
        except (ValueError, RuntimeError):
            return {}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's remarks on its studies and evaluators, which say nothing of this search."""
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
