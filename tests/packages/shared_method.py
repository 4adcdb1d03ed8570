"""SASRec that says in a file which process trains which epoch, and in which of them something goes wrong."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from searchplat.contract import TrialJob
from trials.sasrec import SASRec, SASRecConfig
from trials.training.loop import Loop

Fault = Literal["none", "kill-once", "raise", "hang", "memory", "slow"]


class SharedConfig(SASRecConfig):
    diary: str = Field("", description="File that gets a line for every epoch begun: trial, epoch, rank, process.")
    fault: Fault = Field("none", description="What goes wrong in the second epoch.")
    fault_rank: int = Field(1, description="In which worker.")


class Shared(SASRec):
    name = "shared"
    Config = SharedConfig

    def start(self, job: TrialJob) -> Loop:
        """As SASRec, with faults."""
        loop = super().start(job)
        train = loop._train

        def faulty() -> dict[str, float]:
            config: Any = job.config
            with Path(config.diary).open("a") as file:
                file.write(f"{job.number} {loop.epoch + 1} {job.rank} {os.getpid()}\n")
            if loop.epoch == 1 and job.rank == config.fault_rank:
                _fail(config.fault, Path(config.diary).with_name(f"killed-{job.number}"))
            return train()

        loop._train = faulty  # type: ignore[method-assign]
        return loop


def _fail(fault: Fault, mark: Path) -> None:
    if fault == "kill-once" and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "raise":
        raise RuntimeError("a planted bug")
    if fault == "memory":
        raise MemoryError("planted")
    if fault == "hang":
        time.sleep(600)
    if fault == "slow":
        time.sleep(2)


@dataclass(frozen=True)
class Begun:
    """A line of the diary."""

    trial: int
    epoch: int
    rank: int
    process: int


def begun(path: Path) -> list[Begun]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [Begun(*map(int, line.split())) for line in lines]
