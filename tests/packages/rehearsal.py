"""A method without a model: a known function, and every way in which a trial can go wrong.

It stands in for nothing: it is a small method of its own, by which the platform is tested in seconds.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import re
import signal
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from searchplat.contract import AssetSource, DataRequest, TrialJob
from searchplat.errors import InputError

Fault = Literal[
    "none", "nan", "inf", "-inf", "raise", "hang", "hang-in-c", "busy-in-c", "kill", "kill-once", "hang-once", "memory",
    "input", "unfit",
]  # fmt: skip


class RehearsalConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: int = Field(3, ge=1, description="Epochs.")
    x: float = Field(0.5, ge=-10, le=10, description="The score is highest at 0.7.")
    layout: str = Field("000-000-000", description="The score grows with the number of ones in it.")
    noise: float = Field(0.0, ge=0, description="Standard deviation of the score.")
    seconds: float = Field(0.0, ge=0, description="Seconds an epoch.")
    seconds_more: float = Field(0.0, ge=0, description="Up to so many more, uniformly, by the trial's seed.")
    layers: int = Field(3, ge=1, description="Layers that a layout covers.")
    kind: Literal["a", "b"] = Field("a", description="b costs 0.05 of the score.")
    fault: Fault = Field("none", description="What goes wrong.")
    fault_epoch: int = Field(2, ge=1, description="In which epoch.")
    fault_above: float | None = Field(None, description="Only where x is above this.")
    ballast_bytes: int = Field(0, ge=0, description="Size of a checkpoint, besides what it needs.")
    peek: str | None = Field(None, description="File of test items that it tries to read.")
    diary: str | None = Field(
        None, description="File that gets a line for every epoch begun: trial, epoch, process, unix time."
    )


def sleep_s(seed: int, seconds: float, seconds_more: float) -> float:
    """Seconds that each epoch of a trial sleeps."""
    return seconds + seconds_more * random.Random(seed).random()


class RehearsalTraining:
    def __init__(self, job: TrialJob, config: RehearsalConfig) -> None:
        self.job, self.config = job, config
        self.epoch, self.epochs = 0, config.epochs
        self.metrics: dict[str, float] = {}
        job.folder.mkdir(parents=True, exist_ok=True)

    @property
    def state(self) -> Path:
        return self.job.folder / "state.json"

    def restore(self) -> int:
        if self.state.exists():
            saved = json.loads(self.state.read_text())
            self.epoch, self.metrics = saved["epoch"], saved["metrics"]
        return self.epoch

    def save(self) -> None:
        part = self.state.with_suffix(".part")
        part.write_text(json.dumps({"epoch": self.epoch, "metrics": self.metrics}) + " " * self.config.ballast_bytes)
        part.rename(self.state)

    def run_epoch(self) -> dict[str, float]:
        epoch, config = self.epoch + 1, self.config
        if config.peek:
            np.load(config.peek)
        if config.diary:
            with open(config.diary, "a") as diary:
                diary.write(f"{self.job.number} {epoch} {os.getpid()} {time.time()}\n")
        time.sleep(sleep_s(self.job.seed, config.seconds, config.seconds_more))
        score = 0.5 - (config.x - 0.7) ** 2 + 0.01 * config.layout.count("1") - 0.05 * (config.kind == "b")
        score += random.Random(self.job.seed * 1000 + epoch).gauss(0, config.noise)
        score -= 0.1 / epoch
        if epoch == config.fault_epoch and (config.fault_above is None or config.x > config.fault_above):
            score = self._fault(score)
        self.epoch = epoch
        self.metrics = {"valid/mrr": score, "train/loss": 1.0 / epoch, "time/train_seconds": config.seconds}
        return self.metrics

    def _fault(self, score: float) -> float:
        match self.config.fault:
            case "nan":
                return float("nan")
            case "inf":
                return float("inf")
            case "-inf":
                return float("-inf")
            case "raise":
                raise RuntimeError("a planted bug")
            case "memory":
                raise MemoryError("planted")
            case "input":
                raise InputError("data toy: a planted fault of the input; mend it")
            case "unfit":
                raise InputError(f"x: must fit, got {self.config.x:g}; change it", fields=("fault", "x"))
            case "hang":
                time.sleep(3600)
            case "hang-in-c":
                ctypes.PyDLL(None).sleep(3600)  # holds the interpreter's lock all the while
            case "busy-in-c":
                re.match(r"(a+)+$", "a" * 64 + "b")  # backtracks for longer than anybody lives
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill-once":
                done = self.job.folder / "killed"
                if not done.exists():
                    done.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
            case "hang-once":  # a search, not a trial
                done = self.job.folder.parent / "hung"
                if not done.exists():
                    done.touch()
                    time.sleep(3600)
        return score


class Rehearsal:
    name = "rehearsal"
    summary = "A known function, for tests"
    paper = ""
    Config = RehearsalConfig

    def layout_layers(self, config: BaseModel) -> int | None:
        assert isinstance(config, RehearsalConfig)
        return config.layers

    def prepare(self, config: BaseModel, data: DataRequest, assets: AssetSource) -> None:
        pass

    def start(self, job: TrialJob) -> Any:
        assert isinstance(job.config, RehearsalConfig)
        return RehearsalTraining(job, job.config)
