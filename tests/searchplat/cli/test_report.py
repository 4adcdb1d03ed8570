"""`searchplat report` on real ledgers: what the file says, and what it never does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from promotions import ended_search
from reports import Page, check
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion.record import FINISHED, RACE, Promotion, PromotionRun, PromotionStore
from searchplat.promotion.statistics import per_user
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import Objective, SearchSpec

Run = Callable[..., Result]

EVIL = (
    "</script><script>alert(1)</script><!-- <img src=x onerror=alert(2)> <a href='https://evil.example'>&\u2028 \u202e"
)


def made(cli: Run, *words: str) -> Page:
    """The report that a command line writes, after the checks that hold for all."""
    result = cli("report", *words)
    assert result.exit_code == 0, result.output
    page = Page(Path(result.stdout.strip()))
    check(page)
    return page


def test_the_file_lies_in_the_searchs_folder_and_says_what_was_searched(
    cli: Run, half_done: tuple[SearchFolder, Ledger]
) -> None:
    page = made(cli, "first")
    assert (half_done[0].path / "report.html").is_file()
    for expected in (
        "rehearsal", "toy", "maximize valid/mrr", "14 of 16 ended", "12 finished", "paused",
        "Best valid/mrr 0.3500 by trial 11, ahead of the best control, default (+16.7 %)",
        "control default", "control all-serial", "serial", "parallel", "diverged", "recommend",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert page.captions == [
        "Best so far, by trial", "Best so far, by time", "Learning curves", "Parallel coordinates", "x", "kind",
        "Timeline",
    ]  # fmt: skip
    assert not list(half_done[0].path.glob(".report*"))


def test_a_search_that_failed_is_called_so(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = half_done
    ledger.note("closed", {"state": "failed", "message": "trial 3 raised, which is a bug:\nTraceback:\nKeyError: 'x'"})
    page = made(cli, "first")
    assert "failed: trial 3 raised, which is a bug: KeyError: 'x'" in page.text
    assert "paused" not in page.text
    with folder.held():
        assert "a driver is at work" in made(cli, "first").text
    ledger.note("opened", {"pid": 1, "resumed": True})
    assert "paused: the same command goes on" in made(cli, "first").text


@pytest.mark.usefixtures("half_done")
def test_the_figures_hold_the_trials(cli: Run) -> None:
    figures = dict(zip((page := made(cli, "first")).captions, page.figures, strict=True))
    steps = {t["name"]: t["y"] for t in figures["Best so far, by trial"]["data"]}
    assert steps["best so far on 20% of users"] == [0.4, 0.41, 0.42, 0.43, 0.44, 0.45, 0.46, 0.47, 0.47]
    assert steps["best so far on 100% of users"] == [0.31, 0.35, 0.35]
    assert steps["best control: default"] == [0.3, 0.3]
    curves = {t["name"]: t for t in figures["Learning curves"]["data"]}
    assert curves["finished"]["y"][:5] == pytest.approx([0.38, 0.39, 0.4, 0.39, None])
    assert (curves["stopped here"]["x"], curves["stopped here"]["y"]) == ([2], pytest.approx([0.19]))
    assert curves["best: trial 11"]["y"] == pytest.approx([0.33, 0.34, 0.35, 0.34])
    bars = {t["name"]: len(t["x"]) for t in figures["Timeline"]["data"]}
    assert bars == {"running": 1, "finished": 12, "stopped": 1, "diverged": 1}


def test_the_leaderboard_puts_controls_where_their_value_is(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    text = made(cli, "first").text
    board = text[text.index("Leaderboard") : text.index("Progress")]
    assert "All trials shown have layout=" in board
    order = [board.index(what) for what in (" 1 11 weights", " 2 10 weights", "control default", "control all-serial")]
    assert order == sorted(order)


def test_what_trials_say_is_shown_and_inert(cli: Run, spec: SearchSpec, tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "runs", "evil")
    name = "x" + EVIL
    axis = replace(spec.space["kind"], name=name, choices=(EVIL, "b"))  # type: ignore[type-var]
    stage = replace(
        spec.stages[0], name="stage" + EVIL, over=(name, "x"), searcher=replace(spec.stages[0].searcher, name="pr")
    )
    bad = replace(
        spec, space=replace(spec.space, domains=(axis, spec.space["x"])), stages=(stage,), controls=(),
        objectives=(Objective("valid/" + EVIL, True),), text="# " + EVIL,
    )  # fmt: skip
    with Ledger.create(folder.ledger_path, to_document(bad), bad.objectives) as ledger:
        ledger.note("opened")
        for n in range(12):
            trial = ledger.suggest(
                stage=stage.name, method="rehearsal", values={name: EVIL, "x": n / 12}, config={name: EVIL},
                data_fraction=0.2, seed=1, info={"noise": [0.1, EVIL], "log_value": EVIL, "route": EVIL},
            )  # fmt: skip
            ledger.start(trial.number)
            for epoch in (1, 2):
                ledger.report(trial.number, epoch, {"valid/" + EVIL: 0.1 * n})
            failed = n % 3 == 0
            ledger.end(trial.number, TrialState.FAILED if failed else TrialState.FINISHED, EVIL if failed else None)
    page = made(cli, "evil")
    assert "alert(1)" in page.text
    assert "11 " in page.text[page.text.index("Leaderboard") :][:200]
    assert "\u202e" not in page.source
    for script in page.scripts:
        if "type" in script[0]:
            assert not [c for c in "<>&\u2028" if c in script[1]]
    for text in _strings(page.figures):  # plotly.js reads a little HTML in what it draws
        assert "<" not in text.replace("<extra></extra>", "")


def _strings(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [text for value in item.values() for text in _strings(value)]
    if isinstance(item, list):
        return [text for value in item for text in _strings(value)]
    return [item] if isinstance(item, str) else []


@pytest.mark.usefixtures("half_done")
def test_an_effect_within_its_error_has_no_star(cli: Run) -> None:
    page = made(cli, "first")
    effects = page.text[page.text.index("What parallel instead of serial") : page.text.index("Difference of the means")]
    assert effects.count("±") > 20
    assert "*" not in effects


@pytest.mark.usefixtures("half_done")
def test_no_address_stands_outside_plotly_js(cli: Run) -> None:
    page = made(cli, "first")
    assert "http" not in page.without_code().replace("http-equiv", "")
    own = next(code for code in page.code if "data-figure" in code)
    assert "http" not in own
    assert "fetch" not in own


@pytest.mark.usefixtures("empty")
def test_a_search_without_trials_has_a_report(cli: Run) -> None:
    page = made(cli, "first")
    assert page.figures == []
    assert "No trial has a value yet." in page.text
    assert "No trial has failed." in page.text


@pytest.mark.parametrize("state", [TrialState.FAILED, TrialState.FINISHED])
def test_one_trial(cli: Run, empty: tuple[SearchFolder, Ledger], state: TrialState) -> None:
    ledger = empty[1]
    trial = ledger.suggest(
        stage="layout",
        method="rehearsal",
        values={"layout": "-".join(["010"] * 12)},
        config={},
        data_fraction=0.2,
        seed=1,
    )
    ledger.start(trial.number)
    if state.scored:
        ledger.report(trial.number, 1, {"valid/mrr": 0.5})
    ledger.end(trial.number, state, None if state.scored else "Traceback\nMemoryError: no more")
    page = made(cli, "first")
    assert ("MemoryError: no more" in page.text) != state.scored
    assert ("too few to estimate effects" in page.text) == state.scored
    assert "Timeline" in page.captions


@pytest.fixture
def promoted(half_done: tuple[SearchFolder, Ledger]) -> SearchFolder:
    """A winner, one that lost the race, and controls."""
    folder, ledger = half_done
    store = PromotionStore(ledger, folder.path)
    scores = {"trial-11": 0.35, "default": 0.30, "all-serial": 0.28, "trial-10": 0.31}
    plan = Promotion(
        search="first", number=0, data="toy", data_options={}, data_fingerprint="f", num_users=200,
        metrics=("mrr", "recall@10"), search_scores=scores, lineage={}, test_openings=0, runs=(),
    )  # fmt: skip
    number = store.create(plan, {})
    for place, (candidate, mean) in enumerate({"trial-11": 3.0, "default": 9.0, "all-serial": 10.0}.items()):
        for seed in (1, 2):
            ranks = 1 + np.random.default_rng([place, seed]).poisson(mean, size=200).astype(np.int32)
            path = folder.path / "final" / f"{candidate}-{seed}.npy"
            path.parent.mkdir(exist_ok=True)
            np.save(path, ranks)
            found = {metric: float(per_user(metric, ranks).mean()) for metric in plan.metrics}
            more = {"tail/users": 70.0, "tail/mrr": 0.0123, "gini@10": 0.8765}
            run = PromotionRun(
                candidate=candidate, trial=11 if place == 0 else place - 1, control=None if place == 0 else candidate,
                method="rehearsal", config={}, seed=seed, phase="final", folder=path.parent, state=FINISHED,
                valid=found, test={**found, **more}, seconds=75.0, ranks=path,
            )  # fmt: skip
            store.put(number, run)
            store.count_opening(number, run)
    lost = PromotionRun(
        candidate="trial-10", trial=10, control=None, method="rehearsal", config={}, seed=1, phase=RACE,
        folder=folder.path / "race", state="stopped",
    )  # fmt: skip
    store.put(number, lost)
    return folder


@pytest.mark.usefixtures("promoted")
def test_a_promotion_has_its_table_its_significance_and_its_fidelity(cli: Run) -> None:
    page = made(cli, "first")
    for expected in (
        "Promoted: trial-11 has test mrr", "ahead of the best control there, default", "winner, 2 of 2 final trainings",
        "lost the race", "toy, 200 test users", "**", "paired t-test per user",
        "Kendall's tau of search and final score +1.00", "opened 6 times", "±",
        "mrr by group of users", "tail (70)", "0.0123 ± 0.0000", "Beyond accuracy: lists of 10", "0.8765 ± 0.0000",
    ):  # fmt: skip
        assert expected in page.text, expected
    assert "Did the search predict the final score?" in page.captions


def test_a_promotion_that_has_not_finished_says_so(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = half_done
    store = PromotionStore(ledger, folder.path)
    plan = Promotion(
        search="first", number=0, data="toy", data_options={}, data_fingerprint="f", num_users=0, metrics=("mrr",),
        search_scores={}, lineage={}, test_openings=0, runs=(),
    )  # fmt: skip
    run = PromotionRun(
        candidate="trial-11", trial=11, control=None, method="rehearsal", config={}, seed=1, phase=RACE,
        folder=folder.path / "final", state="running",
    )  # fmt: skip
    store.put(store.create(plan, {}), run)
    page = made(cli, "first")
    assert "There is no final table yet" in page.text
    assert "racing, 0 of 1 seeds" in page.text


def test_versions_and_hashes_are_told(cli: Run, tmp_path: Path) -> None:
    folder = ended_search(tmp_path / "runs")
    text = made(cli, "ended").text
    with folder.read() as ledger:
        recorded = json.loads(ledger.meta("lineage") or "[]")[0]
    assert all(f"{name} {value}" in text for name, value in recorded.items())


@pytest.mark.usefixtures("half_done")
def test_out_names_the_file(cli: Run, tmp_path: Path) -> None:
    out = tmp_path / "there.html"
    assert cli("report", "first", "--out", str(out)).stdout.strip() == str(out)
    assert "Leaderboard" in Page(out).text


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nothing",), "there are: first"),
        (("first", "--out", "."), "--out: must be a file"),
        (("first", "--out", "no/such/x.html"), "does not exist"),
    ],
)
def test_wrong_input_is_said_in_a_sentence(cli: Run, words: tuple[str, ...], message: str) -> None:
    result = cli("report", *words)
    assert result.exit_code == 2
    assert message in result.output


def test_two_objectives_and_less_is_better(cli: Run, spec: SearchSpec, tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "runs", "two")
    objectives = (Objective("valid/loss", False), Objective("valid/mrr", True))
    stage = replace(spec.stages[1], start_from=None)
    two = replace(spec, objectives=objectives, stages=(stage,), controls=())
    with Ledger.create(folder.ledger_path, to_document(two), objectives) as ledger:
        ledger.note("opened")
        for loss, mrr in ((0.5, 0.3), (0.4, 0.1), (0.6, 0.2)):
            trial = ledger.suggest(
                stage=stage.name, method="rehearsal", values={"x": loss, "kind": "a"}, config={},
                data_fraction=1.0, seed=1,
            )  # fmt: skip
            ledger.start(trial.number)
            ledger.report(trial.number, 1, {"valid/loss": loss, "valid/mrr": mrr})
            ledger.end(trial.number, TrialState.FINISHED)
    page = made(cli, "two")
    assert "Pareto front of 2 trials; the first is trial 1 with valid/loss 0.4000, valid/mrr 0.1000" in page.text
    figures = dict(zip(page.captions, page.figures, strict=True))
    points = {t["name"]: sorted(zip(t["x"], t["y"], strict=True)) for t in figures["Two objectives"]["data"]}
    assert points == {"trials": [(0.6, 0.2)], "Pareto front": [(0.4, 0.1), (0.5, 0.3)]}
    assert figures["Best so far, by trial"]["data"][-1]["y"] == [0.5, 0.4, 0.4]


@pytest.mark.slow
def test_ten_thousand_trials_are_thinned_and_take_less_than_ten_seconds(
    cli: Run, empty: tuple[SearchFolder, Ledger]
) -> None:
    folder, ledger = empty
    _fill(ledger, 10_000)
    began = time.perf_counter()
    page = made(cli, "first")
    assert time.perf_counter() - began < 10
    assert "2,000 of 9,800 trials are drawn" in page.text
    busy = page.figures[page.captions.index("Timeline")]["data"][0]
    assert sum(busy["x"]) == pytest.approx(10_000 * 4.01 / 3600, rel=0.01)
    assert max(len(trace["x"]) for figure in page.figures for trace in figure["data"]) < 20_000
    assert (folder.path / "report.html").stat().st_size < 8_000_000


def _fill(ledger: Ledger, trials: int) -> None:
    """Trials straight into the tables: through the ledger each of their commits would wait for the disk."""
    rng = np.random.default_rng(0)
    seq, at = ledger.seq, time.time()
    with ledger.transaction() as connection:
        for number in range(trials):
            values = json.dumps({"x": float(rng.random()), "kind": "ab"[number % 2]})
            state, value = ("failed", None) if number % 50 == 0 else ("finished", float(rng.random()))
            objectives = None if value is None else json.dumps([value])
            connection.execute(
                "INSERT INTO trials (number, stage, method, assigned, config, data_fraction, seed, info, based_on,"
                " suggested_at, state, cause, ended_at, epoch, seconds, best_epoch, objectives)"
                " VALUES (?, 'weights', 'rehearsal', ?, ?, 1.0, 1, '{}', 0, ?, ?, ?, ?, 4, 5.0, 3, ?)",
                (number, values, values, seq + 1, state, None if value else "ValueError: no", seq + 7, objectives),
            )
            for step, kind in enumerate(
                ["suggested", "started", "reported", "reported", "reported", "reported", "ended"]
            ):
                seq, at = seq + 1, at + (1.0 if kind == "reported" else 0.01)
                connection.execute(
                    "INSERT INTO events (seq, at, kind, trial, payload) VALUES (?, ?, ?, ?, '{}')",
                    (seq, at, kind, number),
                )
                if kind == "reported" and value is not None:
                    metrics = json.dumps({"valid/mrr": value - 0.01 * abs(step - 4), "time/train_seconds": 1.0})
                    connection.execute("INSERT INTO reports VALUES (?, ?, ?, ?)", (number, step - 1, seq, metrics))
