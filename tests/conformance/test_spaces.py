"""What every shipped space must keep at every scale."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

from searchplat.methods import load_method
from searchplat.spec import load, shipped_spaces

SCALES = [
    (name, scale) for name, path in shipped_spaces().items() for scale in yaml.safe_load(path.read_text())["scales"]
]
WITHOUT_DEFAULT = {("darec", "evening")}
"""Where the method's defaults would cost minutes and say nothing new."""


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_every_sampled_point_and_every_control_is_a_config(name: str, scale: str) -> None:
    spec = load(shipped_spaces()[name], scale=scale)
    config = load_method(spec.method).Config
    rng = np.random.default_rng(0)
    points = [spec.space.sample(rng) for _ in range(20)]
    own = [control.values for control in spec.controls if control.method in (None, spec.method)]
    for values in [*points, *own]:
        config.model_validate({**spec.fixed, **values})


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_what_is_merely_counted_comes_first_among_the_controls(name: str, scale: str) -> None:
    spec = load(shipped_spaces()[name], scale=scale)
    counted = [control for control in ("popularity", "markov") if control != spec.method]
    names = [control.name for control in spec.controls]
    assert names[: len(counted)] == counted
    assert ("default" in names) == ((name, scale) not in WITHOUT_DEFAULT)
