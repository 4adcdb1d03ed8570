"""A final training of a program: on a fresh seed, told that it is final, tested by its own figures."""

from __future__ import annotations

from collections.abc import Sequence

from searchplat.contract import FinalJob, Tested, TestPermit
from searchplat.programs.no_data import NONE
from searchplat.programs.training import ProgramTraining


class FinalProgram:
    """Follows the program to its end; its figures of a test are given out for a permit alone.

    When to stop is the program's own business: what it tests comes at its end.
    """

    num_parameters: int | None = None
    fingerprint = NONE

    def __init__(self, training: ProgramTraining, job: FinalJob) -> None:
        self._training, self._objective, self._sign = training, job.objective, 1.0 if job.maximize else -1.0
        self._best: tuple[int, dict[str, float]] = (0, {})

    @property
    def epoch(self) -> int:
        """Epochs reported so far."""
        return self._training.epoch

    @property
    def epochs(self) -> int:
        """Epochs in all."""
        return self._training.epochs

    @property
    def metrics(self) -> dict[str, float]:
        """Of the last epoch."""
        return self._training.metrics

    @property
    def done(self) -> bool:
        """Whether the program has ended."""
        return 0 < self._training.epochs == self._training.epoch

    @property
    def best_epoch(self) -> int:
        """The epoch with the best objective, of those that this process heard of; 0 before the first."""
        return self._best[0]

    @property
    def best_metrics(self) -> dict[str, float]:
        """Its metrics."""
        return self._best[1]

    def restore(self) -> int:
        """Take up what was saved."""
        epoch = self._training.restore()
        self._best = self._training.best(self._objective, self._sign)
        return epoch

    def run_epoch(self) -> dict[str, float]:
        """Wait for the next report."""
        metrics = self._training.run_epoch()
        self._best = self._training.best(self._objective, self._sign)
        return metrics

    def save(self) -> None:
        """Write down what was reported."""
        self._training.save()

    def close(self) -> None:
        """End the program."""
        self._training.close()

    def test(self, permit: TestPermit, metrics: Sequence[str]) -> Tested:
        """What the program said of a test; nothing if it said nothing."""
        assert isinstance(permit, TestPermit)
        return Tested({name: v for name, v in self._training.tested.items() if name in metrics}, 0, None)
