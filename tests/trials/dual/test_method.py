"""The methods as the platform sees them."""

from __future__ import annotations

import pytest

from trials.darec import DARec
from trials.dual.method import DualMethod
from trials.mixrec import MixRec


@pytest.mark.parametrize("method", [DARec(), MixRec()])
def test_a_layout_covers_every_layer_that_is_replaced(method: DualMethod) -> None:
    config = method.Config.model_validate({"num_layers": 6, "replace_every": 4})
    assert method.layout_layers(config) == 1
