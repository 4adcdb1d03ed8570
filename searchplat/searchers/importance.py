"""How much each parameter tells good trials from others, by Optuna's evaluator on a study in memory."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from searchplat.searchers.optuna_space import OptunaSpace
from searchplat.spec.space import Space

_MOST = 1000  # trials that are looked at; a study in memory takes a millisecond or more for each


def importance(
    space: Space, points: Sequence[Mapping[str, Any]], values: Sequence[float], maximize: bool
) -> dict[str, float]:
    """Importance of each parameter that can vary, the greatest first, 1 in all.

    Of very many trials one in so many is looked at, counted from the best to the worst: the method compares the best
    tenth with all, and both stay what they are.

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
    trials = list(zip(points, values, strict=True))
    if len(trials) > _MOST:
        trials.sort(key=lambda trial: trial[1], reverse=maximize)
        trials = [trials[i * len(trials) // _MOST] for i in range(_MOST)]
    with _quiet():
        study = optuna.create_study(direction="maximize" if maximize else "minimize")
        for point, value in trials:
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
