"""What an agent may do, said by the user when the server starts; nothing that an agent says changes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from searchplat.errors import InputError


class Leave(StrEnum):
    """What goes beyond reading and checking."""

    SEARCH = "search"
    """Start searches, go on with them, steer those that run."""
    PROMOTE = "promote"
    """Train winners in full and open the test split."""
    IMPORT = "import"
    """Run code that a space file names: `method: module:attribute`, `method: command`."""


@dataclass(frozen=True)
class Rules:
    """What one server allows.

    Args:
        folder: The project's; spaces, and what they name, are in it.
        runs: The folder of all searches.
        leaves: What is allowed beyond reading and checking.
        most_trials: Trials of all stages of a search together, those that it has already included.
        most_minutes: Of each process that is started, from its beginning.
        most_searches: At work at once in `runs`, whoever started them.
        words: Options of the command line that each search and promotion gets besides: `--address`, say.
        notify: Of each search, who is told how it stands.
    """

    folder: Path
    runs: Path
    leaves: frozenset[Leave] = frozenset()
    most_trials: int = 200
    most_minutes: float = 120.0
    most_searches: int = 1
    words: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()

    def check_trials(self, trials: int) -> None:
        """See that a search of so many trials is allowed."""
        if trials > self.most_trials:
            raise InputError(
                f"trials: {trials} in all are more than the {self.most_trials} that the user allows (--most-trials of "
                "this server); give fewer"
            )

    def minutes(self, asked: float | None) -> float:
        """How long a process may take that was asked to take so long; as long as is allowed by default."""
        if asked is None:
            return self.most_minutes
        if not 0 < asked <= self.most_minutes:
            raise InputError(
                f"minutes: must be above 0 and at most the {self.most_minutes:g} that the user allows (--most-minutes "
                f"of this server), got {asked:g}"
            )
        return asked

    def in_words(self) -> str:
        """For the agent."""
        may = ["look at searches and check spaces"]
        if Leave.SEARCH in self.leaves:
            may.append(
                f"start and steer searches (at most {self.most_trials} trials each, {self.most_minutes:g} minutes a "
                f"start, {self.most_searches} at once)"
            )
        if Leave.PROMOTE in self.leaves:
            may.append("promote winners, which opens the test split")
        if Leave.IMPORT in self.leaves:
            may.append("use spaces that name code or commands to run")
        missing = [leave.value for leave in Leave if leave not in self.leaves]
        closed = f" Not allowed: {', '.join(missing)}; the user allows one by `--allow NAME` when this server starts."
        return f"You may {'; '.join(may)}.{closed if missing else ''}"
