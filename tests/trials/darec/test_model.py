"""DARec's metrics; the model is tested in `tests/trials/dual`."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trials.darec.model import DARecModel
from trials.data.preparing.dataset import SearchData


def test_router_shares_are_reported_per_layer(make_model: Any, data: SearchData) -> None:
    model = make_model()
    assert type(model) is DARecModel
    model.eval()
    model.start_evaluation()
    with torch.inference_mode():
        model.scores(data.valid_queries())
    assert model.diagnostics() == {"router/layer0": pytest.approx(0.5), "router/layer1": pytest.approx(0.5)}
    assert make_model(variant="llmrec").diagnostics() == {}
