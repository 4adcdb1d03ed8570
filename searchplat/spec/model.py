"""The typed form of a space file: what `searchplat.spec.load` returns and everything else reads.

All classes are frozen. Parsing, defaults and errors live in the neighbouring files; the axes are `space`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from searchplat.contract import FILE
from searchplat.spec.document.bounds import Bound
from searchplat.spec.space import Layout, Space

CONTROLS = "controls"
"""What stands for a stage's name at a control's trials; no stage may have it."""

OWN_LOOP = "own-loop"
"""What stands for the method where somebody's own loop trains what no method here knows."""


VALID = "valid/"
"""What names of validation metrics begin with."""


@dataclass(frozen=True)
class Objective:
    """A metric of the trials' reports, and whether more is better."""

    metric: str
    maximize: bool

    @property
    def short(self) -> str:
        """Its name without `valid/`."""
        return self.metric.removeprefix(VALID)


@dataclass(frozen=True)
class DataSpec:
    """`data:` — the data set's name and its own options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> str:
        """What people call it: a file of their own by that file's name."""
        own = self.options.get(FILE)
        return Path(own).name if self.name == FILE and isinstance(own, str) else self.name


@dataclass(frozen=True)
class SearcherSpec:
    """`searcher:` — a name of `searchplat.searchers.SEARCHERS` and that searcher's options."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SchedulerSpec:
    """`scheduler:` — what may stop a trial early.

    Args:
        name: `asha`, `median` or `none`.
        grace: Epochs that every trial gets.
        reduction: ASHA: the share of trials kept at a rung is 1 / reduction.
        min_trials: Median: trials that must have reported at an epoch before any is stopped there.
    """

    name: str = "none"
    grace: int = 1
    reduction: int = 3
    min_trials: int = 3


BY_VALUE, BY_MODEL = "value", "model"


@dataclass(frozen=True)
class StageFrom:
    """`from:` — fix the values of an earlier stage's best trials; top > 1 makes the choice among them an axis.

    Args:
        by: `value`: the best are those with the best values; `model`: by `searchers.estimates`.
    """

    stage: str
    top: int = 1
    by: str = BY_VALUE


@dataclass(frozen=True)
class RepeatsSpec:
    """`repeats:` — this share of a stage's trials trains one of its best `top` configurations again; see `repeats`."""

    share: float
    top: int = 3


@dataclass(frozen=True)
class StopSpec:
    """`stop:` — a stage ends once its next `trials` trials can be expected to gain less than `gain`.

    Args:
        gain: In the objective's units, > 0.
        trials: How far to look ahead, >= 1.
        after: Trials with a value before which it never ends.
    """

    gain: float
    trials: int = 10
    after: int = 20


@dataclass(frozen=True)
class StageSpec:
    """One stage: which axes, by which searcher, how many trials, on which share of the users.

    Args:
        hours: Of training and evaluation by its trials together, > 0, after which no more begin; None for no bound.
        gpu_hours: The same, each hour counted by the trial's share of a GPU.
        priority: Among stages that can go on at once, the highest gets a free slot first.
        seeds: `own`: every trial has a seed of its own; `shared`: all have the same; see `engine.seeds`.
        repeats: None for no repeats.
        points: Values of some or all of its axes, each to be tried before the searcher is asked.
        stop: When to end before all trials were run; None for never.
    """

    name: str
    over: tuple[str, ...]
    searcher: SearcherSpec
    trials: int
    data_fraction: float = 1.0
    fixed: Mapping[str, Any] = field(default_factory=dict)
    start_from: StageFrom | None = None
    scheduler: SchedulerSpec = SchedulerSpec()
    hours: float | None = None
    gpu_hours: float | None = None
    priority: int = 0
    seeds: str = "own"
    repeats: RepeatsSpec | None = None
    points: tuple[Mapping[str, Any], ...] = ()
    stop: StopSpec | None = None


