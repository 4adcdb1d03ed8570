"""What a promotion writes down: its runs, its lineage, and every opening of the test split.

The record lives in the search's ledger, in tables of its own, which a ledger gets with its first promotion. The
promoting process holds the search's lock and is the only writer; anyone may read.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from searchplat import hints
from searchplat.contract import Values
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.ranking import order_of
from searchplat.spec.model import Objective

RACE, FINAL = "race", "final"
"""Phases: fresh seeds at the search's scale, validation only; then training in full, with a test."""

WAITING, RUNNING, FINISHED, FAILED, STOPPED = "waiting", "running", "finished", "failed", "stopped"
"""States of a run; `stopped` lost the race and is not run."""

_TABLES = """
CREATE TABLE IF NOT EXISTS promotions (number INTEGER PRIMARY KEY, at REAL NOT NULL, plan TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS final_runs (
    promotion INTEGER NOT NULL, phase TEXT NOT NULL, candidate TEXT NOT NULL, seed INTEGER NOT NULL,
    seq INTEGER NOT NULL, state TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (promotion, phase, candidate, seed));
CREATE TABLE IF NOT EXISTS test_openings (
    number INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, promotion INTEGER NOT NULL,
    candidate TEXT NOT NULL, seed INTEGER NOT NULL);
"""


@dataclass(frozen=True)
class PromotionRun:
    """One training of one candidate on one seed.

    Args:
        candidate: `trial-17`, a control's name (`default`, `all-parallel`).
        trial: The trial whose configuration it has.
        control: The control's name, None for a trial of the search itself.
        phase: `race` or `final`.
        state: `waiting`, `running`, `finished`, `failed`, or `stopped` where the candidate lost the race before.
        valid: Metrics at the best epoch, named without `valid/`.
        test: Metrics on the test split, named without `test/`; empty for a race.
        best_epoch: Epoch, from 1, whose weights were kept; 0 before the first.
        epochs: Epochs trained.
        seconds: Training and evaluation time.
        parameters: Trained parameters.
        ranks: An .npy file of int32 `[U]`: the rank, from 1, of every user's test item. Final runs only.
        folder: The best weights as safetensors, and JSON.
        cause: Why it failed.
        data_fingerprint: Of the data that it was trained on.
    """

    candidate: str
    trial: int
    control: str | None
    method: str
    config: Values
    seed: int
    phase: str
    folder: Path
    state: str = WAITING
    valid: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    epochs: int = 0
    seconds: float = 0.0
    peak_bytes: float | None = None
    parameters: int | None = None
    ranks: Path | None = None
    cause: str | None = None
    data_fingerprint: str | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What names it within its promotion: phase, candidate, seed."""
        return self.phase, self.candidate, self.seed


@dataclass(frozen=True)
class Promotion:
    """One promotion of a search.

    Args:
        number: 1, 2, ... of this search.
        data, data_options: The data set and its options.
        data_fingerprint: Equal data has equal fingerprints.
        num_users: Users that the final runs were trained and tested on; 0 before the first was tested.
        metrics: What is measured on the test split, e.g. `ndcg@10`.
        objective: The search's first objective without `valid/`, or the one that candidates were chosen by: by it they
            are raced, trainings stop early and the winner is chosen.
        further: The other objectives, as (name, maximize), where candidates were chosen by all of them: then all decide
            the race and the winner.
        search_scores: Candidate -> the search's first objective, for rank fidelity.
        lineage: Hashes of space, data and code, and the versions of packages, by name.
        test_openings: How often the test split was opened for this search in all, over all its promotions.
        runs: In the order in which they were planned.
    """

    search: str
    number: int
    data: str
    data_options: dict[str, Any]
    data_fingerprint: str
    num_users: int
    metrics: tuple[str, ...]
    search_scores: dict[str, float]
    lineage: dict[str, str]
    test_openings: int
    runs: tuple[PromotionRun, ...]
    objective: str = "mrr"
    maximize: bool = True
    data_fraction: float = 1.0
    data_seed: int = 0
    further: tuple[tuple[str, bool], ...] = ()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All that decide, named without `valid/`."""
        return tuple(Objective(*one) for one in ((self.objective, self.maximize), *self.further))

    def finals(self, candidate: str | None = None) -> list[PromotionRun]:
        """Finished final runs, of one candidate or of all."""
        return [
            run
            for run in self.runs
            if run.phase == FINAL and run.state == FINISHED and candidate in (None, run.candidate)
        ]

    @property
    def candidates(self) -> tuple[str, ...]:
        """Every candidate, controls among them, in the order of the plan."""
        return tuple(dict.fromkeys(run.candidate for run in self.runs))

    def mean_valid(self, candidate: str, phase: str = FINAL, objective: str | None = None) -> float:
        """Mean of an objective (the first) over the candidate's finished runs of a phase; NaN without any."""
        values = [
            run.valid.get(objective or self.objective, math.nan)
            for run in self.runs
            if run.candidate == candidate and run.phase == phase and run.state == FINISHED
        ]
        return statistics.fmean(values) if values else math.nan

    def winner(self) -> PromotionRun | None:
        """The run to register, chosen on validation alone: of the best candidate by its mean, the best seed.

        Of several objectives, the first in the order of `ledger.ranking.order_of`. Candidates are the search's own;
        controls are compared with, never chosen. None if none has finished.
        """
        names = [one.metric for one in self.objectives]
        own = sorted({run.candidate for run in self.finals() if run.control is None})
        means = {name: [self.mean_valid(name, objective=metric) for metric in names] for name in own}
        scored = [name for name in own if all(map(math.isfinite, means[name]))]
        if not scored:
            return None
        best = scored[order_of([means[name] for name in scored], self.objectives)[0]]
        runs = sorted(self.finals(best), key=lambda run: run.seed)
        return runs[order_of([[run.valid[metric] for metric in names] for run in runs], self.objectives)[0]]


