"""Everything that shows, chooses or sends trials asked the same of one awkward search: which are the best?"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from searchplat.cli.app import app
from searchplat.engine.monitor import RunInfo
from searchplat.engine.planning.configuration import full_config
from searchplat.engine.planning.plan import Plan
from searchplat.engine.telemetry import readings
from searchplat.export import frame
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.ranking import Ranking
from searchplat.ledger.repeats import info_of
from searchplat.promotion.candidates import choose
from searchplat.report.facts import gather
from searchplat.report.overview import best_line, leaderboard
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text, to_document
from searchplat.spec.model import CONTROLS
from searchplat.tracking import MlflowSink, best_trials
from searchplat.tracking.pages.curve import curve_png
from searchplat.tracking.pages.description import describe
from searchplat.views.live_picture import best_lines
from searchplat.views.monitors import PlainMonitor
from searchplat.views.snapshot import take

SPACE = """\
method: rehearsal
data: {{name: toy}}
objective: {objective}
search:
  x: {{type: float, low: 0.0, high: 1.0}}
  kind: {{type: categorical, choices: [a, b]}}
stages:
  - {{name: early, over: [x], searcher: {{name: random}}, trials: 4}}
  - {{name: urgent, over: [x], searcher: {{name: random}}, trials: 5, data_fraction: 0.2, priority: 9}}
  - {{name: wide, over: [kind], searcher: {{name: random}}, trials: 6, priority: 1}}
  - {{name: last, over: [], searcher: {{name: grid}}, trials: 3, from: {{stage: wide, top: 3}}, data_fraction: 0.5}}
controls:
  - {{name: ahead}}
