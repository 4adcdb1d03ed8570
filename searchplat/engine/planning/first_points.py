"""The points that a stage tries before its searcher is asked, and what to say where it has no point at all."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from searchplat.contract import Values
from searchplat.engine.planning.seeds import derive_seed
from searchplat.errors import InputError
from searchplat.spec.building.points import complete
from searchplat.spec.model import SearchSpec, StageSpec
from searchplat.spec.space import NoPointError, Space

_log = logging.getLogger(__name__)


def whole_points(
    spec: SearchSpec, stage: StageSpec, space: Space, given: Mapping[str, Any], defaults: Mapping[str, Any]
) -> list[tuple[int, Values]]:
    """A stage's `points` with what they leave out, each with its place in the list, from 1.

    They follow from the search's seed, so they are the same after an interruption. One that breaks a constraint with
    what the stage takes over is left out, which is logged; others were refused when the space was read.

    Args:
        space: The stage's axes and the constraints.
        given: Values of parameters outside the space.
        defaults: Values of axes that a point leaves out; others are drawn.
    """
    found = []
    for index, point in enumerate(stage.points, 1):
        rng = np.random.default_rng(derive_seed(spec.seed, "point", stage.name, index))
        try:
            found.append((index, complete(space, point, defaults, rng, given)))
        except NoPointError as error:
            why = f"with what the stage takes over it {error}"
            _log.warning("point %d of stage %s is not tried: %s", index, stage.name, why)
    return found


def no_point(space: Space, stage: StageSpec) -> InputError:
    """The error where a stage cannot have even one trial."""
    texts = "; ".join(constraint.text for constraint in space.constraints)
    return InputError(
        f"stage {stage.name!r}: with the values that it takes over no point keeps the constraints ({texts}); "
        "search what they name in one stage, or take over more of the earlier stage's trials (from: {top: ...})"
    )
