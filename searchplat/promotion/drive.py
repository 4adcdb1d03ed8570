"""The driver's side of a promotion: which run comes next, and what to write down of what workers say.

Everything follows from the store: whatever was going on when the driver was killed, a new one reads the runs and
goes on. Nothing here knows of Ray; `searchplat.engine.promotion_runs.lanes` carries the messages.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from searchplat.contract import Values
from searchplat.engine.checkpoints.storage import Storage
from searchplat.engine.checkpoints.sync import fetch_results
from searchplat.engine.planning.seeds import derive_seed
from searchplat.engine.promotion_runs.messages import (
    Assignment,
    Ended,
    Epoch,
    Key,
    MayTest,
    Measured,
    Next,
    PromotionMessage,
)
from searchplat.engine.worker import MAX_DEATHS
from searchplat.engine.worker.messages import WRONG_INPUT, Said
from searchplat.engine.worker.order import Order
from searchplat.errors import InputError, TryAgainError
from searchplat.ledger.ranking import improves
from searchplat.ledger.records import seconds_of
from searchplat.promotion.candidates import Candidate, Sizes
from searchplat.promotion.permit import open_test
from searchplat.promotion.race import beaten
from searchplat.promotion.record import (
    FAILED,
    FINAL,
    FINISHED,
    RACE,
    RUNNING,
    STOPPED,
    WAITING,
    PromotionRun,
    PromotionStore,
    folders_of,
)
from searchplat.redaction import redact
from searchplat.spec.model import VALID, SearchSpec

Say = Callable[[str], None]


class Drive:
    """Answers the workers of one promotion.

    Args:
        store: Open for writing.
        number: The promotion's.
        folder: `runs/<search>`.
        candidates: As they were chosen when the promotion began.
        final_config: The configuration that a candidate has in final training.
        say: Told one line for every step.
        finished: Called after every run that has ended.
        storage_of: Where a run's checkpoints are kept; None for its folder.
    """

    def __init__(
        self,
        store: PromotionStore,
        number: int,
        spec: SearchSpec,
        folder: Path,
        candidates: Sequence[Candidate],
        sizes: Sizes,
        final_config: Callable[[Candidate], Values],
        say: Say,
        finished: Callable[[PromotionRun], None] = lambda run: None,
        storage_of: Callable[[PromotionRun], Storage | None] = lambda run: None,
    ) -> None:
        self._store, self._number, self._spec, self._folder = store, number, spec, folder
        self._candidates, self._sizes = {c.name: c for c in candidates}, sizes
        self._final_config, self._say, self._finished = final_config, say, finished
        self._storage_of = storage_of
        self._objective = spec.objectives[0]
        self._runs: dict[Key, PromotionRun] = {run.key: run for run in store.load(number).runs}
        self._at: dict[int, Key] = {}
        self._deaths: Counter[Key] = Counter()
        self.phases: tuple[str, ...] = (RACE, FINAL)
        """Of which phases runs are handed out now."""

    def begin(self) -> None:
        """Take up what an earlier driver left: what was running or had failed waits again, but not in a past race."""
        raced = any(run.phase == FINAL for run in self._runs.values())
        open_again = [
            run for run in self._runs.values() if run.state in (RUNNING, FAILED) and not (raced and run.phase == RACE)
        ]
        self._put(*(replace(run, state=WAITING, cause=None) for run in open_again))
        if not self._runs:
            self._plan(RACE, self._sizes.race, list(self._candidates))
        self._settle()

    @property
    def waiting(self) -> int:
        """Runs of the present phases that wait or are running."""
        runs = tuple(self._runs.values())  # asked from another thread too
        return sum(run.state in (WAITING, RUNNING) and run.phase in self.phases for run in runs)

    def answer(self, lane: int, message: PromotionMessage) -> Any:
        """What a worker of a lane gets for its message, after it was written down.

        Raises:
            TryAgainError: If a worker cannot go on now, or what it left cannot be fetched; the runs stay open.
            InputError: If what a worker was given is wrong for every candidate; the runs stay open.
        """
        if isinstance(message, Next):
            return self._next(lane)
        run = self._runs[message.key]
        match message:
            case Epoch():
                return self._epoch(run, message)
            case MayTest():  # counted here; with the permit `promotion_runs.run` opens the split
                return open_test(self._store, self._folder.name, self._number, run)
            case Measured():
                return self._tested(run, message)
            case Ended(kind=Said.NOT_NOW):
                raise TryAgainError(message.cause)
            case Ended(kind=Said.WRONG_INPUT):
                return self._refused(run, message)
            case Ended():
                return self._fail(run, message.cause)

    # ------------------------------------------------------------------ what comes next

    def _next(self, lane: int) -> Any:
        key = self._at.pop(lane, None)
        if key is not None and self._runs[key].state == RUNNING:
            # Its worker went away without a word, and another one asks in its place.
            self._deaths[key] += 1
            if self._deaths[key] <= MAX_DEATHS:
                self._say(f"{self._title(self._runs[key])}: its worker died; it goes on from its last checkpoint")
                return self._hand_out(lane, self._runs[key])
            self._fail(self._runs[key], f"its worker died {self._deaths[key]} times")
        self._settle()
        mine = [run for run in self._runs.values() if run.phase in self.phases]
        waiting = next((run for run in mine if run.state == WAITING), None)
        if waiting is not None:
            return self._hand_out(lane, waiting)
        # Of a race that still runs, more may come.
        return "wait" if any(run.state == RUNNING and run.phase == RACE for run in mine) else "stop"

    def _hand_out(self, lane: int, run: PromotionRun) -> Assignment:
        self._at[lane] = run.key
        self._put(replace(run, state=RUNNING))
        spec, final = self._spec, run.phase == FINAL
        fraction = self._sizes.data_fraction if final else self._candidates[run.candidate].data_fraction
        storage = self._storage_of(run)
        order = Order(
            number=run.trial,
            method=run.method,
            config=run.config,
            data=spec.data.name,
            data_options=dict(spec.data.options),
            data_fraction=fraction,
            data_seed=spec.seed,
            seed=run.seed,
            folder=str(run.folder),
            threads=max(1, int(spec.resources.cpu)),
            timeout_s=None,
            storage=None if storage is None else storage.uri,
        )
        objective = self._objective
        test = self._store.load(self._number).metrics
        return Assignment(run.key, order, final, objective.metric, objective.maximize, self._sizes.patience, test)

    def _settle(self) -> None:
        """Stop who can no longer win the race; when it is over, plan the final trainings."""
        races = [run for run in self._runs.values() if run.phase == RACE]
        rivals = {c.name: self._scores(c.name) for c in self._candidates.values() if c.control is None}
        lost = set(beaten(rivals, self._sizes.race, maximize=[one.maximize for one in self._spec.objectives]))
        for name in lost:
            open_ = [run for run in races if run.candidate == name and run.state == WAITING]
            if open_:
                self._put(*(replace(run, state=STOPPED) for run in open_))
                self._say(f"race   {name} can no longer win and stops")
        races = [run for run in self._runs.values() if run.phase == RACE]
        over = all(run.state in (FINISHED, FAILED, STOPPED) for run in races)
        if over and not any(run.phase == FINAL for run in self._runs.values()):
            out = {run.candidate for run in races if run.state == STOPPED}
            out |= {c for c in self._candidates if races and not self._scores(c)}
            self._plan(FINAL, self._sizes.seeds, [name for name in self._candidates if name not in out])

    def _scores(self, candidate: str) -> list[list[float]]:
        names = [one.short for one in self._spec.objectives]
        found = [
            [run.valid.get(name, math.nan) for name in names]
            for run in self._runs.values()
            if run.phase == RACE and run.candidate == candidate and run.state == FINISHED
        ]
        return [values for values in found if all(map(math.isfinite, values))]

    def _plan(self, phase: str, seeds: int, names: Sequence[str]) -> None:
        """Write down the runs of a phase, seed by seed, so that candidates stay level."""
        runs = []
        for index in range(seeds):
            seed = derive_seed(self._spec.seed, "promotion", self._number, phase, index)
            for name in names:
                candidate = self._candidates[name]
                config = self._final_config(candidate) if phase == FINAL else candidate.config
                place = self._folder.joinpath(*folders_of(self._number, phase, name, seed))
                runs.append(
                    PromotionRun(
                        candidate=name, trial=candidate.trial, control=candidate.control, method=candidate.method,
                        config=config, seed=seed, phase=phase, folder=place,
                    )
                )  # fmt: skip
        self._put(*runs)

    # ------------------------------------------------------------------ what workers say

    def _epoch(self, run: PromotionRun, message: Epoch) -> None:
        metrics, epoch = message.metrics, message.epoch
        if epoch > run.epochs:  # else it was told before: its worker had died after it
            valid, best_epoch = self._best(run, message)
            peak = max(run.peak_bytes or 0.0, metrics.get("memory/peak_bytes", 0.0))
            run = replace(
                run, epochs=epoch, valid=valid, best_epoch=best_epoch, seconds=run.seconds + seconds_of(metrics),
                peak_bytes=peak or None,
            )  # fmt: skip
            self._put(run)
        if message.done:  # as a run of the race says; a final one ends once it is tested
            self._end(replace(run, state=FINISHED), self._said_valid(run))

    def _best(self, run: PromotionRun, message: Epoch) -> tuple[dict[str, float], int]:
        """Validation metrics at the best epoch so far, without their prefix, and that epoch."""
        if message.best is not None:
            return self._valid(message.best), message.best_epoch
        name, new = self._objective.short, self._valid(message.metrics)
        value, best = new.get(name, math.nan), run.valid.get(name)
        better = improves([value], None if best is None else [best], [self._objective])
        return (new, message.epoch) if better and math.isfinite(value) else (run.valid, run.best_epoch)

    def _tested(self, run: PromotionRun, message: Measured) -> None:
        storage = self._storage_of(run)
        if storage is not None and not fetch_results(storage, run.folder):
            self._fail(run, f"what it left in the storage {storage} is not whole")
            return
        self._store.update(self._number, num_users=message.num_users)
        done = replace(
            run, state=FINISHED, test=message.metrics,
            ranks=None if message.ranks is None else run.folder / message.ranks,
            parameters=message.parameters, data_fingerprint=message.fingerprint,
        )  # fmt: skip
        asked = self._store.load(self._number).metrics
        test = ", ".join(f"{name} {done.test[name]:.4f}" for name in asked if name in done.test)
        self._end(done, f"{self._said_valid(run)}; test {test or 'has no figures'}")

    def _fail(self, run: PromotionRun, cause: str) -> None:
        if run.state != RUNNING:  # another worker of the same training was quicker to say so
            return
        cause = redact(cause)
        self._end(replace(run, state=FAILED, cause=cause), f"failed, {cause.strip().splitlines()[-1]}")

    def _refused(self, run: PromotionRun, message: Ended) -> None:
        """A candidate is out if a value of its own does not fit; else the input is wrong for all."""
        if not {*self._spec.space.names, *self._own(run)}.intersection(message.fields):
            raise InputError(message.cause)
        self._fail(run, f"{WRONG_INPUT}{message.cause}")

    def _own(self, run: PromotionRun) -> Mapping[str, Any]:
        return next((c.values for c in self._spec.controls if c.name == run.control), {})

    def _end(self, run: PromotionRun, text: str) -> None:
        self._put(run)
        self._say(f"{self._title(run)}: {text}")
        self._finished(run)

    def _put(self, *runs: PromotionRun) -> None:
        self._store.put(self._number, *runs)
        for run in runs:
            self._runs[run.key] = run

    def _title(self, run: PromotionRun) -> str:
        of_phase = [other for other in self._runs.values() if other.phase == run.phase]
        ended = sum(other.state in (FINISHED, FAILED, STOPPED) for other in of_phase)
        seeds = list(dict.fromkeys(other.seed for other in of_phase))
        seed = f"seed {seeds.index(run.seed) + 1} of {len(seeds)}"
        return f"{run.phase:<5}  {ended}/{len(of_phase)}  {run.candidate}, {seed}"

    def _said_valid(self, run: PromotionRun) -> str:
        name = self._objective.short
        value = run.valid.get(name, math.nan)
        return f"{self._objective.metric} {value:.4f} at epoch {run.best_epoch} of {run.epochs}, {run.seconds:.0f} s"

    def _valid(self, metrics: dict[str, float]) -> dict[str, float]:
        """What a report says of validation, without the prefix, and of objectives that are none of it: times, say."""
        objectives = {one.metric for one in self._spec.objectives}
        kept = {name: value for name, value in metrics.items() if name.startswith(VALID) or name in objectives}
        return {name.removeprefix(VALID): value for name, value in kept.items()}
