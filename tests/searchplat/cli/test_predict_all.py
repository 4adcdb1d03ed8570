"""`searchplat predict --all` with really trained models: what is in the file, and that it is whole or not there."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from typer.testing import Result

from searchplat.assets import AssetStore
from searchplat.contract import DataRequest, FinalJob, TestPermit, TrialJob, WarmCache
from searchplat.firewall import ISSUER
from searchplat.methods import load_method
from trials.data import open_search
from trials.training import RecommenderMethod

Run = Callable[..., Result]
IDS = ["007", "7a", "ü", "x y", "=1+1", "b,c", "lone", "z"]


def trained(method: str, data: DataRequest, folder: Path, **values: Any) -> Path:
    """The folder of a final training."""
    made = load_method(method)
    assert isinstance(made, RecommenderMethod)
    job = TrialJob(None, made.Config.model_validate(values), data, 1, folder, AssetStore(), WarmCache())
    training = made.start_final(FinalJob(job, "valid/mrr"))
    training.run_epoch()
    training.save()
    training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHPLAT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folder(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EASE on 0.7 of the toy data's users, 8 of whom are asked about at once."""
    return trained(
        "ease",
        DataRequest("toy", {"rank_met": False}, 0.7),
        tmp_path_factory.mktemp("run"),
        epochs=1,
        eval_batch_size=8,
    )


