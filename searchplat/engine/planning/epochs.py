"""For how many epochs configurations train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from searchplat.engine.planning.configuration import full_config
from searchplat.spec.building.stages import in_effect
from searchplat.spec.model import SearchSpec, StageSpec
from searchplat.spec.space import Categorical, Int


def most_epochs(spec: SearchSpec, stage: StageSpec) -> int:
    """Epochs of a full trial of a stage; the most that one may have, where they are searched."""
    if "epochs" in in_effect(stage, spec.stages):
        match spec.space["epochs"]:
            case Int(high=high):
                return high
            case Categorical(choices=choices):
                return max(choice for choice in choices if isinstance(choice, int))
    return epochs_of(full_config(spec.method, {**spec.fixed, **stage.fixed})) or 1


def epochs_of(config: Mapping[str, Any]) -> int | None:
    """Epochs of a full training of a configuration; None where only its training, or a program, knows them."""
    epochs = config.get("epochs")
    return None if epochs is None else int(epochs)
