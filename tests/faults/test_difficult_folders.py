"""A search whose working folder, data and temporary files lie where paths are difficult."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.ledger.folder import SearchFolder
from searchplat.tracking import best_trials

ODD = "a?b#c%20d ü"
SPACE = """\
method: sasrec
data: {name: ml-latest-small, folder: data}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 1, hidden_size: 8, inner_size: 8, num_layers: 1, num_heads: 1}
search:
  learning_rate: {type: float, low: 1e-3, high: 1e-2}
searcher: {name: random}
trials: 1
resources: {cpu: 1, gpu: 0, concurrent: 1}
"""
RATINGS = "userId,movieId,rating,timestamp\n" + "".join(
    f"{user},{(user * film) % 13 + 1},5,{film}\n" for user in range(1, 13) for film in range(1, 9)
)
MOVIES = "movieId,title,genres\n" + "".join(f"{film},Film {film} (1999),Drama\n" for film in range(1, 14))


def run(*words: str, folder: Path, temporary: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TMPDIR": str(temporary), "SEARCHPLAT_CACHE": "cache"}
    environment.pop("RAY_TMPDIR", None)
    return subprocess.run(
        [sys.executable, "-m", "searchplat", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.by_hand
@pytest.mark.slow
def test_a_search_is_begun_extended_exported_and_asked_there(tmp_path: Path) -> None:
    folder, temporary = tmp_path / ODD, tmp_path / ("t" * 100)
    (folder / "data").mkdir(parents=True)
    temporary.mkdir()
    (folder / "data" / "ratings.csv").write_text(RATINGS)
    (folder / "data" / "movies.csv").write_text(MOVIES)
    (folder / "space.yaml").write_text(SPACE)

    for words in (
        "search space.yaml",
        "search space.yaml --trials 2",
        "export space --to optuna",
        "promote space --seeds 1",
    ):
        done = run(*words.split(), folder=folder, temporary=temporary)
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    with SearchFolder(folder / "runs", "space").read() as ledger:
        assert ledger.document()["data"]["options"]["folder"] == str(folder / "data")
        assert [trial.state.value for trial in ledger.trials()] == ["finished", "finished"]
    assert (folder / "optuna.db").is_file()
    store = f"sqlite:///{tmp_path}/a%3Fb%23c%2520d ü/mlflow.db"
    assert len(best_trials(store, "space")) == 2
    done = run("predict", "space", "--history", "Film 3", "--top", "2", folder=folder, temporary=temporary)
    assert done.returncode == 0, done.stderr
    assert "Film" in done.stdout

    elsewhere = run("search", f"{folder}/space.yaml", "--runs", f"{folder}/runs", folder=tmp_path, temporary=temporary)
    assert elsewhere.returncode == 2, elsewhere.stdout
    assert f"data.options.folder: '{folder}/data' -> '{tmp_path}/data'" in elsewhere.stderr
