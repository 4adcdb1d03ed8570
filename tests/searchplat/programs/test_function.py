"""Plain functions as trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from searchplat.errors import InputError, TrialFailedError
from searchplat.ledger.lineage import code_of
from searchplat.methods import imports, load_method
from searchplat.programs.function import FunctionMethod
from searchplat.programs.training import ProgramTraining

Start = Callable[..., ProgramTraining]


@pytest.fixture(autouse=True)
def leave() -> Iterator[None]:
    with imports():
        yield


def method(name: str) -> FunctionMethod:
    found = load_method(f"plain_function:{name}")
    assert isinstance(found, FunctionMethod)
    return found


def test_a_report_is_an_epoch_and_the_function_says_how_many_there_are(start: Start) -> None:
    training = start(method("train"), x=0.7)
    found = [training.run_epoch() for _ in range(3)]
    assert found[2]["valid/ndcg"] == pytest.approx(1 - 0.1 / 3)
    assert not any("test" in name for name in found[0])
    assert training.run_epoch() == found[2]
    assert training.epoch == training.epochs == 3


def test_it_waits_in_report_and_ends_there_when_the_trial_is_stopped(tmp_path: Path, start: Start) -> None:
    training = start(method("endless"), ended=str(tmp_path / "ended"))
    training.run_epoch()
    assert not (tmp_path / "ended").exists()
    training.close()
    assert (tmp_path / "ended").read_text() == "", "what catches exceptions does not catch the end"


def test_it_is_told_what_it_asks_for_and_goes_on_where_it_was(tmp_path: Path, start: Start) -> None:
    first = start(method("told"), epochs=3, resumes=True)
    first.run_epoch()
    first.save()
    first.close()
    second = start(method("told"), epochs=3, resumes=True)
    assert second.restore() == 1
    assert [second.run_epoch()["valid/attempt"] for _ in range(2)] == [1, 1]
    assert second.epoch == second.epochs == 3
    diary = (tmp_path / "trial" / "work" / "diary").read_text().splitlines()
    assert diary == ["0 1 11 False", "1 2 11 False", "1 3 11 False"]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("broken", {}, r"(?s)in broken.*ValueError: a planted bug"),
        ("silent", {}, "without reporting anything"),
        ("wordy", {}, "TypeError"),
        ("leaving", {"code": 3}, "SystemExit: 3"),
    ],
)
def test_what_goes_wrong_is_the_trials(start: Start, name: str, values: dict[str, int], said: str) -> None:
    training = start(method(name), **values)
    if name in ("broken", "leaving"):
        training.run_epoch()
    with pytest.raises(TrialFailedError, match=said):
        training.run_epoch()


def test_a_function_may_leave_in_good_order(start: Start) -> None:
    training = start(method("leaving"), code=0)
    training.run_epoch()
    training.run_epoch()
    assert training.epoch == training.epochs == 1


@pytest.mark.parametrize("name", ["one_argument", "unknown_argument", "later"])
def test_another_signature_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"must be a function train\(config, report\).* got {name}\("):
        method(name)


def test_its_code_is_that_of_its_module() -> None:
    places = method("train").sources({})
    assert list(places) == ["plain_function"]
    assert code_of(places)
