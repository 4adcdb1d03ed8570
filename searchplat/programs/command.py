"""`method: command`: a script that nobody here wrote, run unchanged as a method."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from searchplat.contract import AssetSource, DataRequest, FinalJob, Named, Training, TrialJob, Values
from searchplat.environment import allowed
from searchplat.errors import InputError
from searchplat.methods import check_leave
from searchplat.programs.final import FinalProgram
from searchplat.programs.lines import Reader, compiled
from searchplat.programs.process import STDOUT, Process
from searchplat.programs.template import Template
from searchplat.programs.training import ProgramTraining, work_folder
from searchplat.spec.space import Scalar

Word = Annotated[str, Field(max_length=10_000)] | int | float
_PYTHONS = ("python", "python3")
_MOST_SOURCES = 2_000
"""Files of a script's folder that are looked at, to tell whether its code is still the same."""

GIVEN = {
    "seed": "the trial's seed, in [0, 2^32 - 1]",
    "folder": "a folder of the trial's own, the same each time that it is started",
    "attempt": "how often it was started before",
    "epoch": "epochs reported so far",
    "final": "1 in a promotion's final training, else 0",
    "trial": "the trial's number",
    "threads": "CPU threads that it may use",
    "device": "cpu or cuda",
    "data_fraction": "share of the data, in (0, 1]",
    "project": "the folder of the space file",
}


