"""Functions as anybody would write them, named `plain_function:train` in a space file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Report = Callable[[dict[str, float]], None]


def train(config: dict[str, Any], report: Report) -> None:
    """A known function of x, better with every epoch."""
    for epoch in range(1, 4):
        report({"epoch": epoch, "ndcg": 1 - (config["x"] - 0.7) ** 2 - 0.1 / epoch, "test_ndcg": 2.0})


def told(
    config: dict[str, Any], report: Report, *, seed: int, folder: Path, attempt: int, epoch: int, final: bool = False
) -> None:
    for one in range(epoch + 1, config["epochs"] + 1):
        with (folder / "diary").open("a") as diary:
            diary.write(f"{attempt} {one} {seed} {final}\n")
        report({"ndcg": one, "attempt": attempt})


def endless(config: dict[str, Any], report: Report) -> None:
    ended = Path(config["ended"])
    try:
        while True:
            report({"ndcg": 0.5})
    except Exception:
        ended.write_text("caught as an exception")
        raise
    finally:
        ended.touch()


def broken(config: dict[str, Any], report: Report) -> None:
    report({"ndcg": 0.1})
    raise ValueError("a planted bug")


def silent(config: dict[str, Any], report: Report) -> None:
    pass


def wordy(config: dict[str, Any], report: Callable[..., None]) -> None:
    report("ndcg is 0.1")


def leaving(config: dict[str, Any], report: Report) -> None:
    report({"ndcg": 0.1})
    raise SystemExit(config["code"])


def one_argument(config: dict[str, Any]) -> None:
    pass


def unknown_argument(config: dict[str, Any], report: Report, gpu: int) -> None:
    pass


async def later(config: dict[str, Any], report: Report) -> None:
    pass
