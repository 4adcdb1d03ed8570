"""How one trial's work ends: every failure is sorted, in this process and without Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from searchplat.contract import WarmCache
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.errors import AssetError, DataError, InputError, TryAgainError


def order(folder: Path, **values: Any) -> Order:
    config = full_config("rehearsal", {"fault_epoch": 1, **values})
    return Order(0, "rehearsal", config, "toy", {}, 1.0, 0, 1, str(folder))


@pytest.mark.parametrize(
    ("fault", "kind", "fields"),
    [
        ("none", Said.REPORT, ()),
        ("raise", Said.BUG, ()),
        ("memory", Said.INFEASIBLE, ()),
        ("input", Said.WRONG_INPUT, ()),
        ("unfit", Said.WRONG_INPUT, ("fault", "x")),
    ],
)
def test_what_a_training_raises_is_sorted(tmp_path: Path, fault: str, kind: Said, fields: tuple[str, ...]) -> None:
    message = TrialRun(order(tmp_path, fault=fault), WarmCache()).step()
    assert (message.kind, message.fields) == (kind, fields)
    assert ("Traceback" in (message.cause or "")) == (kind is Said.BUG)
    assert Message.from_json(message.to_json()) == message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InputError("one"), Said.WRONG_INPUT),
        (AssetError("two"), Said.WRONG_INPUT),
        (DataError("three"), Said.WRONG_INPUT),
        (TryAgainError("four"), Said.NOT_NOW),
        (OSError(28, "No space left on device"), Said.NOT_NOW),
        (ValueError("five"), Said.BUG),
    ],
)
def test_what_is_raised_before_the_first_epoch_is_sorted_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, kind: Said
) -> None:
    def start(self: object, job: object) -> object:
        raise error

    monkeypatch.setattr("rehearsal.Rehearsal.start", start)
    message = TrialRun(order(tmp_path), WarmCache()).step()
    assert message.kind is kind
    if kind is Said.WRONG_INPUT:
        assert message.cause == str(error)


def test_a_configuration_that_the_method_refuses_is_wrong_input() -> None:
    with pytest.raises(
        InputError, match=r"method 'rehearsal' refuses the values .*x: Input should be .*narrow the space"
    ):
        full_config("rehearsal", {"x": 99})
