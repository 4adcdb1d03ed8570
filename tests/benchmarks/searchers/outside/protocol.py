"""What an adapter is, and how one is asked that runs in a process of another interpreter.

Both sides write one JSON object a line. The first line is the question `Opening`; each further question is
`{"ask": number}` or `{"tell": number, "point": [...], "value": y}`, and each answer has the CPU seconds that it took:
`{"seconds": s}`, with a `point` where one was asked for. `{"absent": why}` answers the first line where the package is
not there, `{"error": traceback}` any other. Next: `catalogue`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

Point = list[float]
"""One number an axis, in their order; a bit is 0 or 1."""

_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


class AbsentError(Exception):
    """A package that an adapter needs is not where it was looked for."""


@dataclass(frozen=True)
class Axis:
    """One axis: a bit, or all numbers from `low` to `high`."""

    name: str
    bit: bool = True
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True)
class Opening:
    """What begins a search.

    Args:
        searcher: Its name in the catalogue.
        axes: Of the space.
        seed: Equal seeds and values give equal points.
        first: How many points are told before one is asked for.
        budget: Evaluations in all, for searchers whose schedule depends on it.
    """

    searcher: str
    axes: tuple[Axis, ...]
    seed: int
    first: int
    budget: int


class AskTell(Protocol):
    """An outside searcher, to be asked and told by turns; it maximises. Numbers count the evaluations from 0."""

    def ask(self, number: int) -> Point:
        """The point that it would evaluate next."""
        ...

    def tell(self, number: int, point: Point, value: float) -> None:
        """What the evaluation has given. Points may be told that were never asked for, as the first ones are."""
        ...


class Session(Protocol):
    """A search under way, here or in a process of its own. Each answer has the CPU seconds that it took."""

    def ask(self, number: int) -> tuple[Point, float]:
        """See `AskTell.ask`."""
        ...

    def tell(self, number: int, point: Point, value: float) -> float:
        """See `AskTell.tell`."""
        ...

    def close(self) -> None:
        """End it."""
        ...


def seed_at(seed: int, number: int) -> int:
    """A 32-bit seed of a search's evaluation, equal in every process."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{number}".encode()).digest()[:4], "big")


class Local:
    """A search in this process."""

    def __init__(self, adapter: AskTell) -> None:
        self._adapter = adapter

    def ask(self, number: int) -> tuple[Point, float]:
        """See `Session`."""
        began = time.process_time()
        point = self._adapter.ask(number)
        return point, time.process_time() - began

    def tell(self, number: int, point: Point, value: float) -> float:
        """See `Session`."""
        began = time.process_time()
        self._adapter.tell(number, point, value)
        return time.process_time() - began

    def close(self) -> None:
        """See `Session`."""


class Remote:
    """A search in a process of another interpreter.

    Args:
        python: The interpreter that has the package.
        folder: The package's checkout, if it is none that is installed.
        opening: What begins the search.

    Raises:
        AbsentError: If the interpreter does not run, or lacks the package.
    """

    def __init__(self, python: str, folder: str | None, opening: Opening) -> None:
        # Libraries print much to the error stream, of which only the end is worth showing, and only after an error.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        serve_py = str(Path(__file__).with_name("serve.py"))
        environment = {**os.environ, **_ONE_THREAD}
        try:
            self._process = subprocess.Popen(
                [python, serve_py, *([folder] if folder else [])],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment,
            )  # fmt: skip
        except OSError as error:
            self._log.close()
            raise AbsentError(f"{python}: {error.strerror}") from error
        answer = self._answer(asdict(opening))
        if "absent" in answer:
            self.close()
            raise AbsentError(answer["absent"])

    def ask(self, number: int) -> tuple[Point, float]:
        """See `Session`."""
        answer = self._answer({"ask": number})
        return answer["point"], answer["seconds"]

    def tell(self, number: int, point: Point, value: float) -> float:
        """See `Session`."""
        seconds: float = self._answer({"tell": number, "point": point, "value": value})["seconds"]
        return seconds

    def close(self) -> None:
        """End the process: it has nothing to save."""
        self._process.kill()
        self._process.communicate()
        self._log.close()

    def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has died: the missing answer tells
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._end_of_log()}
        if "error" in answer:
            self.close()
            raise RuntimeError(f"the outside searcher failed:\n{answer['error']}")
        return answer

    def _end_of_log(self) -> str:
        self._process.wait()
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-4000:]


def serve() -> None:
    """Answer the questions on the standard input until it ends."""
    from outside.catalogue import load

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not get among the answers

    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    folder = sys.argv[1] if len(sys.argv) > 1 else None
    session: Local | None = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            if session is None:
                axes = tuple(Axis(**axis) for axis in question.pop("axes"))
                session = Local(load(Opening(axes=axes, **question), folder))
                say(seconds=time.process_time())
            elif "ask" in question:
                point, seconds = session.ask(question["ask"])
                say(point=point, seconds=seconds)
            else:
                say(seconds=session.tell(question["tell"], question["point"], question["value"]))
        except AbsentError as error:
            say(absent=str(error))
            return
        except Exception:
            say(error=traceback.format_exc())
            return


def bits_and_numbers(axes: Sequence[Axis], values: Sequence[Any]) -> Point:
    """A point from what a package gives for its parameters: bits as text, NumPy's scalars or truth values."""
    return [int(value) if axis.bit else float(value) for axis, value in zip(axes, values, strict=True)]