@pytest.fixture(scope="module")
def own(cache: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Popularity on a file whose users and items have awkward ids."""
    root = tmp_path_factory.mktemp("own")
    lines = [("user", "item", "time"), *((user, item, place) for u, user in enumerate(IDS)
             for place, item in enumerate(IDS[u % 3 : u % 3 + 4]))]  # fmt: skip
    with (root / "my.csv").open("w", newline="") as file:
        csv.writer(file).writerows(lines)
    options = {"file": str(root / "my.csv"), "user": "user", "item": "item", "time": "time"}
    return trained("popularity", DataRequest("file", options), root / "run", epochs=1)


def test_every_user_gets_the_best_items_that_are_new(cli: Run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "lists.parquet"
    done = cli("predict", str(folder), "--all", "--out", str(out), "--top", "5", "--json")
    assert done.exit_code == 0, done.output
    about = json.loads(done.output)
    table = pd.read_parquet(out)
    assert (about["users"], about["rows"], about["top"], about["workers"]) == (60, 300, 5, 1)
    assert list(table.columns) == ["user", "rank", "item", "score"]
    assert table.user.unique().tolist() == [f"toy-user-{user}" for user in range(60)]
    assert (table.groupby("user")["rank"].agg(list).map(tuple) == (1, 2, 3, 4, 5)).all()
    data = open_search(DataRequest("toy", {"rank_met": False}), AssetStore())
    known = data.known_queries()
    served = load_method("ease").load(folder, AssetStore())  # type: ignore[attr-defined]
    for user in (0, 17, 59):
        answer = served.top([[data.keys[item] for item in known.history(user)]], 5)[0]
        own = table[table.user == f"toy-user-{user}"]
        assert own.item.tolist() == [one.item for one in answer]
        assert own.score.tolist() == pytest.approx([one.score for one in answer], abs=1e-6)


def test_all_formats_say_the_same(cli: Run, folder: Path, tmp_path: Path) -> None:
    for ending in ("parquet", "csv", "jsonl"):
        done = cli("predict", str(folder), "--all", "--out", str(tmp_path / f"lists.{ending}"), "--top", "3")
        assert done.exit_code == 0, done.output
        assert "180 items for 60 users" in done.output
    table = pd.read_parquet(tmp_path / "lists.parquet")
    pd.testing.assert_frame_equal(table, pd.read_csv(tmp_path / "lists.csv"), check_dtype=False)
    lines = [json.loads(line) for line in (tmp_path / "lists.jsonl").read_text().splitlines()]
    assert [line["user"] for line in lines] == table.user.unique().tolist()
    assert [item for line in lines for item in line["items"]] == table.item.tolist()
    assert [score for line in lines for score in line["scores"]] == table.score.tolist()


def test_some_users_in_the_order_of_their_file(cli: Run, folder: Path, tmp_path: Path) -> None:
    users, out = tmp_path / "users.txt", tmp_path / "lists.jsonl"
    users.write_text("toy-user-9\n\ntoy-user-3 \n")
    assert cli("predict", str(folder), "--users", str(users), "--out", str(out)).exit_code == 0
    assert [json.loads(line)["user"] for line in out.read_text().splitlines()] == ["toy-user-9", "toy-user-3"]


def test_ids_are_those_of_the_file_and_what_was_met_is_ranked_as_the_space_says(
    cli: Run, own: Path, tmp_path: Path
) -> None:
    out = tmp_path / "lists.csv"
    assert cli("predict", str(own), "--all", "--out", str(out), "--top", "99").exit_code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted({row["user"] for row in rows}) == sorted(IDS)
    met = {row["item"] for row in rows}
    assert all([row["item"] for row in rows if row["user"] == user].__len__() == len(met) for user in IDS)
    assert cli("predict", str(own), "--all", "--out", str(out), "--top", "99", "--no-repeats").exit_code == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert not {row["item"] for row in rows if row["user"] == "007"} & {*IDS[:3]}


def test_data_prepared_before_users_had_names_gets_them(cli: Run, folder: Path, tmp_path: Path) -> None:
    for path in Path(os.environ["SEARCHPLAT_CACHE"]).glob("prepared/toy/*/users.*"):
        path.unlink()
    out = tmp_path / "lists.jsonl"
    assert cli("predict", str(folder), "--all", "--out", str(out)).exit_code == 0
    assert json.loads(out.read_text().splitlines()[59])["user"] == "toy-user-59"
    assert list(Path(os.environ["SEARCHPLAT_CACHE"]).glob("prepared/toy/*/users.offsets.npy"))


def test_what_is_wrong_is_said_before_anything_is_written(cli: Run, folder: Path, tmp_path: Path) -> None:
    users, out = tmp_path / "users.txt", tmp_path / "lists.csv"
    users.write_text("toy-user-1\ntoy-usr-2\n")
    twice = tmp_path / "twice.txt"
    twice.write_text("toy-user-1\ntoy-user-2\ntoy-user-1\n")
    nobody = tmp_path / "nobody.txt"
    nobody.write_text("\n")
    out.write_text("the old one")
    for words, message in [
        (("--all",), "--out: must say where"),
        (("--out", str(out)), "say whose with --all or --users"),
        (("--all", "--users", str(users), "--out", str(out)), "say one of the two"),
        (("--all", "--out", str(out), "--history", "toy-1"), "are for one answer"),
        (("--all", "--out", str(tmp_path / "lists.txt")), "must end in .parquet, .csv, .jsonl, got '.txt'"),
        (("--all", "--out", str(tmp_path / "none" / "lists.csv")), "must exist; make it"),
        (("--users", str(users), "--out", str(out)), "users.txt:2 user 'toy-usr-2' is none of the data's 60 users"),
        (("--users", str(twice), "--out", str(out)), "twice.txt:3 user 'toy-user-1' must stand there once"),
        (("--users", str(nobody), "--out", str(out)), "must name users"),
        (("--users", str(tmp_path / "gone"), "--out", str(out)), "cannot be read"),
    ]:
        done = cli("predict", str(folder), *words)
        assert done.exit_code == 2, done.output
        assert message in " ".join(done.output.split())
    assert out.read_text() == "the old one"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
@pytest.mark.by_hand
def test_a_killed_command_leaves_the_old_file_and_the_next_one_writes_it(folder: Path, tmp_path: Path) -> None:
    options = {"users": 20_000, "rank_met": False}
    large = trained("ease", DataRequest("toy", options), tmp_path / "run", epochs=1, eval_batch_size=8)
    out = tmp_path / "lists.csv"
    out.write_text("the old one")
    words = [sys.executable, "-m", "searchplat", "predict", str(large), "--all", "--out", str(out)]
    running = subprocess.Popen(words)
    part = tmp_path / ".lists.csv.part"
    while not (part.exists() and part.stat().st_size > 100_000):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGSTOP)  # so that it is not done before the second has come to it
    second = subprocess.run(words, capture_output=True, text=True)
    assert second.returncode == 2
    assert "another command is writing it" in second.stderr
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert out.read_text() == "the old one"
    assert subprocess.run(words).returncode == 0
    assert len(out.read_text().splitlines()) == 200_001
    assert not part.exists()
    running = subprocess.Popen(words)
    while not part.exists() or part.stat().st_size == 0:
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    assert running.wait() == 130
    assert not part.exists()
    assert len(out.read_text().splitlines()) == 200_001


@pytest.mark.slow
@pytest.mark.by_hand
def test_the_same_file_comes_out_of_processes_of_ray(folder: Path, tmp_path: Path) -> None:
    net = trained("sasrec", DataRequest("toy"), tmp_path / "run", epochs=1, hidden_size=16, eval_batch_size=7)
    for model, counts in ((folder, ("1", "2")), (net, ("1", "3"))):
        files = []
        for workers in counts:
            out = tmp_path / f"lists-{workers}.parquet"
            words = ["predict", str(model), "--all", "--out", str(out), "--workers", workers, "--json"]
            done = subprocess.run([sys.executable, "-m", "searchplat", *words], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["workers"] == int(workers)
            assert "rror" not in done.stderr
            files.append(pd.read_parquet(out))
        pd.testing.assert_frame_equal(*files, check_exact=True)
    assert np.isfinite(files[0].score).all()
