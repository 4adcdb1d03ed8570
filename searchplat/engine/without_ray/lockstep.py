"""Trains a trial without Ray, by several processes in step: this one is rank 0, and starts the others."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from searchplat.contract import WarmCache
from searchplat.engine.worker.messages import Message, Said
from searchplat.engine.worker.order import Order
from searchplat.engine.worker.process_group import Meeting, join, open_store
from searchplat.engine.worker.trial_run import TrialRun
from searchplat.errors import SearchFailedError
from searchplat.methods import allow_imports

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_HOST = "127.0.0.1"
_LEAVE_S = 3.0


class Steps(Protocol):
    """What drives a trial step by step."""

    def step(self) -> Message:
        """Train one epoch; see `TrialRun.step`."""
        ...


@contextmanager
def in_lockstep(order: Order) -> Iterator[Steps]:
    """A trial in as many processes as it is to have, which end with the block.

    Raises:
        SearchFailedError: If one of them does not start.
    """
    if order.workers == 1:
        work = TrialRun(order, WarmCache())
        try:
            yield work
        finally:
            work.close()
        return
    store, port = open_store(_HOST, order.workers)
    context = multiprocessing.get_context("spawn")
    others: list[tuple[multiprocessing.process.BaseProcess, Connection]] = []
    try:
        for rank in range(1, order.workers):
            here, there = context.Pipe()
            process = context.Process(target=_follow, args=(order.to_json(), (_HOST, port), rank, there), daemon=True)
            process.start()
            there.close()
            others.append((process, here))
        for _, connection in others:
            try:
                connection.recv_bytes()
            except EOFError as error:
                raise SearchFailedError("a worker of the training did not start; what it wrote says why") from error
        join((_HOST, port), 0, order.workers, gpu=order.gpu, store=store)
        work = TrialRun(order, WarmCache())
        try:
            yield _Lockstep(work, [connection for _, connection in others])
        finally:
            work.close()
    finally:
        for _, connection in others:
            connection.close()  # they end by themselves, unless they wait for another
        for other, _ in others:
            other.join(_LEAVE_S)
            if other.is_alive():
                other.kill()
                other.join()


class _Lockstep:
    def __init__(self, work: TrialRun, others: list[Connection]) -> None:
        self._work, self._others = work, others

    def step(self) -> Message:
        """One epoch in all processes; what one of them failed for goes before what others say of it."""
        for connection in self._others:
            with suppress(OSError):  # it has gone, which is heard below
                connection.send(True)
        own = self._work.step()
        said = [own, *(_heard(connection, patient=own.kind is Said.REPORT) for connection in self._others)]
        failed = [message for message in said if message.kind is not Said.REPORT]
        causes = [message for message in failed if message.kind is not Said.PARTNER_LOST]
        return next(iter([*causes, *failed]), own)


def _heard(connection: Connection, *, patient: bool) -> Message:
    lost = Message(Said.PARTNER_LOST, cause="another worker was lost")
    try:
        return Message.from_json(connection.recv()) if connection.poll(None if patient else _LEAVE_S) else lost
    except (EOFError, OSError):
        return lost


def _follow(order: str, meeting: Meeting, rank: int, connection: Connection) -> None:
    """Another process's life: a step whenever it is told to, until one fails or nobody tells it any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it
    parsed = Order.from_json(order)
    if parsed.allow_import:
        allow_imports()
    connection.send_bytes(b"started")
    join(meeting, rank, parsed.workers, gpu=parsed.gpu)
    work = TrialRun(parsed, WarmCache(), rank)
    kind = Said.REPORT
    try:
        while kind is Said.REPORT and connection.recv():
            message = work.step()
            kind = message.kind
            connection.send(message.to_json())
    except (EOFError, OSError):
        return
    finally:
        work.close()
