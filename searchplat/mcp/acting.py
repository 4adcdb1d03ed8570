"""Tools that start searches, steer them and promote winners: each only where the user has allowed it."""

from __future__ import annotations

import os
import time
from typing import Annotated, Any

from pydantic import Field

from searchplat.api.steering import ask
from searchplat.engine.search import search_name
from searchplat.engine.steering.changes import read
from searchplat.engine.steering.requests import Action
from searchplat.errors import InputError, TryAgainError
from searchplat.hints import space_word
from searchplat.ledger.folder import SearchFolder
from searchplat.mcp.answers import Answer
from searchplat.mcp.background import LOG, Started, Starter
from searchplat.mcp.project import Project
from searchplat.mcp.reading import Overrides, Scale, Search, Space, Text
from searchplat.spec.model import CONTROLS
from searchplat.views.snapshot import Snapshot, take
from searchplat.views.text import shell_words

_PATIENCE_S = 40.0

Minutes = Annotated[
    float | None,
    Field(description="After which it ends by itself, in good order and resumable; as many as the user allows."),
]


class Acting:
    """The tools.

    Args:
        project: Where they act.
        starter: Starts processes.
    """

    def __init__(self, project: Project, starter: Starter) -> None:
        self._project, self._starter = project, starter

    def start_search(
        self,
        space: Space = None,
        text: Text = None,
        name: Annotated[
            str | None,
            Field(description="The search's name, small letters, digits and -._ ; of a text always, else SPACE-SCALE."),
        ] = None,
        trials: Annotated[
            int | None, Field(ge=1, description="Trials of all stages together; the space's own number by default.")
        ] = None,
        minutes: Minutes = None,
        scale: Scale = None,
        overrides: Overrides = None,
    ) -> Answer:
        """Start a search in the background, or go on with one that was stopped; it outlives this conversation.

        The space is checked first, as by check_space. A text is kept as NAME.yaml in the project's folder. Answers
        once the search is under way, or after 20 s: follow it with search_status. The same call goes on with a search
        of the same name; more trials extend one that is done.
        """
        rules = self._project.rules
        seconds = 60 * rules.minutes(minutes)
        if text is not None and name is None:
            raise InputError("name: a search whose space is a text needs one; give name, my-search say")
        spec = self._project.read(space, text, scale, overrides or (), name)
        folder = self._project.search(name or search_name(spec, None))
        planned = trials or sum(stage.trials for stage in spec.stages)
        if folder.exists():
            planned = max(planned, 0 if trials else _planned(_snapshot(folder)))
        rules.check_trials(planned)
        word = self._kept(text, folder.name) if text is not None else space_word(spec)
        words = ["search", word, "--name", folder.name]
        words += ["--trials", str(trials)] if trials else []
        words += ["--scale", scale] if scale else []
        for override in overrides or ():
            words += ["--set", override]
        for who in rules.notify:
            words += ["--notify", who]
        return self._begun(folder, self._starter.start(folder, words, seconds), seconds)

    def stop_search(
        self,
        search: Search,
        trial: Annotated[int | None, Field(ge=0, description="Stop this trial alone; the search goes on.")] = None,
    ) -> Answer:
        """End a running search or promotion in good order, or one of its trials. start_search goes on with a search.

        A stopped trial keeps its best value so far, and its epoch under way is given up.
        """
        if trial is not None:
            return self._ask(search, "stop-trial", trial=trial)
        try:
            return self._ask(search, "stop")
        except (InputError, TryAgainError):  # it may be still preparing: without a ledger, or without taking requests
            if not self._starter.end(search, _PATIENCE_S):
                raise
        return {"search": search, "action": "stop", "outcome": "done", "said": "ended before its trials began"}

    def pause_search(
        self,
        search: Search,
        now: Annotated[
            bool, Field(description="Running trials wait too, after their present epochs, rather than go on.")
        ] = False,
    ) -> Answer:
        """Let a running search begin no more trials until resume_search."""
        return self._ask(search, "pause", now=now)

    def resume_search(self, search: Search) -> Answer:
        """Let a paused search go on. One that has ended goes on by start_search."""
        return self._ask(search, "resume")

    def set_search(
        self,
        search: Search,
        trials: Annotated[int | None, Field(ge=1, description="Of all stages together.")] = None,
        stage_trials: Annotated[
            dict[str, int] | None, Field(description="Of single stages, by name; not together with trials.")
        ] = None,
        concurrent: Annotated[int | None, Field(ge=0, description="How many run at once; 0 as many as fit.")] = None,
    ) -> Answer:
        """Change how many trials a running search gets, or how many run at once. No trial is ended by it."""
        changes = [f"trials={trials}"] if trials is not None else []
        changes += [f"stages.{stage}.trials={number}" for stage, number in (stage_trials or {}).items()]
        changes += [f"concurrent={concurrent or 'null'}"] if concurrent is not None else []
        asked = read(changes)
        if trials is not None:
            self._project.rules.check_trials(trials)
        elif stage_trials:
            folder = self._project.search(search)
            folder.check_exists()
            self._project.rules.check_trials(_planned(_snapshot(folder), stage_trials))
        return self._ask(search, "set", changes=asked)

    def promote_search(
        self,
        search: Search,
        top: Annotated[int | None, Field(ge=1, le=10, description="Configurations; the space's by default.")] = None,
        seeds: Annotated[
            int | None, Field(ge=1, le=10, description="Final trainings of each; the space's by default.")
        ] = None,
        minutes: Minutes = None,
    ) -> Answer:
        """Train a search's winners in full on fresh seeds and test each training once, in the background.

        This opens the test split, which is counted for good: do it once, when the search is done. A search that was
        promoted is not promoted again here. Follow it with search_status until `running` is false, then read
        search_promotion.
        """
        folder = self._project.search(search)
        folder.check_exists()
        seconds = 60 * self._project.rules.minutes(minutes)
        words = ["promote", search]
        words += ["--top", str(top)] if top is not None else []
        words += ["--seeds", str(seeds)] if seeds is not None else []
        return self._begun(folder, self._starter.start(folder, words, seconds), seconds)

    def _kept(self, text: str, name: str) -> str:
        """The file of a space that was given as a text: new, or the same as before."""
        content = self._project.text(text).encode("utf-8")
        path = self._project.rules.folder / f"{name}.yaml"
        try:
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
                file.write(content)
        except FileExistsError:
            if path.is_symlink() or not path.is_file() or path.read_bytes() != content:
                raise InputError(
                    f"{path}: is there, and says something else than the text; choose another name, or give "
                    f"space={path.name!r} to search by that file"
                ) from None
        return str(path)

    def _ask(self, search: str, action: Action, **about: Any) -> Answer:
        return ask(self._project.search(search), action, lambda line: None, patience_s=_PATIENCE_S, **about)

    def _begun(self, folder: SearchFolder, started: Started, seconds: float) -> Answer:
        ended = started.process.poll() is not None
        return {
            "search": folder.name,
            "state": "ended" if ended else "running" if folder.exists() else "preparing",
            "process": started.process.pid,
            "command": shell_words(started.words),
            "log": str(folder.path / LOG),
            "ends_by": time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(time.time() + seconds)),
            "next": f"search_status with search={folder.name!r} and wait_s",
        }


def _snapshot(folder: SearchFolder) -> Snapshot:
    with folder.read() as ledger:
        return take(folder.name, folder.path, ledger)


def _planned(snapshot: Snapshot, changed: dict[str, int] | None = None) -> int:
    """Trials of all stages together, without controls."""
    stages = {stage.name: stage.planned for stage in snapshot.stages if stage.name != CONTROLS}
    return sum({**stages, **(changed or {})}.values())
