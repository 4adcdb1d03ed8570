"""A host's death is told from a worker's by what Ray says; that Ray does say so: `tests/cluster`."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from searchplat.engine import loss
from searchplat.engine.loss import host_died

WORKER = (
    "The actor died unexpectedly before finishing this task.\n\tThe actor is dead because its worker process has died."
)
UNREACHABLE = "The actor 7f is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed."
HOST = "The actor died unexpectedly before finishing this task.\nThe actor died because its node has died. Node Id: 7f"


def told(path: Path, *failures: str) -> SimpleNamespace:
    """A trial of Tune's, which keeps the text of every failure one after the other."""
    path.write_text("".join(f"Failure # {n} (occurred at 1)\n{text}\n" for n, text in enumerate(failures, 1)))
    return SimpleNamespace(error_file=str(path))


def test_the_last_failure_counts(tmp_path: Path) -> None:
    path = tmp_path / "error.txt"
    assert host_died(told(path, HOST))
    assert host_died(told(path, WORKER, HOST))
    assert not host_died(told(path, HOST, WORKER))
    assert not host_died(told(path, WORKER))


def test_a_trial_without_a_failure_has_lost_nothing(tmp_path: Path) -> None:
    assert not host_died(SimpleNamespace(error_file=None))
    assert not host_died(SimpleNamespace(error_file=str(tmp_path / "none")))


def test_a_worker_out_of_reach_was_lost_with_its_host_if_one_stops_to_answer(tmp_path: Path) -> None:
    answers = iter([True, True, False])
    assert host_died(told(tmp_path / "error.txt", UNREACHABLE), answer=lambda: next(answers))


def test_a_worker_out_of_reach_while_all_hosts_answer_died_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "_PATIENCE_S", 0.3)
    assert not host_died(told(tmp_path / "error.txt", UNREACHABLE), answer=lambda: True)


def test_a_host_is_not_asked_where_ray_has_said_what_died(tmp_path: Path) -> None:
    def never() -> bool:
        raise AssertionError

    assert not host_died(told(tmp_path / "error.txt", UNREACHABLE, WORKER), answer=never)