@dataclass(frozen=True)
class Control:
    """A configuration that runs inside the search for comparison and never guides it.

    Args:
        name: How tables name it.
        values: Parameter values over the method's defaults and the space's `fixed`.
        method: Another method with its own defaults (`popularity`, `sasrec`); `fixed` does not apply to it.
        random: Draw the searched parameters at random instead.
        trials: Number of trials (of different random draws when `random`, else of different seeds).
        data_fraction: Share of the users; the last stage's by default.
    """

    name: str
    values: Mapping[str, Any] = field(default_factory=dict)
    method: str | None = None
    random: bool = False
    trials: int = 1
    data_fraction: float = 1.0


@dataclass(frozen=True)
class Resources:
    """`resources:` of one trial, or of each of the processes that train it together.

    Args:
        cpu: Cores; under `cpu_auto` those of what is not measured, such as controls and final trainings.
        gpu: None means auto: a measured share where there is a GPU, none where there is not.
        concurrent: Trials at once; None for as many as fit.
        timeout_s: Seconds of silence after which a trial is stopped.
        cpu_auto: Whether cores are shared out by measuring.
        probe_s: Seconds that measuring may take a stage; None for a twentieth of the stage's expected time.
        workers: Processes that train a trial together, >= 1; `cpu` and `gpu` are of each, `concurrent` counts trials.
    """

    cpu: float = 1
    gpu: float | None = None
    concurrent: int | None = None
    timeout_s: float | None = None
    cpu_auto: bool = False
    probe_s: float | None = None
    workers: int = 1


@dataclass(frozen=True)
class PromotionSpec:
    """`promotion:` — how winners are retrained and tested.

    Args:
        top: Configurations of the search; controls come on top.
        seeds: Final trainings of each.
        epochs: At most; the configuration's own if None.
        data_fraction: Share of the users.
        test: Metrics measured on the test split.
        race: Fresh seeds on which they race at the search's scale; two are needed before anybody is stopped.
        patience: Epochs without a better validation after which a training ends.
    """

    top: int = 3
    seeds: int = 5
    epochs: int | None = None
    data_fraction: float = 1.0
    test: tuple[str, ...] = ("mrr", "recall@10", "ndcg@10")
    race: int = 3
    patience: int = 5


NOTICES = ("end", "failure", "best")
"""What somebody may be told of."""


@dataclass(frozen=True)
class NotifySpec:
    """`notify:` — who is told how the search stands, by one of three ways. No secret is in it.

    Args:
        url_env: The environment variable that holds a webhook's URL.
        url_file: The file that does.
        command: Words of a command.
        on: Of `NOTICES`.
        of_space: Whether the space says so, rather than who starts the search.
    """

    url_env: str | None = None
    url_file: str | None = None
    command: tuple[str, ...] | None = None
    on: tuple[str, ...] = NOTICES
    of_space: bool = False


@dataclass(frozen=True)
class SearchSpec:
    """A whole, valid search: a space file at one scale with overrides applied.

    Args:
        name: The file's stem, e.g. `darec`.
        scale: The chosen scale, e.g. `quick`; None if the file has none.
        overrides: The `--set` items as given.
        seed: Seeds the searchers and, with a trial's number, every trial.
        source: The file; text is its content, for the record.
        past: The `--past` searches as given; the searchers' options have them, too.
        outcomes: Bounds that a trial's metrics are to keep.
    """

    name: str
    method: str
    data: DataSpec
    objectives: tuple[Objective, ...]
    fixed: Mapping[str, Any]
    space: Space
    stages: tuple[StageSpec, ...]
    controls: tuple[Control, ...]
    resources: Resources
    promotion: PromotionSpec
    seed: int
    scale: str | None
    overrides: tuple[str, ...]
    source: Path
    text: str
    notify: tuple[NotifySpec, ...] = ()
    outcomes: tuple[Bound, ...] = ()
    past: tuple[str, ...] = ()

    @property
    def layout(self) -> Layout | None:
        """The space's layout axis, if it has one."""
        return next((d for d in self.space.domains if isinstance(d, Layout)), None)
