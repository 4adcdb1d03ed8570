"""A method that says what it should not: its bug's text holds a URL with a password, a token, and its environment.

Named `telltale:Telltale`. With `tell: false` it is a rehearsal that prints its environment into a file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pydantic import Field
from rehearsal import Rehearsal, RehearsalConfig, RehearsalTraining

from searchplat.contract import TrialJob

PASSWORD = "canary-in-a-url-of-a-bug"
TOKEN = "hf_" + "CanaryToken" * 3


class TelltaleConfig(RehearsalConfig):
    tell: bool = Field(False, description="Whether to fail, and tell.")
    seen: str = Field("seen.json", description="File that gets the environment of the trial's process.")


class TelltaleTraining(RehearsalTraining):
    def run_epoch(self) -> dict[str, float]:
        config = self.config
        assert isinstance(config, TelltaleConfig)
        Path(config.seen).write_text(json.dumps([dict(os.environ), Path("/proc/self/environ").read_text()]))
        if config.tell:
            raise RuntimeError(
                f"cannot connect to postgresql://ann:{PASSWORD}@db.example/x?sslmode=on (HTTP 401 for {TOKEN}); "
                f"environment: {dict(os.environ)}"
            )
        return super().run_epoch()


class Telltale(Rehearsal):
    name = "telltale"
    Config = TelltaleConfig

    def start(self, job: TrialJob) -> Any:
        assert isinstance(job.config, TelltaleConfig)
        return TelltaleTraining(job, job.config)
