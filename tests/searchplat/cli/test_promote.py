"""`searchplat promote` on a terminal: help, wrong input, and the table at its end."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from promotions import ended_search
from typer.testing import CliRunner

from searchplat.cli import promote as command
from searchplat.cli.app import app
from searchplat.errors import InputError
from searchplat.promotion.outcome import document
from searchplat.promotion.promote import PromotionOutcome
from searchplat.promotion.record import FAILED, FINAL, FINISHED, RACE, STOPPED, Promotion, PromotionRun, load_promotion
from searchplat.views.output import show

runner = CliRunner()


def run(candidate: str, seed: int, phase: str = FINAL, score: float = 0.5, state: str = FINISHED) -> PromotionRun:
    return PromotionRun(
        candidate=candidate,
        trial=1,
        control=None if candidate.startswith("trial") else candidate,
        method="sasrec",
        config={},
        seed=seed,
        phase=phase,
        folder=Path("runs/s/promotions/1") / candidate,
        state=state,
        valid={"mrr": score},
        test={"mrr": score / 2} if phase == FINAL and state == FINISHED else {},
        seconds=30,
    )


PROMOTION = Promotion(
    search="s",
    number=1,
    data="toy",
    data_options={},
    data_fingerprint="f",
    num_users=60,
    metrics=("mrr",),
    search_scores={"trial-4": 0.6, "trial-2": 0.7, "default": 0.3},
    lineage={"space": "a"},
    test_openings=3,
    runs=(
        run("trial-4", 1, RACE, 0.55),
        run("trial-2", 1, RACE, 0.2),
        run("trial-2", 2, RACE, state=STOPPED),
        run("default", 1, RACE, 0.25),
        run("trial-4", 11, score=0.4),
        run("trial-4", 12, score=0.5),
        run("default", 11, score=0.2),
        run("default", 12, state=FAILED),
    ),
)


def shown(outcome: PromotionOutcome, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    show(command.screen(outcome, Path("/elsewhere")))
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_help_has_an_example() -> None:
    shown = runner.invoke(app, ["promote", "--help"])
    assert shown.exit_code == 0
    assert "searchplat promote darec-quick --top 3 --seeds 3" in shown.output
    assert "The same command after a crash goes on where it was." in " ".join(shown.output.split())


def test_an_unknown_search_ends_with_2_and_makes_no_folder() -> None:
    ended_search(Path("runs"))
    done = runner.invoke(app, ["promote", "nothing"])
    assert done.exit_code == 2
    assert "search 'nothing' does not exist in" in done.output
    assert "there are: ended" in done.output
    assert not Path("runs/nothing").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--top", "0"], "--top"),
        (["--race", "-1"], "--race"),
        (["--seeds", "many"], "--seeds"),
        (["--tracking-uri", "./folder"], "must name a database or a server"),
    ],
)
def test_wrong_input_ends_with_2_and_says_what(arguments: list[str], said: str) -> None:
    ended_search(Path("runs"))
    done = runner.invoke(app, ["promote", "ended", *arguments])
    assert done.exit_code == 2
    assert said in done.output
    with pytest.raises(InputError, match="was not promoted yet"):
        load_promotion(Path("runs/ended"))


def test_more_workers_than_this_machine_holds_are_refused_before_ray_starts() -> None:
    ended_search(Path("runs"))
    done = runner.invoke(app, ["promote", "ended", "--workers", "100000", "--allow-changed"])
    assert done.exit_code == 2
    assert "--workers: 100000 workers of 1 CPU each must fit, and there is room for" in done.output
    assert "starting Ray" not in done.output


def test_the_table_has_search_race_final_and_test(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(PromotionOutcome(PROMOTION, "done", 0, "done"), capsys)
    rows = {line[0]: line[1:] for line in lines if line}
    assert rows["trial-4"][:8] == ["sasrec", "0.6000", "0.5500", "0.4500", "0.2250", "±", "0.0354", "2"]
    assert rows["trial-2"][:5] == ["sasrec", "0.7000", "0.2000", "-", "-"]
    assert rows["trial-2"][-3:] == ["lost", "the", "race"]
    assert rows["default"][4] == "0.1000"
    assert rows["default"][-3:] == ["some", "runs", "failed"]
    assert " ".join(rows["winner"]).startswith("trial-4, chosen on validation; weights in")
    assert " ".join(rows["test"]) == "opened 3 times for this search, once for each final training"
    assert ["searchplat", "compare", "s", "--runs", "/elsewhere"] in lines


def test_a_second_promotion_and_unsent_runs_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = PromotionOutcome(replace(PROMOTION, number=2), "done", 0, "done", unsent_runs=2)
    text = [" ".join(line) for line in shown(outcome, capsys)]
    assert "test opened 3 times for this search, over 2 promotions" in text
    assert "mlflow has not got 2 runs; the same command sends them" in text


def test_the_document_is_json_without_nan(capsys: pytest.CaptureFixture[str]) -> None:
    from searchplat.views.output import print_json

    print_json(document(PromotionOutcome(PROMOTION, "done", 0, "done")))
    found = json.loads(capsys.readouterr().out)
    assert found["winner"]["candidate"] == "trial-4"
    assert [row["candidate"] for row in found["candidates"]] == ["trial-4", "trial-2", "default"]
    assert found["candidates"][1]["valid"] is None
    assert found["test_openings"] == 3
