"""A file of somebody's own from the command line: checked, named by a space, searched."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from searchplat.errors import InputError
from searchplat.spec import load

SPACE = """\
method: sasrec
data: {data}
objective: {{metric: valid/ndcg@10, direction: maximize}}
fixed: {{epochs: 1, hidden_size: 16, inner_size: 16, max_length: 20}}
search:
  learning_rate: {{type: float, low: 0.001, high: 0.01, log: true}}
searcher: {{name: random}}
trials: 1
data_fraction: 0.3
controls: [{{name: markov, method: markov}}]
resources: {{cpu: 1}}
"""


def _space(folder: Path, data: str, name: str = "own") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(SPACE.format(data=data))
    return path


def test_a_check_tells_lines_and_figures_and_ends_with_its_verdict(cli: Any, tmp_path: Path) -> None:
    path = tmp_path / "my.csv"
    path.write_text("customer,sku,at\n" + "".join(f"u{n % 2},s{n % 3},2024-01-0{n + 1}\n" for n in range(8)))
    words = ("data", "--check", str(path), "--user", "customer", "--item", "sku", "--time", "at")
    good = cli(*words)
    assert good.exit_code == 0, good.output
    assert "In a space file: data: {" in " ".join(good.output.split())
    figures = json.loads(cli(*words, "--json").stdout)["summary"]
    assert (figures["users"], figures["items"], figures["interactions"]) == (2, 3, 8)
    assert (figures["first"], figures["last"]) == ("2024-01-01 00:00:00 UTC", "2024-01-08 00:00:00 UTC")
    with path.open("a") as file:
        file.write(",s1,2024-01-01\nu1,s1,soon\n")
    bad = cli(*words, "--json")
    assert bad.exit_code == 2
    problems = json.loads(bad.stdout)["problems"]
    assert [(problem["lines"], problem["column"]) for problem in problems if problem["fatal"]] == [
        ([10], [1, "customer"]),
        ([11], [3, "at"]),
    ]


def test_columns_without_a_check_are_refused(cli: Any) -> None:
    assert cli("data", "--user", "customer").exit_code == 2
    assert cli("data", "ml-1m", "--check", "my.csv").exit_code == 2


def test_a_path_begins_at_the_space_file_and_in_an_override_at_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = _space(tmp_path / "spaces", "{file: a/my.csv, user: u, item: i}")
    monkeypatch.chdir(tmp_path)
    spec = load(space)
    assert (spec.data.name, spec.data.shown) == ("file", "my.csv")
    assert spec.data.options["file"] == str(tmp_path / "spaces" / "a" / "my.csv")
    other = load(space, overrides=("data.file=b.csv",))
    assert (other.data.options["file"], other.data.options["user"]) == (str(tmp_path / "b.csv"), "u")
    with pytest.raises(InputError, match="leave name out"):
        load(_space(tmp_path / "spaces", "{name: mine, file: my.csv}"))


def test_a_method_that_reads_texts_refuses_ids_alone(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "my.csv").write_text("u,i\n" + "".join(f"a,{n}\n" for n in range(5)))
    words = [
        "run",
        "darec",
        "--set",
        f"data.file={tmp_path / 'my.csv'}",
        "--set",
        "data.user=u",
        "--set",
        "data.item=i",
    ]
    refused = cli(*words, "--scale", "smoke")
    assert refused.exit_code == 2
    assert "method darec reads texts of items, and this data has none" in " ".join(refused.output.split())


def test_a_file_that_is_not_there_is_refused_before_anything_starts(cli: Any, tmp_path: Path) -> None:
    refused = cli("run", str(_space(tmp_path, "{file: my.csv, user: u, item: i}")))
    assert refused.exit_code == 2
    assert f"{tmp_path / 'my.csv'} is not on this machine" in " ".join(refused.output.split())


@pytest.mark.by_hand
@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_csv_of_a_data_set_gives_its_figures_to_the_digit(tmp_path: Path) -> None:
    source = Path(os.environ.get("SEARCHPLAT_DATA_DIR", "")) / "ml-latest-small"
    if not (source / "ratings.csv").is_file():
        pytest.skip("SEARCHPLAT_DATA_DIR holds no ml-latest-small")
    with (source / "ratings.csv").open() as theirs, (tmp_path / "my.csv").open("w", newline="") as ours:
        writer = csv.writer(ours, delimiter=";")
        writer.writerow(["stars", "at", "viewer", "film"])
        for row in csv.DictReader(theirs):
            writer.writerow([row["rating"], row["timestamp"], row["userId"], row["movieId"]])
    (tmp_path / "films.csv").write_text((source / "movies.csv").read_text(encoding="utf-8"), encoding="utf-8")
    own = "{file: my.csv, user: viewer, item: film, time: at, rating: stars, items: films.csv, items_id: movieId"
    own += ", rank_met: false}"
    found = []
    for name, data in (("own", own), ("builtin", "{name: ml-latest-small}")):
        space = _space(tmp_path, data, name)
        command = [sys.executable, "-m", "searchplat"]
        subprocess.run([*command, "search", str(space)], cwd=tmp_path, check=True, timeout=1200)
        told = subprocess.run([*command, "trials", name, "--json"], cwd=tmp_path, check=True, capture_output=True)
        found.append(json.loads(told.stdout))
    ours, theirs = ([_figures(trial) for trial in trials] for trials in found)
    assert len(ours) == 2
    assert ours == theirs


def _figures(trial: dict[str, Any]) -> Any:
    """What a trial was and what it measured; an objective that is missing or zero would make any two alike."""
    assert trial["state"] == "finished"
    assert trial["objectives"]["valid/ndcg@10"] > 0
    return trial["number"], trial["values"], trial["objectives"]
