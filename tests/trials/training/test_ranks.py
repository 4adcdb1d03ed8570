"""What several processes add up, take from the first, and agree on; alone, nobody is waited for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from method_cases import CASES, Bench
from together import epochs, exchanged, in_small_parts, resumed, start, together

from searchplat.errors import InputError
from trials.sasrec.model import SASRecModel
from trials.training.loop import Loop
from trials.training.ranks import Ranks
from trials.training.recommender import Recommender


def test_one_worker_waits_for_nobody_and_keeps_what_it_has() -> None:
    alone = Ranks(0, 1, torch.device("cpu"))
    tensor = torch.ones(2, requires_grad=True)
    alone.take_from_first([tensor])
    alone.meet()
    assert not alone.add_gradients([tensor], done=False)
    assert alone.add_gradients([tensor], done=True)
    assert tensor.grad is None
    assert alone.agree(3, "anything") == 3
    assert alone.add_values({"b": 1.0, "a": 2.0}) == {"b": 1.0, "a": 2.0}


@pytest.mark.parametrize(("count", "workers"), [(7, 3), (2, 3), (0, 2), (9, 9)])
def test_runs_cover_everything_once(count: int, workers: int) -> None:
    runs = [Ranks(rank, workers, torch.device("cpu")).run(count) for rank in range(workers)]
    assert [i for first, stop in runs for i in range(first, stop)] == [*range(count)]


def test_a_model_that_divides_no_batch_is_trained_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(CASES["sasrec"], tmp_path / "cache")
    monkeypatch.setattr(SASRecModel, "share", Recommender.share)
    with pytest.raises(InputError, match="SASRecModel cannot be trained by 2 workers, as it divides no batch"):
        start(bench, tmp_path / "trial", 0, 2)


def loop_of(cache: Path, folder: Path, **values: Any) -> Loop:
    return start(Bench(CASES["sasrec"], cache), folder, **values)


@pytest.mark.slow
def test_what_two_workers_exchange(tmp_path: Path) -> None:
    first, second = together(2, tmp_path, exchanged)
    assert [first["before"], second["before"]] == [[1.0, 1.0], [2.0, 2.0]]
    assert not first["refused"]
    for said in (first, second):
        assert not said["refused"]
        assert said["added"]
        assert (said["used"], said["unused"], said["one_sided"]) == ([3.0, 3.0], True, [1.0, 1.0])
        assert (said["own"], said["agreed"], said["same"]) == ([5.0, 5.0], False, 4)
        assert said["values"] == {"b": 1.0, "a": 2.0}


@pytest.mark.slow
def test_all_workers_divide_a_batch_further_if_one_runs_out_of_memory(tmp_path: Path) -> None:
    expected = epochs(loop_of(tmp_path / "cache", tmp_path / "alone", batch_size=32))
    first, second = together(2, tmp_path / "said", partial(in_small_parts, tmp_path / "cache", tmp_path / "trial"))
    assert first == second
    assert first.pop() == 4  # 32 windows by two workers, four at a time
    for one, other in zip(first, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=2e-3)


@pytest.mark.slow
def test_a_training_goes_on_with_any_number_of_workers(tmp_path: Path) -> None:
    expected = epochs(loop_of(tmp_path / "cache", tmp_path / "alone", epochs=3))
    found = []
    for workers, most in ((2, 1), (3, 1), (1, 1)):
        work = partial(resumed, tmp_path / "cache", tmp_path / "trial", workers, most)
        first, *others = together(workers, tmp_path / f"said-{workers}", work)
        assert all(other == first for other in others)
        found += first
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=2e-3)
