"""The one training loop, its evaluation, metrics and checkpoints. Names that need torch load on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from trials.training.method import RecommenderMethod
from trials.training.settings.config import LoopConfig

if TYPE_CHECKING:
    from trials.training.loop import Loop
    from trials.training.recommender import Losses, Recommender

__all__ = ["Loop", "LoopConfig", "Losses", "Recommender", "RecommenderMethod"]

_LAZY = {"Loop": "loop", "Losses": "recommender", "Recommender": "recommender"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(f"trials.training.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
