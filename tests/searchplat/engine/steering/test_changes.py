"""What `set` takes, and what it says of the rest."""

from __future__ import annotations

import pytest

from searchplat.engine.steering.changes import read
from searchplat.errors import InputError


def test_changes_are_keys_and_whole_numbers() -> None:
    assert read(["trials=200", "concurrent=8"]) == {"trials": 200, "concurrent": 8}
    assert read(["resources.concurrent=null"]) == {"concurrent": None}
    assert read(["stages.a.b.trials=3", "stages.c.trials=4"]) == {"stages.a.b.trials": 3, "stages.c.trials": 4}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([], "what to change is missing"),
        (["trials"], "has the form key=number"),
        (
            ["seed=3"],
            "'seed' cannot be changed while a search runs, only trials, stages.NAME.trials and concurrent can",
        ),
        (["stages.trials=3"], "cannot be changed"),
        (["trials=0"], "must be a whole number >= 1, got '0'"),
        (["trials=2.5"], "must be a whole number >= 1, got '2.5'"),
        (["trials=١"], "must be a whole number"),
        (["trials=null"], "must be a whole number >= 1, got 'null'"),
        ([f"trials={'9' * 5000}"], "must be a whole number"),
        (["concurrent=all"], "or null for as many as fit, got 'all'"),
        (["concurrent=1", "resources.concurrent=2"], "concurrent is given twice"),
        (["trials=9", "stages.a.trials=3"], "trials is of all stages together"),
    ],
)
def test_wrong_changes_are_refused_with_the_rule(items: list[str], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(items)
    assert said in str(caught.value)