"""

ONE = "{{metric: valid/mrr, direction: {way}}}"
TWO = "[{{metric: valid/mrr, direction: {way}}}, {{metric: valid/loss, direction: minimize}}]"

TRIALS = [
    ("early", 0.5, 5, 1.0, TrialState.FINISHED),
    ("urgent", 0.9, 1, 0.2, TrialState.FINISHED),
    ("wide", 0.7, 6, 1.0, TrialState.FINISHED),
    ("wide", 0.6, 3, 1.0, TrialState.STOPPED),
    ("early", 0.7, 6, 1.0, TrialState.FINISHED),  # a tie with an earlier trial of another stage
    ("wide", 0.99, 0, 1.0, TrialState.DIVERGED),
    ("wide", 0.4, 1, 1.0, TrialState.FINISHED),
    ("wide", 0.98, 0, 1.0, TrialState.RUNNING),
    ("urgent", 0.95, 1, 0.2, TrialState.FINISHED),  # the newest with a value, on fewer users
]  # stage, mrr, loss, share of the users, state

BEST = {"maximize": [2, 4, 3, 0, 6], "minimize": [6, 0, 3, 2, 4]}
"""By the first objective, of those on all users: what a person reads off the list above."""

Put = Callable[..., tuple[SearchFolder, Ledger, str]]


@pytest.fixture
def put(tmp_path: Path, name: str) -> Any:
    """Writes the search."""
    opened = []

    def write(objective: str, way: str, outcomes: str = "") -> tuple[SearchFolder, Ledger, str]:
        spec = load_text(SPACE.format(objective=objective.format(way=way)) + outcomes, tmp_path / "space.yaml")
        folder = SearchFolder(tmp_path / "runs", name)
        ledger = Ledger.create(folder.ledger_path, to_document(spec), spec.objectives)
        opened.append(ledger)
        ledger.note("opened", {"pid": 1, "resumed": False})
        rows = [(CONTROLS, 0.999 if way == "maximize" else 0.001, 0, 1.0, TrialState.FINISHED), *TRIALS]
        for number, (stage, mrr, loss, share, state) in enumerate(rows[1:] + rows[:1]):
            trial = ledger.suggest(
                stage=stage, method="rehearsal", values={"x": number / 10}, data_fraction=share, seed=number,
                config=full_config("rehearsal", {"x": number / 10}), control="ahead" if stage == CONTROLS else None,
            )  # fmt: skip
            ledger.start(trial.number)
            metrics = {"valid/mrr": mrr, "valid/loss": float(loss), "time/train_seconds": 1.0}
            ledger.report(trial.number, 1, metrics)
            if state.final:
                ledger.end(trial.number, state)
        return folder, ledger, name

    yield write
    for ledger in opened:
        ledger.close()


def sink_of(ledger: Ledger, search: str, store: str) -> MlflowSink:
    return MlflowSink(
        ledger, experiment=search, tracking_uri=store, space_text="", space_name="space.yaml", tags={}, every_s=0.1
    )


def asked(*words: str) -> Any:
    """What a command prints with --json."""
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def answers(folder: SearchFolder, ledger: Ledger, search: str, top: int) -> dict[str, list[int]]:
    """The best trials, as each of those says that show or choose some without MLflow."""
    facts = gather(search, folder.path, ledger)
    one = asked("status", search)
    found = {
        "best": [trial["number"] for trial in asked("best", search, "--top", str(top))],
        "trials": [trial["number"] for trial in asked("trials", search, "--sort", "value")[:top]],
        "promote": [candidate.trial for candidate in choose(ledger, search, top) if candidate.control is None],
        "report": [leader.trial.number for leader in leaderboard(facts, top) if leader.trial.control is None],
    }
    first = found["best"][0]
    assert one["best"]["trial"] == first
    assert one["compared_on"] == 1.0
    several = len(facts.snapshot.ranking.trainings[first].numbers) > 1
    assert f"trial {first}, {'mean of' if several else 'epoch 1'}" in best_lines(facts.snapshot, 80)[0].plain
    assert f"(trial {first})" in CliRunner().invoke(app, ["status", search]).stdout
    assert f"- trial {first}, `valid/mrr`" in describe(ledger, search, "space.yaml", "RUNNING")
    return found


@pytest.mark.parametrize("way", ["maximize", "minimize"])
def test_one_objective(put: Put, way: str, store: str, new_sink: Callable[..., MlflowSink], mlflow: Any) -> None:
    folder, ledger, search = put(ONE, way)
    expected = BEST[way]
    for top in (1, 2, 5):
        for who, found in answers(folder, ledger, search, top).items():
            assert found == expected[:top], who
    spec = take(search, folder.path, ledger).spec
    assert [trial.number for trial in Plan(spec, ledger).sources(spec.stages[-1])] == [
        n for n in expected if TRIALS[n][0] == "wide"
    ]
    best = TRIALS[expected[0]][1]
    figures = readings(ledger, search, planned=1, slots=1, gpus={}, backlog=0)
    assert [one.value for one in figures if one.name == "searchplat_best_value"] == [best]
    sink = MlflowSink(
        ledger, experiment=search, tracking_uri=store, space_text="", space_name="space.yaml", tags={}, every_s=0.1
    )
    assert sink.flush(60) == 0
    sink.stop(10)
    for top in (1, 2, 5):
        assert [run.trial for run in best_trials(store, search, top)] == expected[:top]
    experiment = mlflow.get_experiment_by_name(search)
    view = json.loads(experiment.tags["mlflow.sharedViewState.trials"])
    shown = mlflow.search_runs([experiment.experiment_id], view["searchFilter"])
    assert {int(run.data.tags["searchplat.trial"]) for run in shown} == {*expected, 5, 7, 9}
    parent = mlflow.search_runs([experiment.experiment_id], "tags.`searchplat.kind` = 'search'")[0]
    assert parent.data.metrics["best/valid/mrr"] == best
    assert parent.data.tags["searchplat.compared_on"] == "1.0"


@pytest.mark.parametrize("way", ["maximize", "minimize"])
def test_two_objectives(put: Put, way: str, store: str, mlflow: Any) -> None:
    folder, ledger, search = put(TWO, way)
    front = {"maximize": [2, 3, 4, 6], "minimize": [6]}[way]
    best = [trial.number for trial in Ranking.of(ledger).best()]
    assert sorted(best[: len(front)]) == front
    for top in (1, 2, 4, 5):
        for who, found in answers(folder, ledger, search, top).items():
            assert found == best[:top], who
    assert asked("status", search)["front"] == best[: len(front)]
    assert [trial["number"] for trial in asked("best", search, "--front", "--top", "1")] == best[: len(front)]
    assert CliRunner().invoke(app, ["best", search, "--front", "--by", "mrr"]).exit_code == 2
    marks = {trial["number"]: trial["front"] for trial in asked("trials", search)}
    assert marks == {n: n in front if n in best else None for n in range(10)}
    assert [trial["number"] for trial in asked("best", search, "--by", "mrr")] == BEST[way]
    assert [trial["number"] for trial in asked("best", search, "--by", "valid/loss")] == [6, 3, 0, 2, 4]
    assert [one.trial for one in choose(ledger, search, 5, by=1)[:-1]] == [6, 3, 0, 2, 4]
    screen = CliRunner().invoke(app, ["best", search]).stdout
    assert f"Pareto front of {len(front)} trial" in screen
    assert ("dominated" in screen) == (len(front) < 5)
    spec = take(search, folder.path, ledger).spec
    sources = [trial.number for trial in Plan(spec, ledger).sources(spec.stages[-1])]
    assert sources == [trial.number for trial in Ranking.of(ledger).best(3, stage="wide")]
    sink = MlflowSink(
        ledger, experiment=search, tracking_uri=store, space_text="", space_name="space.yaml", tags={}, every_s=0.1
    )
    assert sink.flush(60) == 0
    sink.stop(10)
    for top in (1, 2, 4, 5):
        assert [run.trial for run in best_trials(store, search, top)] == best[:top]
    assert [run.trial for run in best_trials(store, search, by="loss")] == [6, 3, 0, 2, 4]
    assert {run.trial for run in best_trials(store, search) if run.front} == set(front)
    experiment = mlflow.get_experiment_by_name(search)
    view = json.loads(experiment.tags["mlflow.sharedViewState.front"])
    shown = mlflow.search_runs([experiment.experiment_id], view["searchFilter"])
    assert sorted(int(run.data.tags["searchplat.trial"]) for run in shown) == front
    outside = mlflow.search_runs([experiment.experiment_id], "tags.`searchplat.front` = 'no'")
    assert sorted(int(run.data.tags["searchplat.trial"]) for run in outside) == sorted({*range(9)} - {*front, 5, 7})


@pytest.mark.parametrize("objective", [ONE, TWO])
def test_bounds_on_outcomes(put: Put, objective: str, store: str, mlflow: Any) -> None:
    folder, ledger, search = put(objective, "maximize", "outcomes: [valid/loss <= 4]\n")
    expected = [3, 6, 0, 2, 4]  # those that keep it, then those that break it least
    if objective == TWO:
        assert sorted(trial.number for trial in Ranking.of(ledger).front()) == [3, 6]
        expected = [trial.number for trial in Ranking.of(ledger).best()]
        assert sorted(expected[:2]) == [3, 6]
        assert expected[2:] == [0, 2, 4]
    for top in (1, 2):
        for who, found in answers(folder, ledger, search, top).items():
            assert found == expected[:top], who
    assert [one.trial for one in choose(ledger, search, 5)] == [*expected[:2], 9]  # and the control
    listed = asked("best", search, "--by", "mrr")
    assert [trial["number"] for trial in listed] == [3, 6, 0, 2, 4]
    assert [trial["feasible"] for trial in listed] == [True, True, False, False, False]
    assert listed[2]["broken"] == [{"bound": "valid/loss <= 4", "metric": "valid/loss", "value": 5.0, "by": 1.0}]
    assert [trial["number"] for trial in asked("trials", search, "--sort", "value")][:5] == expected
    for command in ("best", "trials"):
        assert "breaks valid/loss <= 4 by 2" in " ".join(CliRunner().invoke(app, [command, search]).stdout.split())
    spec = take(search, folder.path, ledger).spec
    assert sorted(trial.number for trial in Plan(spec, ledger).sources(spec.stages[-1])) == [3, 6]
    assert curve_png(ledger.trials(), ledger.objectives) is not None
    shown = {one.trial.number: one.values for one in leaderboard(gather(search, folder.path, ledger))}
    assert "breaks valid/loss <= 4 by 1" in shown[0]
    assert "breaks" not in shown[3]
    sink = sink_of(ledger, search, store)
    assert sink.flush(60) == 0
    sink.stop(10)
    assert [run.trial for run in best_trials(store, search)] == expected
    assert [run.violation for run in best_trials(store, search)] == [0.0, 0.0, 0.25, 0.5, 0.5]
    experiment = mlflow.get_experiment_by_name(search)
    view = json.loads(experiment.tags["mlflow.sharedViewState.trials"])
    listed_runs = mlflow.search_runs([experiment.experiment_id], view["searchFilter"])
    assert {int(run.data.tags["searchplat.trial"]) for run in listed_runs} == {3, 5, 6, 7, 9}
    parent = mlflow.search_runs([experiment.experiment_id], "tags.`searchplat.kind` = 'search'")[0]
    assert parent.data.metrics["best/valid/mrr"] == 0.6
    outside = mlflow.search_runs([experiment.experiment_id], "tags.`searchplat.feasible` = 'no'")
    assert {run.data.tags["searchplat.broken"] for run in outside} == {
        "breaks valid/loss <= 4 by 1", "breaks valid/loss <= 4 by 2",
    }  # fmt: skip


def test_where_nothing_keeps_the_bounds_everybody_says_so(put: Put) -> None:
    folder, ledger, search = put(ONE, "maximize", "outcomes: [valid/loss <= 0.5]\n")
    ledger.note("closed", {"state": "done"})
    for command in (["best", search], ["status", search]):
        assert "no trial keeps the bounds on outcomes" in " ".join(CliRunner().invoke(app, command).stdout.split())
    assert asked("status", search)["best"]["broken"]
    assert "No trial keeps the bounds" in best_line(gather(search, folder.path, ledger))
    result = CliRunner().invoke(app, ["promote", search])
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no trial that keeps the bounds on outcomes; the nearest, trial 6, breaks valid/loss <= 0.5 by 0.5" in (
        " ".join(result.stderr.split())
    )
    figures = readings(ledger, search, planned=1, slots=1, gpus={}, backlog=0)
    assert not [one.value for one in figures if one.name == "searchplat_best_value"]


@pytest.mark.parametrize("objective", [ONE, TWO])
@pytest.mark.parametrize("shared", [False, True])
def test_a_repeated_configuration_counts_with_its_mean(
    put: Put, objective: str, shared: bool, store: str, new_sink: Callable[..., MlflowSink]
) -> None:
    folder, ledger, search = put(objective, "maximize")
    ends = iter([(0.2, 9.0), (0.75, 5.0), (0.8, 5.0)])  # of the best, trial 2; of trial 4; of trial 2 once more
    before = sink_of(ledger, search, store)
    for first, training in ((2, 1), (4, 1), (2, 2)):
        repeated = ledger.trial(first)
        trial = ledger.suggest(
            stage=repeated.stage, method="rehearsal", values=repeated.values, config=repeated.config,
            data_fraction=1.0, seed=training if shared else 100 + 10 * first + training,
            info=info_of(repeated, training, shared=shared),
        )  # fmt: skip
        ledger.start(trial.number)
        mrr, loss = next(ends)
        ledger.report(trial.number, 1, {"valid/mrr": mrr, "valid/loss": loss, "time/train_seconds": 1.0})
        ledger.end(trial.number, TrialState.FINISHED)
        assert before.flush(60) == 0  # sent as it happens, means that change and all
    before.stop(10)
    ranking = Ranking.of(ledger)
    expected = [trial.number for trial in ranking.best()]
    assert set(expected) == {0, 2, 3, 4, 6}
    means = {n: found.mean for n, found in ranking.trainings.items()}
    if not shared:
        assert means[2][0] == pytest.approx((0.7 + 0.2 + 0.8) / 3)
    for top in (1, 2, 5):
        for who, found in answers(folder, ledger, search, top).items():
            if who != "trials":
                assert found == expected[:top], who
    listed = [trial["number"] for trial in asked("trials", search, "--sort", "value")]
    assert [number for number in listed if number in expected] == expected
    assert listed[listed.index(2) :][:3] == [2, 10, 12]
    best = {trial["number"]: trial for trial in asked("best", search)}
    assert best[2]["trainings"] == [2, 10, 12]
    assert best[2]["objectives"]["valid/mrr"] == means[2][0]
    assert best[2]["deviation"]["valid/mrr"] == ranking.trainings[2].deviation[0]
    assert best[0]["deviation"] is None
    sent = best_trials(store, search)
    assert [run.trial for run in sent] == expected
    assert {run.trial: run.value for run in sent} == pytest.approx({n: means[n][0] for n in expected})
    assert "trainings" in CliRunner().invoke(app, ["best", search]).stdout
    listed_lines = CliRunner().invoke(app, ["trials", search]).stdout
    assert listed_lines.count("repeats trial 2") == 2
    out = io.StringIO()
    monitor = PlainMonitor(out)
    spec = take(search, folder.path, ledger).spec
    monitor.start(RunInfo(search, folder.path, ledger, spec, None, "", lambda: 1, 9, resumed=False))
    monitor._seq = 0
    monitor.close()
    assert out.getvalue().count("it repeats trial 2") == 2
    table = frame(ledger, spec)
    assert table["repeats"].dropna().tolist() == [2, 4, 2]


def test_an_unknown_objective_is_refused_by_every_command(put: Put) -> None:
    _, ledger, search = put(TWO, "maximize")
    ledger.note("closed", {"state": "done"})
    for command in ("best", "promote"):
        result = CliRunner().invoke(app, [command, search, "--by", "ndcg"])
        assert result.exit_code == 2
        assert "--by: must be an objective of the search (valid/mrr, valid/loss), got 'ndcg'" in result.stderr


def test_lines_of_a_running_search_call_the_best_what_best_calls_so(put: Put) -> None:
    folder, ledger, search = put(ONE, "maximize")
    spec = take(search, folder.path, ledger).spec
    out = io.StringIO()
    monitor = PlainMonitor(out)
    monitor.start(RunInfo(search, folder.path, ledger, spec, None, "", lambda: 1, 9, resumed=False))
    monitor._seq = 0  # as if it had watched from the start
    monitor._lead = type(monitor._lead)(spec.objectives, [stage.name for stage in spec.stages])
    monitor.close()
    said = [line.split("trial ")[1].split()[0] for line in out.getvalue().splitlines() if "the best so far" in line]
    assert said == ["0", "1", "2"]  # until `wide` has a value, `urgent` is the last stage that has


def test_the_picture_begins_anew_on_another_share(put: Put) -> None:
    _, ledger, _ = put(ONE, "maximize")
    trials = ledger.trials()
    assert curve_png(trials, ledger.objectives, ["early", "urgent", "wide"]) is not None
    assert curve_png(trials, ledger.objectives, ["early", "wide", "urgent"]) != curve_png(trials, ledger.objectives)
