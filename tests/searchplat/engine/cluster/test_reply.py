"""What several processes say together, with answers of real processes of Ray."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray
from ray.exceptions import RayError

from searchplat.engine.cluster import reply as module
from searchplat.engine.cluster.connect import connected
from searchplat.engine.cluster.reply import GroupLostError, Reply
from searchplat.engine.worker.environment import quiet_environment
from searchplat.engine.worker.messages import Message, Said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REPORT, APART, BUG = (
    Message(Said.REPORT, 1, 2).to_json(),
    Message(Said.PARTNER_LOST).to_json(),
    Message(Said.BUG, cause="x").to_json(),
)
NEVER = "never"


@pytest.fixture(scope="module", autouse=True)
def _ray() -> Iterator[None]:
    with connected(None, quiet_environment()):
        yield


def process(said: Any) -> Any:
    """A process's answer; `NEVER` waits, an exception is its death."""

    def say() -> Any:
        if said == NEVER:
            time.sleep(1000)
        if said is RayError:
            os._exit(1)
        return said

    return ray.remote(num_cpus=0, max_retries=0)(say).remote()


def heard(*said: Any, within_s: float = 100.0) -> Reply:
    """An answer once it is known what to go by."""
    refs = [process(one) for one in said]
    found, until = Reply(refs), time.monotonic() + within_s
    while not found.hear({*ray.wait(refs, num_returns=len(refs), timeout=0)[0]}):
        assert time.monotonic() < until
        time.sleep(0.05)
    for ref in refs:
        ray.cancel(ref, force=True)
    return found


def test_one_process_speaks_for_itself() -> None:
    assert heard(None).said() is None
    assert heard(BUG).said() == BUG
    with pytest.raises(RayError):
        heard(RayError).said()


def test_several_report_when_all_have_and_the_first_is_taken() -> None:
    other = Message(Said.REPORT, 1, 2, {"memory/peak_bytes": 5.0}).to_json()
    both = heard(REPORT, other)
    assert both.said() == REPORT
    assert both.unanimous
    assert heard(None, None).said() is None


def test_one_that_dies_or_fails_speaks_for_all() -> None:
    for said in ((NEVER, RayError), (APART, RayError), (BUG, RayError)):
        with pytest.raises(RayError):
            heard(*said).said()
    for said in ((APART, BUG), (BUG, REPORT), (NEVER, BUG)):
        found = heard(*said)
        assert found.said() == BUG
        assert not found.unanimous


def test_processes_that_lost_each_other_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GroupLostError):
        heard(APART, APART).said()
    monkeypatch.setattr(module, "_DEATH_S", 0.5)
    with pytest.raises(GroupLostError):
        heard(NEVER, APART).said()
