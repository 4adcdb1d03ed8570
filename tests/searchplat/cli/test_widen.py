"""`searchplat search --widen`, on a real Ray and a real MLflow, and the end of a stage by its expected gain."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from searchplat.engine.planning import closing
from searchplat.ledger.folder import SearchFolder

from ..conftest import Run

SPACE = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 1}
search:
  x: {type: float, low: 0.0, high: 0.5}
searcher: {name: tpe, startup: 3}
trials: 4
controls: [{name: default}]
resources: {cpu: 1, gpu: 0}
"""
ENDING = SPACE.replace("trials: 4", "trials: 60\nstop: {gain: 0.01, trials: 5, after: 8}").replace("0.5}", "1.0}")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "searchplat", "search", *words]


def search(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=200)


def tags(name: str) -> dict[str, str]:
    """Of the search's run."""
    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    runs = mlflow.search_runs(experiment_names=[name], output_format="list")
    (found,) = [run.data.tags for run in runs if run.data.tags["searchplat.kind"] == "search"]
    return dict(found)


@pytest.mark.by_hand
@pytest.mark.slow  # starts Ray three times
def test_a_search_is_widened_and_goes_on_by_the_new_space_alone(tmp_path: Path, cli: Run) -> None:
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    assert search("space.yaml").returncode == 0
    folder = SearchFolder(tmp_path / "runs", "space")
    with folder.read() as ledger:
        old = ledger.trials()
    before = tags("space")

    wider = SPACE.replace("0.5}", "2.0}").replace("trials: 4", "trials: 7")
    wider = wider.replace("searcher:", "  kind: {type: categorical, choices: [a, b], default: a}\nsearcher:")
    space.write_text(wider)
    refused = search("space.yaml")
    assert refused.returncode == 2
    assert "with --widen" in refused.stderr
    done = search("space.yaml", "--widen")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the search goes on in a wider space; search.x.high: 0.5 -> 2.0" in done.stdout
    with folder.read() as ledger:
        new = ledger.trials()
    assert len(new) == 8
    for was, now in zip(old, new, strict=False):
        own = {} if was.control else {"kind": "a"}
        assert (was.number, was.config, was.objectives, {**was.values, **own}) == (
            now.number, now.config, now.objectives, now.values,
        )  # fmt: skip
    assert folder.space_path.read_text() == wider
    after = tags("space")
    assert before.keys() == after.keys()

    # The new space resumes it, with or without the option; the old one does not.
    for words in ([], ["--widen"]):
        again = search("space.yaml", *words)
        assert again.returncode == 0, again.stderr
        assert "8 of 8 ended" in again.stdout
    space.write_text(SPACE)
    refused = search("space.yaml")
    assert refused.returncode == 2
    assert "was widened on" in refused.stderr
    space.write_text(wider.replace("2.0}", "0.01}"))
    refused = search("space.yaml", "--widen")
    assert refused.returncode == 2
    assert "does not fit: x: must lie in [0.0, 0.01]" in refused.stderr
    assert "--fork NEWNAME" in refused.stderr
    assert "Traceback" not in refused.stderr

    shown = cli("status", "space", "--json")
    (event,) = json.loads(shown.stdout)["widened"]
    assert event["changes"][0] == "search (order): ['x'] -> ['x', 'kind']"
    assert event["added"] == {"kind": "a"}
    assert "after 5 trials" in cli("status", "space").stdout
    assert cli("report", "space", "--out", "page.html").exit_code == 0
    assert "widened by" in Path("page.html").read_text()
    assert cli("export", "space", "--to", "csv", "--out", "all.csv").exit_code == 0
    assert '"widened"' in Path("all.csv").read_text().splitlines()[0]


def test_only_a_search_that_is_there_can_be_widened(space: Path, cli: Run) -> None:
    gone = cli("search", str(space), "--name", "nowhere", "--widen")
    assert gone.exit_code == 2
    assert "search 'nowhere' does not exist" in gone.stderr
    assert not Path("runs/nowhere").exists()
    both = cli("search", str(space), "--widen", "--fork", "other")
    assert both.exit_code == 2
    assert "leave one out" in both.stderr


@pytest.mark.slow  # starts Ray four times
@pytest.mark.by_hand
def test_a_search_ends_by_its_gain_also_after_a_kill(tmp_path: Path, cli: Run) -> None:
    (tmp_path / "space.yaml").write_text(ENDING)
    folder = SearchFolder(tmp_path / "runs", "space")
    driver = subprocess.Popen(command("space.yaml"), stdout=subprocess.DEVNULL, start_new_session=True)
    while not (folder.exists() and _ended(folder) >= 9):
        assert driver.poll() is None, "it ended before it was killed"
        time.sleep(0.05)
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()

    done = search("space.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    with folder.read() as ledger:
        estimates = closing.estimates(ledger)
        ran = ledger.count("search")
        states = {trial.state for trial in ledger.trials()}
    assert states == {"finished"}
    assert 8 < ran < 60
    assert [one.ended for one in estimates] == sorted({one.ended for one in estimates}), "none twice"
    assert [one.gain < 0.01 for one in estimates[-2:]] == [True, True]
    said = f"of 60 trials: expected gain over the next 5 trials {estimates[-1].gain:.2g} < 0.01"
    assert said in done.stdout
    assert said in " ".join(cli("status", "space").stdout.split())
    (one,) = [
        stage for stage in json.loads(cli("status", "space", "--json").stdout)["stages"] if stage["name"] == "search"
    ]
    assert one["ended_early"].endswith(said)
    assert one["expected_gain"]["gain"] == estimates[-1].gain
    assert cli("report", "space", "--out", "page.html").exit_code == 0
    assert "Expected gain of stage search" in Path("page.html").read_text()

    # The same command leaves it ended; a greater number takes it up.
    assert search("space.yaml").returncode == 0
    with folder.read() as ledger:
        assert ledger.count("search") == ran
    assert search("space.yaml", "--trials", "61").returncode == 0
    with folder.read() as ledger:
        assert ledger.count("search") == 61


def _ended(folder: SearchFolder) -> int:
    with folder.read() as ledger:
        return sum(trial.state.final for trial in ledger.trials())
