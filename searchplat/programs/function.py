"""`method: module:function`: a plain function `train(config, report)` as a method.

It runs in a thread of the trial's process. `report` ends an epoch and waits there until the platform wants another
one; if it wants none, `report` raises `Stopped`, which ends the function.
"""

from __future__ import annotations

import inspect
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from time import monotonic
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from searchplat.contract import AssetSource, DataRequest, FinalJob, Named, Training, TrialJob, Values
from searchplat.errors import InputError, SearchplatError, TrialFailedError, disk_full, out_of_memory
from searchplat.programs.final import FinalProgram
from searchplat.programs.lines import Said, said
from searchplat.programs.training import ProgramTraining, work_folder
from searchplat.spec.space import Scalar

GIVEN = {
    "seed": "the trial's seed, in [0, 2^32 - 1]",
    "folder": "a folder of the trial's own (Path), the same each time that it is started",
    "attempt": "how often it was started before",
    "epoch": "epochs reported so far",
    "final": "True in a promotion's final training",
    "trial": "the trial's number, None outside of a search",
    "threads": "CPU threads that it may use",
    "device": "cpu or cuda",
    "data_fraction": "share of the data, in (0, 1]",
}
_OWN = ("resumes",)
"""Fields that are the platform's business alone."""
_JOIN_S = 10.0


class Stopped(BaseException):
    """Raised by `report` where the trial goes no further. No `Exception`, as functions catch those to go on."""


class FunctionConfig(BaseModel):
    """What a function is told; further fields are its own, and are in its dict with `epochs`, if that is given."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    epochs: int | None = Field(
        None, ge=1, description="reports that it makes, at most, >= 1; null for as many as it does"
    )
    resumes: bool = Field(
        False,
        description="whether, called again after its process died, it goes on after the epochs that it had reported; "
        "asked only where its reports have no key epoch",
    )


class FunctionMethod:
    """A method whose trials are calls of a function.

    Args:
        name: `module:function`.
        function: Takes a dict and `report`, and by name whatever of `GIVEN` it wants.

    Raises:
        InputError: If the function takes anything else.
    """

    paper = ""
    Config = FunctionConfig
    given: Mapping[str, str] = GIVEN

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name, self._function = name, function
        self.summary = (inspect.getdoc(function) or "A function").splitlines()[0]
        self.module = function.__module__
        self._wanted = _wanted(name, function)

    def layout_layers(self, config: BaseModel) -> int | None:
        """None: only the space file can say."""
        return None

    def named(self, values: Mapping[str, Any]) -> Named:
        """Its dict takes any name."""
        return Named(given=frozenset(self._wanted))

    def from_space(self, folder: Path, objectives: Sequence[str]) -> Values:
        """Nothing is missing."""
        return {}

    def sources(self, values: Mapping[str, Any]) -> Mapping[str, Path]:
        """The package or the module that holds it."""
        top = self.module.partition(".")[0]
        place = Path(str(sys.modules[top].__file__ or sys.modules[self.module].__file__))
        return {top: place.parent if place.name == "__init__.py" else place}

    def prepare(self, config: BaseModel, data: DataRequest, assets: AssetSource) -> None:
        """Nothing is known of what it needs."""

    def start(self, job: TrialJob) -> Training:
        """The function is called by the first epoch."""
        return self._training(job, final=False)

    def start_final(self, job: FinalJob) -> FinalProgram:
        """The same function on a fresh seed, told that it is final."""
        if job.workers > 1:
            raise InputError(f"--workers: a function is called in one process, got {job.workers}; use 1")
        return FinalProgram(self._training(job.trial, final=True), job)

    def _training(self, job: TrialJob, *, final: bool) -> ProgramTraining:
        assert isinstance(job.config, FunctionConfig)
        return ProgramTraining(
            job,
            epochs=job.config.epochs,
            awaits=(),
            resumes=job.config.resumes,
            begin=partial(self._begin, job, final),
            final=final,
        )

    def _begin(self, job: TrialJob, final: bool, attempt: int, epoch: int) -> Call:
        assert isinstance(job.config, FunctionConfig)
        given = {
            "seed": job.seed, "folder": work_folder(job), "attempt": attempt, "epoch": epoch, "final": final,
            "trial": job.number, "threads": job.threads, "device": job.device, "data_fraction": job.data.fraction,
        }  # fmt: skip
        assert given.keys() == GIVEN.keys()
        config = {name: value for name, value in job.config.model_dump().items() if name not in _OWN}
        if config["epochs"] is None:
            del config["epochs"]
        return Call(partial(self._function, config, **{name: given[name] for name in self._wanted}))


class Call:
    """A call under way.

    Args:
        function: Takes `report`.
    """

    def __init__(self, function: Callable[[Callable[..., None]], Any]) -> None:
        self._said, self._wanted = SimpleQueue[Said | None](), SimpleQueue[bool]()
        self._error: BaseException | None = None
        self._stopped = self._over = False
        self._since = monotonic()
        self._thread = threading.Thread(target=self._run, args=(function,), name="train", daemon=True)
        self._thread.start()
        self._asked = True  # it runs to its first report without being asked

    def next(self) -> Said | None:
        """The next report, waited for; None once the function has returned."""
        if self._over:
            return None
        if not self._asked:
            self._wanted.put(True)
        self._asked = False
        found = self._said.get()
        if found is not None:
            return found
        self._over = True
        if self._error is None:
            return None
        raise self._sorted(self._error)

    def close(self) -> None:
        """Have `report` raise, and wait for the function to end by it."""
        self._stopped = True
        self._wanted.put(False)
        self._thread.join(_JOIN_S)
        if self._thread.is_alive():
            print("the function goes on although its trial has ended: it must let Stopped pass", file=sys.stderr)

    def _run(self, function: Callable[[Callable[..., None]], Any]) -> None:
        try:
            function(self._report)
        except Stopped:
            pass
        except SystemExit as error:
            if error.code not in (None, 0):
                self._error = error
        except BaseException as error:
            self._error = error
        self._said.put(None)

    def _report(self, metrics: Mapping[str, Any], **more: Any) -> None:
        """End an epoch.

        Args:
            metrics: Numbers by name; `epoch` says of which epoch they are.
            more: The same, by name.

        Raises:
            Stopped: If the trial goes no further.
            TypeError: If it was given no mapping of numbers.
        """
        if self._stopped:
            raise Stopped
        figures = {**metrics, **more}
        found = said(figures, monotonic() - self._since)
        if found is None:
            raise TypeError(f"report: takes a dict of numbers, such as {{'ndcg': 0.1}}, got {figures!r}")
        self._said.put(found)
        if not self._wanted.get():
            raise Stopped
        self._since = monotonic()

    def _sorted(self, error: BaseException) -> BaseException:
        """What the platform is told: its own errors, and what says that memory or a disk is full, as they are."""
        if isinstance(error, SearchplatError) or out_of_memory(error) or disk_full(error):
            return error
        return TrialFailedError("".join(traceback.format_exception(error)))


def _wanted(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of what a trial is given the function takes, by name.

    Raises:
        InputError: If it takes anything else.
    """
    parameters = list(inspect.signature(function).parameters.values())
    plain = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = [p for p in parameters if p not in plain[:2]]
    unknown = [
        p
        for p in rest
        if p.name not in GIVEN and p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    if len(plain) < 2 or unknown or inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
        raise InputError(
            f"method {name!r} must be a function train(config, report), which may take {', '.join(GIVEN)} by name as "
            f"well, got {function.__name__}{inspect.signature(function)}; change its parameters, or wrap it"
        )
    return tuple(p.name for p in rest if p.name in GIVEN and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))
