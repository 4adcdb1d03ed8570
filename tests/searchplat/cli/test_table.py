"""`searchplat table` from the outside, with the real Ray and MLflow, in sittings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.by_hand, pytest.mark.timeout(1200)]

TABLE = """\
title: Three systems
scale: smoke
minutes: 5
seeds: 2
metrics: [mrr, ndcg@10]
systems:
  - markov
  - {space: sasrec, set: {trials: 2, epochs: 1}}
  - {space: broken.yaml}
"""
BROKEN = """\
method: sasrec
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {max_length: 1, stride: 1, metrics: [ndcg@10]}
search: {dropout: {type: float, low: 0.1, high: 0.5}}
searcher: {name: random}
trials: 1
scales: {smoke: {}}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "searchplat", "table", "three.yaml", *words]
    return subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, text=True, timeout=900)


def test_a_table_is_filled_in_sittings_and_one_failure_leaves_the_others_their_rows(tmp_path: Path) -> None:
    (tmp_path / "three.yaml").write_text(TABLE)
    (tmp_path / "broken.yaml").write_text(BROKEN)

    nothing = run(tmp_path, "--within", "0")
    assert nothing.returncode == 0, nothing.stderr
    assert "markov: its search is left for the next sitting" in nothing.stdout
    assert "Not there yet: markov, sasrec, broken." in nothing.stdout
    assert not (tmp_path / "runs" / "three.md").exists()

    first = run(tmp_path)
    assert first.returncode == 1, first.stdout + first.stderr
    text = (tmp_path / "runs" / "three.md").read_text()
    for name in ("markov", "sasrec", "popularity", "Not there yet: broken."):
        assert name in text
    assert (tmp_path / "runs" / "three.html").exists()
    assert (tmp_path / "runs" / "three.tex").exists()
    names = sorted(path.parent.name for path in (tmp_path / "runs").glob("*/ledger.sqlite"))
    assert names == ["three-broken", "three-markov", "three-sasrec"]

    shown = run(tmp_path, "--show", "--json")
    assert shown.returncode == 0, shown.stderr
    document = json.loads(shown.stdout)
    assert document["missing"] == ["broken"]
    rows = {row["system"]: row for row in document["rows"]}
    assert set(rows) == {"markov", "sasrec", "popularity"}
    assert rows["sasrec"]["trials"] == 2
    assert rows["popularity"]["trials"] is None
    best = document["rows"][0]
    assert best["p"] is None
    assert all(row["p"] is not None for row in document["rows"][1:] if row["trials"] is not None)
