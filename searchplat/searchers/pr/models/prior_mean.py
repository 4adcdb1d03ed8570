"""What another search's trials say of a point: the mean of a Gaussian process fitted to them alone, as a prior mean.

The model of the search at hand is then f = sum_s w_s m_s + g, where m_s is the posterior mean of source task s, on its
own standardised values, and g the Gaussian process that there would be without it. The weights w_s >= 0 are fitted with
all other hyperparameters, under a normal prior about 1/2 that is cut off at 0: a source is believed a little at first;
one that does not agree with the trials at hand has a weight of 0 after some of them, which leaves the model as it would
be without it, and one that agrees saves the trials that would learn the same. It is the two-step form of intrinsic
coregionalisation with one direction (Bonilla et al. 2008; stacked models in Golovin et al. 2017, Google Vizier, section
3.3), of which the sources' part is fitted once.
Next: `surrogate`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

WEIGHT = (0.5, 0.5)
"""Mode and standard deviation of the prior of a weight, a normal cut off at 0: 1 would be the same function twice."""
MOST_WEIGHT = 3.0
"""Trials at hand that lie near each other have a small spread, in units of which the source's is large."""


class SourceModel(Protocol):
    """What is asked of a model of a source."""

    def mean(self, features_MD: Tensor) -> Tensor:
        """Its posterior mean `[M]`."""
        ...


class PriorMean:
    """The posterior mean of a source task, as a function of features.

    Args:
        name: The source's, for people.
        model: Fitted to the source.
        known_D: Feature columns that the source can say something of: 1, else 0.
    """

    def __init__(self, name: str, model: SourceModel, known_D: Tensor) -> None:
        self.name, self._model, self._known_D = name, model, known_D

    def __call__(self, features_MD: Tensor) -> Tensor:
        """Values `[M]`, in standard deviations of the source's; differentiable in the features."""
        return self._model.mean(features_MD * self._known_D)


def stacked(sources: Sequence[PriorMean], features_MD: Tensor) -> Tensor:
    """What each source says of each point `[M, S]`."""
    if not sources:
        return torch.zeros((len(features_MD), 0), dtype=features_MD.dtype)
    return torch.stack([source(features_MD) for source in sources], dim=1)
