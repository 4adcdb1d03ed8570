"""A host's death is told from a worker's by what Ray says; that Ray does say so: `tests/cluster`."""

from __future__ import annotations

import pytest

from searchplat.engine.cluster import host_loss
from searchplat.engine.cluster.host_loss import HostLosses, host_died

WORKER = (
    "The actor died unexpectedly before finishing this task.\n\tThe actor is dead because its worker process has died."
)
UNREACHABLE = "The actor 7f is unavailable: The actor is temporarily unavailable: RpcError: RPC error: Socket closed."
HOST = "The actor died unexpectedly before finishing this task.\nThe actor died because its node has died. Node Id: 7f"


def test_ray_says_what_died() -> None:
    assert host_died(HOST)
    assert not host_died(WORKER)


def test_a_worker_out_of_reach_was_lost_with_its_host_if_one_stops_to_answer() -> None:
    answers = iter([True, True, False])
    assert host_died(UNREACHABLE, answer=lambda: next(answers))


def test_a_worker_out_of_reach_while_all_hosts_answer_died_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_loss, "_PATIENCE_S", 0.3)
    assert not host_died(UNREACHABLE, answer=lambda: True)


def test_a_host_is_not_asked_where_ray_has_said_what_died() -> None:
    def never() -> bool:
        raise AssertionError

    assert not host_died(WORKER, answer=never)
    assert host_died(HOST, answer=never)


def test_of_many_workers_lost_at_once_the_hosts_are_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_loss, "_PATIENCE_S", 0.0)
    asked: list[bool] = []

    def answer() -> bool:
        asked.append(True)
        return True

    losses = HostLosses(answer)
    assert [losses.host_died(said) for said in (UNREACHABLE, HOST, WORKER, UNREACHABLE)] == [False, True, False, False]
    assert len(asked) <= 2  # one question, which is repeated while there is patience
