"""From an ended search to answers of its champion, every command in a process of its own, as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from promotions import ended_search


def searchplat(*words: str, folder: Path) -> Any:
    """What a command prints with --json."""
    done = subprocess.run(
        [sys.executable, "-m", "searchplat", *words, "--json"], cwd=folder, capture_output=True, text=True, timeout=270
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_promote_compare_predict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ["PYTHONPATH"]]))
    ended_search(tmp_path / "runs")
    promoted = searchplat("promote", "ended", folder=tmp_path)
    again = searchplat("promote", "ended", folder=tmp_path)
    assert promoted["model"] == again["model"] == "models:/ended/1"
    assert promoted["test_openings"] == again["test_openings"]

    table = searchplat("compare", "ended", "--against", "popularity", folder=tmp_path)
    rows = table["data"][0]["rows"]
    assert rows[0]["candidate"] == promoted["winner"]["candidate"]
    assert {row["role"] for row in rows} == {"winner", "control"}
    assert table["searches"]["ended"]["test_openings"] == promoted["test_openings"]

    history = ("--history", "toy-1", "--history", "toy-6")
    from_folder = searchplat("predict", promoted["winner"]["folder"], *history, folder=tmp_path)
    assert len(from_folder) == 10
    assert searchplat("predict", "models:/ended@champion", *history, folder=tmp_path) == from_folder
