"""`methods`, `data` and `assets`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def test_methods_are_listed_with_their_papers(cli: Run) -> None:
    result = cli("methods")
    assert "darec" in result.stdout
    assert "rehearsal" in result.stdout
    listed = {method["name"]: method for method in json.loads(cli("methods", "--json").stdout)}
    assert "Dynamic Adaption" in listed["darec"]["paper"]


def test_a_methods_fields_have_type_default_and_range(cli: Run) -> None:
    result = cli("methods", "rehearsal")
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert "kind a | b, default a" in lines
    assert "diary text or null, default null" in lines
    document = json.loads(cli("methods", "rehearsal", "--json").stdout)
    assert document["config"]["properties"]["x"]["maximum"] == 10


def test_data_sets_are_listed_with_whether_they_are_here(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEARCHPLAT_DATA_DIR", str(tmp_path / "data"))
    listed = {one["name"]: one["available"] for one in json.loads(cli("data", "--json").stdout)}
    assert listed["toy"] is True
    assert listed["ml-1m"] is False


def test_what_was_let_pass_in_the_files_is_shown_with_the_data_and_told_by_a_run(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    rows = [f"{user}::{item}::5::{1000 + item}\n" for user in range(3) for item in range(1, 6)]
    (tmp_path / "ratings.dat").write_text("".join([*rows, rows[0]]))
    (tmp_path / "movies.dat").write_text("\ufeff" + "".join(f"{n}::Film {n} (1999)::Drama\n" for n in (1, 2, 3, 4, 8)))
    words = ("--set", f"folder={tmp_path}")
    shown = " ".join(cli("data", "ml-1m", *words).stdout.split())
    assert "warning: movies.dat: has no line for 1 of 5 items with 3 interactions, '5' (" in shown
    assert "warning: 1 of 16 interactions repeat another of the same user" in shown
    assert "items without interactions 1" in shown
    assert len(json.loads(cli("data", "ml-1m", *words, "--json").stdout)["warnings"]) == 2
    named = ("--set", "data.name=ml-1m", "--set", f"data.folder={tmp_path}")
    said = cli("run", "mf", "--scale", "smoke", *named, "--json").stderr
    assert "warning: data ml-1m: movies.dat: has no line for 1 of 5 items" in said


def test_statistics_of_a_data_set_take_its_options(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    document = json.loads(cli("data", "toy", "--set", "users=30", "--json").stdout)
    assert document["statistics"]["users"] == 30
    assert "60 users" in cli("data", "toy").stdout


def test_data_that_is_not_here_says_where_to_get_it(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEARCHPLAT_DATA_DIR", str(tmp_path / "data"))
    result = cli("data", "ml-1m")
    assert result.exit_code == 2
    assert "https://grouplens.org/datasets/movielens/1m/" in result.stdout
    assert "error: " in result.stderr


def test_sizes_that_papers_print_are_shown_with_what_they_are_meant_for(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEARCHPLAT_DATA_DIR", str(tmp_path / "data"))
    result = cli("data", "amazon-arts-2018")
    assert result.exit_code == 2
    assert "Set by itself: --set drop_untitled=true --set min_item=4\n" in result.stdout
    assert "users                               56,083          56,210\n" in result.stdout
    assert "DARec and MixRec, Table 1: Interactions are the training ones alone" in result.stdout
    assert "Laser, Table 1: It is meant for --set min_item=1.\n" in result.stdout
    assert "request characters" not in result.stdout
    assert "request characters           226.85\n" in cli("data", "amazon-beauty-2023").stdout


def test_sizes_that_papers_print_stand_beside_ours(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "ratings.dat").write_text("".join(f"1::{film}::5::{film}\n" for film in range(6)))
    (tmp_path / "movies.dat").write_text("0::Heat (1995)::Crime\n")
    arguments = ("data", "ml-10m", "--set", f"folder={tmp_path}")
    result = cli(*arguments)
    assert result.exit_code == 0, result.output
    rows = [row.split() for row in result.stdout.splitlines()]
    assert ["users", "1", "71,567", "69,167"] in rows
    assert ["interactions", "6", "10,000,000"] in rows
    assert "Prompt-BERT, Table 1: " in result.stdout
    assert "It is meant for --set min_rating=null --set min_length=3." in result.stdout
    assert "Prompt-BERT, Table 2: 72.3 interactions a user.\n" in result.stdout
    document = json.loads(cli(*arguments, "--json").stdout)
    assert document["defaults"] == {"min_rating": 4.0, "min_length": 5}
    assert document["published"][0]["users"] == 71_567


def test_assets_of_an_empty_cache(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEARCHPLAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SEARCHPLAT_OFFLINE", "1")
    document = json.loads(cli("assets", "--json").stdout)
    assert document["cache"] == str(tmp_path / "cache")
    assert not any(asset["cached"] for asset in document["assets"])
    assert "smollm2-135m" in cli("assets").stdout
    assert cli("assets", "remove", "ml-100k").stdout == "ml-100k: was not cached\n"
    refused = cli("assets", "fetch", "ml-100k")
    assert refused.exit_code == 2
    assert "SEARCHPLAT_OFFLINE is set" in refused.stderr


def test_a_local_folder_is_an_asset(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    assert cli("assets", "fetch", str(tmp_path / "weights")).stdout == f"{tmp_path / 'weights'}\n"
