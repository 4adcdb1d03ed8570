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
    told = tmp_path / "told.json"
    promoted = searchplat("promote", "ended", "--notify", f"{{command: [cp, /dev/stdin, {told}]}}", folder=tmp_path)
    assert json.loads(told.read_text())["message"].startswith("ended: promotion done: Promoted: ")
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


SPACE = """\
method: sasrec
data: {name: toy}
objective:
  - {metric: valid/mrr, direction: maximize}
  - {metric: valid/recall@10, direction: maximize}
fixed: {epochs: 2, batch_size: 16, inner_size: 32, hidden_size: 16}
search:
  learning_rate: {type: float, low: 3.0e-4, high: 1.0e-2, log: true}
searcher: {name: random}
trials: 4
controls:
  - {name: popularity, method: popularity}
promotion: {top: 2, seeds: 1, race: 2, epochs: 2, test: [mrr, recall@10]}
"""


@pytest.mark.slow
@pytest.mark.by_hand
def test_two_objectives_searched_and_promoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ["PYTHONPATH"]]))
    (tmp_path / "two.yaml").write_text(SPACE)
    words = [sys.executable, "-m", "searchplat", "search", "two.yaml", "--quiet"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=270)
    assert done.returncode == 0, done.stderr
    best = searchplat("best", "two", "--top", "2", folder=tmp_path)
    front = searchplat("status", "two", folder=tmp_path)["front"]
    assert front[: len(best)] == [trial["number"] for trial in best if trial["front"]]

    promoted = searchplat("promote", "two", folder=tmp_path)
    assert promoted["objectives"] == ["mrr", "recall@10"]
    rows = promoted["candidates"]
    assert [row["candidate"] for row in rows] == [*(f"trial-{trial['number']}" for trial in best), "popularity"]
    assert set(rows[0]["values"]) == {"mrr", "recall@10"}
    assert promoted["winner"]["candidate"] in {row["candidate"] for row in rows[:2]}
    refused = subprocess.run(
        [sys.executable, "-m", "searchplat", "promote", "two", "--by", "recall@10"],
        cwd=tmp_path, capture_output=True, text=True, timeout=270,
    )  # fmt: skip
    assert refused.returncode == 2
    assert "was promoted before with by None, now valid/recall@10" in refused.stderr
    again = searchplat("promote", "two", "--by", "recall@10", "--again", folder=tmp_path)
    by = searchplat("best", "two", "--top", "2", "--by", "recall@10", folder=tmp_path)
    assert again["objectives"] == ["recall@10"]
    assert [row["candidate"] for row in again["candidates"][:2]] == [f"trial-{trial['number']}" for trial in by]