def folders_of(promotion: int, phase: str, candidate: str, seed: int) -> tuple[str, ...]:
    """The folders below a search's, and below its storage, in which a run has its checkpoints and results."""
    return "promotions", str(promotion), phase, candidate, f"seed-{seed}"


class PromotionStore:
    """Promotions in a ledger that is open for writing.

    Args:
        ledger: The search's, held by this process.
        folder: `runs/<search>`; paths are stored relative to it, so that a folder may be moved.
    """

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger, self._folder = ledger, folder
        with ledger.transaction() as connection:
            for statement in _TABLES.split(";"):
                connection.execute(statement)

    def create(self, promotion: Promotion, more: Mapping[str, Any]) -> int:
        """Begin a promotion; its `number`, openings and runs are this store's to say. Return its number.

        Args:
            more: Further facts for whoever takes it up again, as JSON values.
        """
        plan = {**asdict(replace(promotion, runs=())), "more": dict(more)}
        with self._ledger.transaction() as connection:
            number = int(connection.execute("SELECT coalesce(max(number), 0) + 1 FROM promotions").fetchone()[0])
            connection.execute("INSERT INTO promotions VALUES (?, ?, ?)", (number, time.time(), json.dumps(plan)))
        return number

    def update(self, number: int, **facts: Any) -> None:
        """Change facts of a promotion, e.g. `num_users`."""
        with self._ledger.transaction() as connection:
            (text,) = connection.execute("SELECT plan FROM promotions WHERE number = ?", (number,)).fetchone()
            plan = json.dumps({**json.loads(text), **facts})
            connection.execute("UPDATE promotions SET plan = ? WHERE number = ?", (plan, number))

    def more(self, number: int) -> dict[str, Any]:
        """What `create` was given as `more`."""
        found: dict[str, Any] = json.loads(_plan(self._ledger, number) or "{}").get("more", {})
        return found

    def put(self, number: int, *runs: PromotionRun) -> None:
        """Write runs down as they are now, all or none; new ones go to the end of the plan."""
        with self._ledger.transaction() as connection:
            for run in runs:
                text = json.dumps(_to_json(run, self._folder))
                connection.execute(
                    "INSERT INTO final_runs VALUES (?, ?, ?, ?,"
                    " (SELECT coalesce(max(seq), 0) + 1 FROM final_runs), ?, ?)"
                    " ON CONFLICT (promotion, phase, candidate, seed) DO UPDATE"
                    " SET state = excluded.state, run = excluded.run",
                    (number, run.phase, run.candidate, run.seed, run.state, text),
                )

    def count_opening(self, number: int, run: PromotionRun) -> int:
        """Write down that the test split is about to be opened for a run; return how often it was in all."""
        with self._ledger.transaction() as connection:
            connection.execute(
                "INSERT INTO test_openings (at, promotion, candidate, seed) VALUES (?, ?, ?, ?)",
                (time.time(), number, run.candidate, run.seed),
            )
        return openings(self._ledger)

    def load(self, number: int | None = None) -> Promotion:
        """A promotion as it stands; see `load_promotion`."""
        return _load(self._ledger, self._folder, number)

    def numbers(self) -> list[int]:
        """Numbers of all promotions of this search, in order."""
        return numbers(self._ledger)


