"""A trial whose epochs are the reports of a program: what a command and a function share."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

from searchplat.contract import TrialJob
from searchplat.errors import TrialFailedError
from searchplat.programs.lines import TEST, Said

_STATE = "program.json"
_WORK = "work"


class Program(Protocol):
    """A program under way."""

    def next(self) -> Said | None:
        """The next thing that it says, waited for; None once it has ended well.

        Raises:
            TrialFailedError: If it has ended otherwise.
        """
        ...

    def close(self) -> None:
        """End it, if it goes on."""
        ...


class ProgramTraining:
    """Trains an epoch by waiting for the program's next report.

    A program that is begun again after its process died is told how often, and may go on or begin anew: of what it
    reports a second time nothing is taken. Known is that by the epoch that it says, else by counting.

    Args:
        job: The trial.
        epochs: Reports in all; None for as many as the program makes.
        awaits: Metrics that make a report whole: what comes before them is of the same epoch. None for every report.
        resumes: Whether, begun again, the program goes on after the epochs that were reported; asked only where it
            does not say of which epoch a report is.
        begin: Starts the program, given how often it was started before, and the epochs reported so far.
        final: Whether figures of a test may be kept.
    """

    def __init__(
        self,
        job: TrialJob,
        *,
        epochs: int | None,
        awaits: Collection[str],
        resumes: bool,
        begin: Callable[[int, int], Program],
        final: bool = False,
    ) -> None:
        self._folder, self._most, self._awaits, self._resumes = job.folder, epochs, awaits, resumes
        self._begin, self._final = begin, final
        self._program: Program | None = None
        self._state: dict[str, Any] = {
            "starts": 0, "epoch": 0, "label": None, "ended": False, "metrics": {}, "test": {}, "reports": [],
        }  # fmt: skip
        self._to_skip = 0
        self._heard: set[str] = set()

    @property
    def epoch(self) -> int:
        """Reports so far."""
        epoch: int = self._state["epoch"]
        return epoch

    @property
    def epochs(self) -> int:
        """Reports in all, one more than there are while nobody can know."""
        if self._state["ended"]:
            return self.epoch
        return self.epoch + 1 if self._most is None else self._most

    @property
    def metrics(self) -> dict[str, float]:
        """Of the last report."""
        return dict(self._state["metrics"])

    @property
    def tested(self) -> dict[str, float]:
        """Figures of a test, by name without `test/`; only of a final training."""
        return dict(self._state["test"])

    def best(self, objective: str, sign: float) -> tuple[int, dict[str, float]]:
        """The epoch with the best objective, and its metrics; 0 and none before the first. Only of a final training.

        Args:
            sign: 1 where more is better, else -1.
        """
        reports: list[dict[str, float]] = self._state["reports"]
        known = [(sign * one[objective], -epoch) for epoch, one in enumerate(reports, 1) if objective in one]
        at = -max(known)[1] if known else 0
        return at, dict(reports[at - 1]) if at else {}

    def restore(self) -> int:
        """Take up what was saved; the program itself is begun by the next epoch, if it has not ended."""
        with contextlib.suppress(FileNotFoundError):
            self._state |= json.loads((self._folder / _STATE).read_text(encoding="utf-8"))
        return self.epoch

    def run_epoch(self) -> dict[str, float]:
        """Wait for the next report; once the program has ended, the last one again, as that of the last epoch.

        Raises:
            TrialFailedError: If the program fails, or ends without having reported.
        """
        if self._program is None:
            self._start()
        report = self._next()
        if report is None:
            if not self.epoch:
                heard = ", ".join(sorted(self._heard)) or "nothing"
                wanted = " and ".join(self._awaits) or "anything"
                raise TrialFailedError(f"it ended without reporting {wanted}; reported was: {heard}")
            self._state["ended"] = True
            return self.metrics
        self._state |= {"epoch": self.epoch + 1, "metrics": report}
        if self._final:
            self._state["reports"].append(report)
        if self.epoch == self._most:
            self._next()  # it is left to end by itself, unless it goes on beyond the last epoch
            self._state["ended"] = True
            self.close()
        return self.metrics

    def save(self) -> None:
        """Write down what was reported; what the program needs to go on it keeps itself."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f".{_STATE}.part"
        with part.open("w", encoding="utf-8") as file:
            json.dump(self._state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._folder / _STATE)

    def close(self) -> None:
        """End the program."""
        if self._program is not None:
            self._program.close()
            self._program = None

    # ------------------------------------------------------------------ inside

    def _start(self) -> None:
        starts = self._state["starts"]
        self._state["starts"] = starts + 1
        self.save()  # before it starts: a start that kills the process counts
        again = starts > 0 and not self._resumes and self._state["label"] is None
        self._to_skip = self.epoch if again else 0
        self._program = self._begin(starts, self.epoch)

    def _next(self) -> dict[str, float] | None:
        """The next whole report that is not one that there was already."""
        assert self._program is not None
        held: dict[str, float] = {}
        seconds = 0.0
        while (one := self._program.next()) is not None:
            seconds += one.seconds
            self._heard |= set(one.metrics)
            held |= self._seen(one.metrics)
            label, last = one.epoch, self._state["label"]
            if label is not None and last is not None and label <= last:
                held = {}
            elif all(name in held for name in self._awaits):
                if label is not None:
                    self._state["label"] = label
                    self._to_skip = 0
                if not self._to_skip:
                    return {"time/train_seconds": seconds, **held}
                self._to_skip -= 1
                held = {}
        return None

    def _seen(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """What may be seen of it: figures of a test are kept apart in a final training, and in any other by nobody."""
        if self._final:
            self._state["test"] |= {n.removeprefix(TEST): value for n, value in metrics.items() if n.startswith(TEST)}
        return {name: value for name, value in metrics.items() if not name.startswith(TEST)}


def work_folder(job: TrialJob) -> Path:
    """The program's own folder, made if need be; it is the same each time that the trial is taken up."""
    folder = job.folder / _WORK
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()
