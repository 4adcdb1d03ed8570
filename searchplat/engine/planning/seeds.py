"""Every seed of a search follows from the space's `seed` and a name: here, which trial gets which.

Of trials with seeds of their own the values differ by what a seed adds to all configurations alike (the order of the
data, the initial weights), and by what it adds to one of them. Of trials that share a seed the first part cancels:
common random numbers (Law, Simulation Modeling and Analysis, 5th ed., section 11.2). `seeds: shared` asks for that.
"""

from __future__ import annotations

import hashlib
import json

from searchplat.spec.model import CONTROLS, Control, SearchSpec, StageSpec

OWN, SHARED = "own", "shared"
"""What a stage's `seeds` may be."""


def derive_seed(*parts: object) -> int:
    """A 31-bit seed from named parts; equal parts give equal seeds in every process."""
    digest = hashlib.sha256(json.dumps([str(part) for part in parts]).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def shared_seed(spec: SearchSpec, training: int = 0) -> int:
    """The seed that trials share, of the `training`-th training of a configuration, from 0.

    It is the search's, not a stage's: trials of stages on the same users are ranked against each other and against
    controls, and a seed for each stage would put a whole stage ahead.
    """
    return derive_seed(spec.seed, SHARED, training)


def trial_seed(spec: SearchSpec, stage: StageSpec, number: int, training: int = 0) -> int:
    """The seed of trial `number` of a stage, which is the `training`-th of its configuration, from 0."""
    return shared_seed(spec, training) if stage.seeds == SHARED else derive_seed(spec.seed, "trial", number)


def control_seed(spec: SearchSpec, control: Control, index: int) -> int:
    """The seed of a control's trial `index`: shared if the last stage's seeds are, as controls are held against it.

    A control's trials are repeats of one configuration, each on the next shared seed; those of `random` are as many
    configurations, all on the first.
    """
    if spec.stages[-1].seeds == SHARED:
        return shared_seed(spec, 0 if control.random else index)
    return drawing_seed(spec, control, index)


def drawing_seed(spec: SearchSpec, control: Control, index: int) -> int:
    """The seed by which trial `index` of a random control draws its configuration."""
    return derive_seed(spec.seed, CONTROLS, control.name, index)
