"""Nothing but our own errors comes out of a reader: briefly every day, at length by `python tests/fuzz/run.py`."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest
from fuzz_targets import TARGETS, counts, scratch, valid_inputs

INPUTS = 1500

_spec = importlib.util.spec_from_file_location("fuzz_run", Path(__file__).with_name("run.py"))
assert _spec is not None
assert _spec.loader is not None
run: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(run)


@pytest.mark.parametrize("name", TARGETS)
def test_the_files_from_which_fuzzing_starts_are_accepted(name: str) -> None:
    with scratch() as folder:
        assert TARGETS[name].feed(valid_inputs(TARGETS[name]), folder)


@pytest.mark.parametrize(("name", "inputs"), counts(INPUTS).items())
def test_hostile_files_give_errors_of_ours_only(name: str, inputs: int) -> None:
    number = random.SystemRandom().randrange(1 << 32)
    print(f"seed {number}: run_block({name!r}, {inputs}, {number})")
    fed, _ = run.run_block(name, inputs, number)
    assert fed >= inputs // 2  # hypothesis does not repeat itself


def test_the_long_run_goes_on_where_it_was(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    state = tmp_path / "state.json"
    monkeypatch.setattr("sys.argv", ["run.py", "--inputs", "200", "--only", "zip", "--state", str(state)])
    assert run.main() == 0
    first = state.read_text()
    assert run.main() == 0
    assert state.read_text() == first
    shown = capsys.readouterr().out
    assert "seed 0, inputs 200" in shown
    assert "0 blocks with something else" in shown