class CommandConfig(BaseModel):
    """What a command is told; further fields are the parameters that it names."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Scalar]

    command: tuple[Word | tuple[Word, ...], ...] = Field(
        min_length=1,
        description="the words to run, without a shell; {name} is a parameter's value or what a trial is given; words "
        "in a list of their own are left out where one of their names has no value",
    )
    metrics: str = Field(
        STDOUT, min_length=1, description="where it reports: stdout, or a file, relative to the trial's {folder}"
    )
    pattern: str | None = Field(
        None,
        description="regular expression of the lines that report, with a named group for each figure, and "
        "(?P<epoch>...) for the epoch; null reads lines that are a JSON object",
    )
    epochs: int | None = Field(
        None, ge=1, description="epochs that it reports, at most, >= 1; null for as many as it does"
    )
    awaits: tuple[str, ...] = Field(
        (), description="metrics that make the report of an epoch whole; by default the objectives"
    )
    resumes: bool = Field(
        False,
        description="whether, started again in its folder, it goes on after the epochs that it had reported; asked "
        "only where its lines say no epoch",
    )
    cwd: Literal["project", "folder"] = Field(
        "project", description="where it runs: in the folder of the space file, or in the trial's own"
    )
    project: Path = Field(Path("."), description="the project's folder; by default that of the space file")

    @field_validator("command")
    @classmethod
    def _readable(cls, command: Sequence[Any]) -> Sequence[Any]:
        if isinstance(command[0], tuple) or Template.of(command[:1]).names:
            raise ValueError(f"must begin with the program's name, got {command[0]!r}; name it without braces")
        Template.of(command)
        return command

    @field_validator("pattern")
    @classmethod
    def _named_groups(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            compiled(pattern)
        return pattern

    @property
    def template(self) -> Template:
        """The command."""
        return Template.of(self.command)

    @property
    def values(self) -> dict[str, Scalar]:
        """All that a word may name, but for what a trial is given."""
        own = {name: value for name, value in self if isinstance(value, (str, int, float))}
        return {**own, **(self.__pydantic_extra__ or {})}


class Command:
    """A method whose trials are runs of a command."""

    name = "command"
    summary = "A script of anybody's, run unchanged: its command under fixed, its parameters by their own names"
    paper = ""
    Config = CommandConfig
    given: Mapping[str, str] = GIVEN
    needs_leave = "runs the command that the file gives"

    def layout_layers(self, config: BaseModel) -> int | None:
        """None: only the space file can say."""
        return None

    def named(self, values: Mapping[str, Any]) -> Named | None:
        """The names in the command."""
        try:
            template = Template.of(values["command"])
        except (KeyError, TypeError, ValueError):
            return None
        return Named(
            template.names - GIVEN.keys() - CommandConfig.model_fields.keys(),
            template.required - GIVEN.keys(),
            template.names & GIVEN.keys(),
        )

    def from_space(self, folder: Path, objectives: Sequence[str]) -> Values:
        """The project is where the space file lies, and a report is whole once all objectives have come."""
        return {"project": str(folder), "awaits": list(objectives)}

    def sources(self, values: Mapping[str, Any]) -> Mapping[str, Path]:
        """The files that the command names, and the Python files of their folders."""
        try:
            config = CommandConfig(**values)
        except ValidationError:
            return {}
        found: dict[str, Path] = {}
        for word in config.command:
            path = config.project / str(word)
            if not isinstance(word, str) or "{" in word or not path.is_file() or Path(word).name in _PYTHONS:
                continue
            found[word] = path
            if path.suffix == ".py":
                found |= {f"{word}:{name}": each for name, each in _beside(path.parent)}
        return found

    def prepare(self, config: BaseModel, data: DataRequest, assets: AssetSource) -> None:
        """See that the program and its script are here.

        Raises:
            InputError: If not, or if commands of a file may not be run.
        """
        assert isinstance(config, CommandConfig)
        check_leave(self.name, self)
        if not config.project.is_dir():
            raise InputError(
                f"fixed.project: there is no folder {config.project} on this machine; share it, or copy it"
            )
        program = _found(config)
        script = next((w for w in config.command[1:] if isinstance(w, str) and not w.startswith("-")), "")
        if "python" in Path(program).name and script.endswith(".py") and "{" not in script:
            where = config.project / script
            if config.cwd == "folder" and not Path(script).is_absolute():
                raise InputError(
                    f"fixed.command: {script} is looked for in the trial's own folder; write {{project}}/{script}"
                )
            if not where.is_file():
                raise InputError(f"fixed.command: there is no script {where}; correct its name, or move the space file")

    def start(self, job: TrialJob) -> Training:
        """The command starts with the first epoch."""
        return self._training(job, final=False)

    def start_final(self, job: FinalJob) -> FinalProgram:
        """The same command on a fresh seed, told that it is final."""
        if job.workers > 1:
            raise InputError(f"--workers: a command is one process for the platform, got {job.workers}; use 1")
        return FinalProgram(self._training(job.trial, final=True), job)

    def _training(self, job: TrialJob, *, final: bool) -> ProgramTraining:
        assert isinstance(job.config, CommandConfig)
        check_leave(self.name, self)
        config = job.config
        return ProgramTraining(
            job,
            epochs=config.epochs,
            awaits=config.awaits,
            resumes=config.resumes,
            begin=partial(_begin, job, config, final),
            final=final,
        )


def _begin(job: TrialJob, config: CommandConfig, final: bool, attempt: int, epoch: int) -> Process:
    folder = work_folder(job)
    given: dict[str, Scalar] = {
        "seed": job.seed,
        "folder": str(folder),
        "attempt": attempt,
        "epoch": epoch,
        "final": int(final),
        "trial": "run" if job.number is None else job.number,
        "threads": job.threads,
        "device": job.device,
        "data_fraction": job.data.fraction,
        "project": str(config.project),
    }
    assert given.keys() == GIVEN.keys()
    try:
        words = config.template.render({**config.values, **given})
    except KeyError as error:
        name = error.args[0]
        raise InputError(f"fixed.command: {{{name}}} has no value here; give it one under fixed or search") from error
    return Process(
        [_found(config), *words[1:]],
        cwd=config.project if config.cwd == "project" else folder,
        environment=_environment(job),
        folder=folder,
        metrics=config.metrics,
        reader=Reader(config.pattern),
    )


def _found(config: CommandConfig) -> str:
    """The program's path. `python` is the one that runs this: its packages are those that searchplat was tried with.

    Raises:
        InputError: If there is none.
    """
    name = str(config.command[0])
    if name in _PYTHONS:
        return sys.executable
    found = shutil.which(config.project / name if os.sep in name else name)
    if found is None:
        raise InputError(f"fixed.command: there is no program {name!r} on this machine; install it, or give its path")
    return os.path.abspath(found)


def _environment(job: TrialJob) -> dict[str, str]:
    """What a trial sees, without what belongs to Ray; and threads and devices as the trial has them."""
    own = {name: value for name, value in allowed(os.environ).items() if not name.startswith("RAY_")}
    threads = {name: str(job.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if job.device == "cpu" else {}
    return {**own, **threads, **hidden, "PYTHONUNBUFFERED": "1"}


def _beside(folder: Path) -> list[tuple[str, Path]]:
    """Python files of a folder and of those in it, not hidden ones and environments; no more than is quickly read."""
    found: list[tuple[str, Path]] = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(
            one for one in folders
            if not one.startswith((".", "__")) and not (Path(place) / one / "pyvenv.cfg").exists()
        )  # fmt: skip
        for name in sorted(files):
            if name.endswith(".py"):
                path = Path(place) / name
                found.append((path.relative_to(folder).as_posix(), path))
            if len(found) >= _MOST_SOURCES:
                return found
    return found