def load_promotion(folder: Path, number: int | None = None) -> Promotion:
    """Read a promotion of a search.

    Args:
        folder: `runs/<search>`.
        number: Which one; the newest by default.

    Raises:
        InputError: If there is no such search or promotion.
    """
    with Ledger.read(folder / "ledger.sqlite") as ledger:
        return _load(ledger, folder, number)


def numbers(ledger: Ledger) -> list[int]:
    """Numbers of all promotions in a ledger, also in one that never had any."""
    if not _present(ledger):
        return []
    return [row[0] for row in ledger.select("SELECT number FROM promotions ORDER BY number")]


def openings(ledger: Ledger) -> int:
    """How often the test split was opened for this search."""
    return int(ledger.select("SELECT count(*) FROM test_openings")[0][0]) if _present(ledger) else 0


def _present(ledger: Ledger) -> bool:
    return bool(ledger.select("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'test_openings'"))


def _plan(ledger: Ledger, number: int) -> str | None:
    rows = ledger.select("SELECT plan FROM promotions WHERE number = ?", number) if _present(ledger) else []
    return str(rows[0][0]) if rows else None


def _load(ledger: Ledger, folder: Path, number: int | None) -> Promotion:
    known = numbers(ledger)
    if not known:
        raise InputError(
            f"search {folder.name!r} was not promoted yet; begin with: {hints.promotes(ledger, folder.name)}"
        )
    wanted = known[-1] if number is None else number
    plan = _plan(ledger, wanted)
    if plan is None:
        listed = ", ".join(map(str, known))
        raise InputError(f"search {folder.name!r} has no promotion {wanted}; there are: {listed}")
    rows = ledger.select("SELECT run FROM final_runs WHERE promotion = ? ORDER BY seq", wanted)
    facts: dict[str, Any] = json.loads(plan)
    del facts["more"]
    facts |= {
        "search": folder.name,
        "number": wanted,
        "metrics": tuple(facts["metrics"]),
        "further": tuple((name, maximize) for name, maximize in facts.get("further", ())),
        "test_openings": openings(ledger),
        "runs": tuple(_from_json(json.loads(text), folder) for (text,) in rows),
    }
    return Promotion(**facts)


def _to_json(run: PromotionRun, folder: Path) -> dict[str, Any]:
    document = asdict(run)
    for name in ("valid", "test"):
        document[name] = {key: value if math.isfinite(value) else None for key, value in document[name].items()}
    for name in ("folder", "ranks"):
        path = document[name]
        document[name] = None if path is None else _relative(path, folder)
    return document


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _inside(folder: Path, place: str) -> Path:
    """A path of the record; a record from elsewhere may name any, and what it names is read, written and removed.

    Raises:
        InputError: If it leads out of the search's folder.
    """
    path = Path(os.path.normpath(folder / place))
    if not path.is_relative_to(os.path.normpath(folder)) or path == folder:
        raise InputError(f"{folder.name}: the promotion's record names {place!r}, which is not in the search's folder")
    return path


def _from_json(document: dict[str, Any], folder: Path) -> PromotionRun:
    for name in ("valid", "test"):
        document[name] = {key: math.nan if value is None else value for key, value in document[name].items()}
    for name in ("folder", "ranks"):
        if document[name] is not None:
            document[name] = _inside(folder, document[name])
    return PromotionRun(**document)
