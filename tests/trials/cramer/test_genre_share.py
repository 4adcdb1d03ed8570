"""The share of a genre in the ten best: counted right, and the command says what it measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_cases import Bench, as_queries

from searchplat.contract import FinalJob, TestPermit
from searchplat.errors import InputError
from searchplat.firewall import ISSUER
from trials.cramer import genre_share
from trials.cramer.genre_share import PAPER, ROMANCE, items_of_genre, main
from trials.cramer.genre_share import genre_share as measured
from trials.data import open_search


class Steered:
    """Stands where a model does: item 0 is best without a request, and a request names the items that come first."""

    def bare_scores(self, queries: Any) -> torch.Tensor:
        return -torch.arange(30.0).repeat(len(queries), 1)

    def scores(self, queries: Any) -> torch.Tensor:
        wanted = torch.tensor([int(text) for text in queries.requests])
        return -(torch.arange(30.0) - wanted[:, None]).abs()


def test_shares_leave_the_history_out_and_changes_are_paired() -> None:
    in_genre_N = np.arange(30) >= 15
    queries = as_queries([[0, 1], [20, 29]], [-1, -1])
    before, up, down = measured(Steered(), queries, in_genre_N, {"clear positive": "25", "clear opposite": "3"})  # type: ignore[arg-type]
    assert (before.mean, before.variance, before.wanted, before.moved) == (0, 0, "", 0)
    assert (up.mean, up.wanted, up.moved) == (1.0, "up", 1.0)
    assert (down.mean, down.wanted) == (0.0, "down")
    assert up.standard_error == 0


def test_there_is_a_request_of_each_kind_that_the_paper_has() -> None:
    assert set(PAPER) == {"no request", *ROMANCE}
    assert [kind.split()[-1] for kind in ROMANCE] == ["positive"] * 3 + ["opposite"] * 3


def test_genres_are_found_by_name(cramer_bench: Bench) -> None:
    data = open_search(cramer_bench.request, cramer_bench.assets)
    assert items_of_genre(data, "Space").sum() == sum(text == "space" for text in data.attributes["genres"])
    with pytest.raises(
        InputError, match=r"genre 'western': no item .* known are cooking, crime, garden, sailing, space"
    ):
        items_of_genre(data, "western")


@pytest.fixture
def run(cramer_bench: Bench, tmp_path: Path) -> Path:
    training = cramer_bench.method.start_final(FinalJob(cramer_bench.job(tmp_path / "run", epochs=1), "valid/mrr"))
    training.run_epoch()
    training.save()
    training.test(TestPermit("s", 1, 1, ISSUER), ["mrr"])
    return tmp_path / "run"


def test_the_command_prints_the_shares(
    cramer_bench: Bench, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(genre_share, "asset_source", lambda: cramer_bench.assets)
    asked = run / "asked.json"
    asked.write_text(json.dumps({"clear positive": "Something about space", "clear opposite": "No space, please"}))
    command = [str(run), "--genre", "space", "--requests", str(asked), "--users", "20"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["kind"] for one in found] == ["no request", "clear positive", "clear opposite"]
    assert all(0 <= one["mean"] <= 1 for one in found)
    assert main(command) == 0
    told = capsys.readouterr().out
    assert told.startswith("share of space in the 10 best of 20 users")
    assert "Something about space" in told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "holds no trained model"),
        (["nowhere", "--genre", "western"], "--requests: the built-in requests are about romance"),
        (["nowhere", "--users", "0"], "--users: must be at least 1, got 0"),
        (["nowhere", "--requests", "missing.json"], "missing.json: must be a JSON object"),
    ],
)
def test_mistakes_are_told_in_a_sentence(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert said in capsys.readouterr().err
