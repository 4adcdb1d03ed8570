"""`status`, `trials` and `best` on a real ledger: what they print, and what comes back from it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import Result

from searchplat.engine.sizing.arithmetic import Allocation, Choice
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.tracking.pages.description import describe

Run = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("half_done")


def test_status_lists_searches_and_survives_a_broken_one(cli: Run, tmp_path: Path) -> None:
    broken = tmp_path / "runs" / "broken"
    broken.mkdir()
    (broken / "ledger.sqlite").write_text("not a database, and long enough to be looked at" * 9)
    result = cli("status")
    assert result.exit_code == 0
    row = next(line for line in result.stdout.splitlines() if line.startswith("first"))
    assert row.split()[:4] == ["first", "paused", "14/16", "0.3500"]
    assert "broken: " in result.stdout
    assert "is not a ledger" in result.stdout
    listed = json.loads(cli("status", "--json").stdout)
    assert {one["name"] for one in listed} == {"first", "broken"}


@pytest.mark.parametrize("words", ["status first", "best first", "export first --to csv --out t.csv", "sync first"])
def test_a_folder_in_place_of_a_ledger_is_wrong_input(
    cli: Run, half_done: tuple[SearchFolder, Ledger], words: str
) -> None:
    folder, ledger = half_done
    ledger.close()
    folder.ledger_path.unlink()
    folder.ledger_path.mkdir()
    refused = cli(*words.split())
    assert refused.exit_code == 2
    assert f"{folder.ledger_path}: is not a ledger (it is a folder); put a whole copy of it back" in refused.stderr


def test_a_link_to_a_ledger_that_is_away_is_not_replaced(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = half_done
    ledger.close()
    folder.ledger_path.unlink()
    folder.ledger_path.symlink_to("/nowhere/ledger.sqlite")
    refused = cli("search", "markov", "--name", "first")
    assert refused.exit_code == 2
    assert "there is no such ledger" in refused.stderr
    assert folder.ledger_path.is_symlink()


def test_files_in_place_of_folders_are_wrong_input(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, _ = half_done
    (folder.path / "lock").unlink(missing_ok=True)
    (folder.path / "lock").mkdir()
    refused = cli("sync", "first")
    assert refused.exit_code == 2
    assert "lock cannot be locked ([Errno 21] Is a directory" in refused.stderr
    (folder.path.parent.parent / "file").write_text("x")
    assert "cannot be made (Not a directory); choose another" in cli("search", "markov", "--runs", "file").stderr


def test_a_folder_of_searches_that_cannot_be_listed_is_an_error(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = cli("status", "--runs", str(tmp_path / "file"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path / 'file'}: Not a directory" in result.stderr
    assert "no search in" in cli("status", "--runs", str(tmp_path / "nowhere")).stdout


def test_status_of_one_search(cli: Run) -> None:
    result = cli("status", "first")
    for expected in ("no driver is at work now", "12 finished", "best    valid/mrr 0.3500", "beaten by +16.7 %"):
        assert expected in result.stdout
    document = json.loads(cli("status", "first", "--json").stdout)
    assert document["states"] == {"running": 1, "finished": 12, "stopped": 1, "diverged": 1}
    found = {
        "trial": 11,
        "value": pytest.approx(0.35),
        "stage": "weights",
        "values": {"valid/mrr": pytest.approx(0.35)},
    }
    assert document["best"] == found
    assert (document["compared_on"], document["front"]) == (1.0, None)
    assert document["running"] is False


def test_whoever_reads_hears_of_a_control_that_was_not_beaten(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = half_done
    assert "below the control" not in cli("best", "first").stdout
    number = ledger.suggest(
        stage="controls", control="markov", method="markov", values={}, config={"epochs": 1}, data_fraction=1.0, seed=0
    ).number
    ledger.report(number, 1, {"valid/mrr": 0.7})
    ledger.end(number, ledger.trial(0).state)
    assert cli("report", "first").exit_code == 0
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    note = describe(ledger, "first", "space.yaml", "RUNNING")
    for text in (cli("best", "first").stdout, cli("status", "first").stdout, page, note):
        assert "below the control markov (0.7000)" in text
        assert "all items, met or not" in text


def test_status_says_what_was_measured(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    assert json.loads(cli("status", "first", "--json").stdout)["share"] is None
    choice = Choice(Allocation(2, 4), "2 at once on a node: trials an hour with 1 at once 10, 2 at once 15")
    kept = {"choices": {"k": choice.to_json()}, "stages": {"layout": "k"}}
    half_done[1].set_meta("packing", json.dumps(kept))
    share = json.loads(cli("status", "first", "--json").stdout)["share"]
    assert share == f"layout: 4 CPU, 0 GPU ({choice.reason})"
    assert "a trial layout: 4 CPU, 0 GPU" in " ".join(cli("status", "first").stdout.split())


def test_status_says_that_a_driver_is_at_work(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    with half_done[0].held():
        assert "a driver is at work now" in cli("status", "first").stdout


def test_status_says_what_the_newest_run_failed_for(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    folder, ledger = half_done
    ledger.note("opened", {"pid": 1, "resumed": True})
    ledger.note("closed", {"state": "failed", "message": "trial 3 raised, which is a bug:\nTraceback:\nKeyError: 'x'"})
    said = json.loads(cli("status", "first", "--json").stdout)
    assert (said["state"], said["failure"].splitlines()[-1]) == ("failed", "KeyError: 'x'")
    shown = cli("status", "first").stdout
    assert "first  failed  " in shown
    assert "trial 3 raised, which is a bug: KeyError: 'x'" in " ".join(shown.split())
    with folder.held():
        at_work = json.loads(cli("status", "first", "--json").stdout)
        assert (at_work["state"], at_work["failure"]) == ("running", None)
    ledger.note("opened", {"pid": 1, "resumed": True})
    again = json.loads(cli("status", "first", "--json").stdout)
    assert (again["state"], again["failure"]) == ("paused", None)


def test_searches_elsewhere_are_named_in_the_commands_to_copy(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert cli("status", "first").exit_code == 2
    result = cli("status", "first", "--runs", str(tmp_path / "runs"))
    assert f"searchplat best first --top 5 --runs {tmp_path / 'runs'}" in result.stdout


def test_trials_can_be_chosen_and_sorted(cli: Run) -> None:
    def numbers(*words: str) -> list[int]:
        return [trial["number"] for trial in json.loads(cli("trials", "first", "--json", *words).stdout)]

    assert numbers() == list(range(15))
    assert numbers("--stage", "controls") == [0, 1]
    assert numbers("--state", "stopped") == [13]
    assert numbers("--stage", "weights", "--sort", "value") == [11, 10, 13, 12, 14]  # no place without an end
    assert numbers("--sort", "seconds")[-1] == 12


@pytest.mark.parametrize("words", [("--stage", "nope"), ("--state", "nope")])
def test_an_unknown_stage_or_state_lists_the_known_ones(cli: Run, words: tuple[str, str]) -> None:
    result = cli("trials", "first", *words)
    assert result.exit_code == 2
    assert f"{words[0]}: must be one of " in result.stderr


def test_what_trials_say_is_shown_not_obeyed(cli: Run) -> None:
    result = cli("trials", "first", "--state", "diverged", "--causes")
    assert "\x1b" not in result.stdout
    assert result.stdout.count("boom \\x1b[31mred\\x1b[0m [bold]not markup[/bold] \\u202e") == 2


def test_best_shows_the_ranking_and_leaves_other_shares_out(cli: Run) -> None:
    result = cli("best", "first", "--top", "2")
    assert "8 trials of layout on another share of the users left out" in result.stdout
    assert "all with kind=a layout=011-110" in result.stdout
    assert [t["number"] for t in json.loads(cli("best", "first", "--json").stdout)] == [11, 10, 13]
    layout = json.loads(cli("best", "first", "--stage", "layout", "--top", "1", "--json").stdout)
    assert [trial["number"] for trial in layout] == [9]


def test_best_by_a_model_of_a_stages_trials(cli: Run) -> None:
    result = cli("best", "first", "--model", "--stage", "layout", "--top", "3")
    assert result.exit_code == 0, result.stderr
    assert "posterior mean ± sd of the value without noise, by all trials of stage layout" in result.stdout
    found = json.loads(cli("best", "first", "--model", "--stage", "layout", "--json").stdout)
    means = [trial["model"]["mean"] for trial in found]
    assert means == sorted(means, reverse=True)
    assert all(0.3 < mean < 0.6 for mean in means)
    assert all(trial["model"]["sd"] > 0 for trial in found)
    for words, said in (
        (("--stage", "nowhere"), "--stage: must be one of layout, weights"),
        (("--front",), "--model: ranks by its own estimate"),
        (("--by", "valid/mrr"), "--model: ranks by its own estimate"),
    ):
        refused = cli("best", "first", "--model", *words)
        assert (refused.exit_code, said in refused.stderr) == (2, True)


@pytest.mark.parametrize("forms", [("--yaml", "--json"), ("--yaml", "--set"), ("--json", "--set")])
def test_best_has_one_form(cli: Run, forms: tuple[str, str]) -> None:
    result = cli("best", "first", *forms)
    assert result.exit_code == 2
    assert "give one of --json, --yaml and --set" in result.stderr
    assert result.stdout == ""


def test_best_as_yaml_is_the_trials_config(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    written = yaml.safe_load(cli("best", "first", "--yaml").stdout)
    assert written == {"fixed": half_done[1].trial(11).config}


def test_the_command_of_best_trains_the_same_configuration(cli: Run, half_done: tuple[SearchFolder, Ledger]) -> None:
    _, *words = shlex.split(cli("best", "first", "--set").stdout)
    document = json.loads(cli(*words, "--json").stdout)
    assert document["values"] == {k: half_done[1].trial(11).config[k] for k in ("layout", "x", "kind")}


def test_the_command_of_an_earlier_stages_best_keeps_its_share_of_the_users(cli: Run) -> None:
    command = cli("best", "first", "--stage", "layout", "--set").stdout
    assert "--set layout=011-110" in command
    assert "--users 0.2 --seed 7" in command
    assert cli(*shlex.split(command)[1:]).exit_code == 0


@pytest.mark.usefixtures("half_done")
def test_without_a_scored_trial_there_is_no_best(cli: Run, tmp_path: Path, spec: object) -> None:
    folder = SearchFolder(tmp_path / "runs", "bare")
    folder.path.mkdir()
    with SearchFolder(tmp_path / "runs", "first").read() as first:
        Ledger.create(folder.ledger_path, first.document(), first.objectives).close()
    result = cli("best", "bare")
    assert result.exit_code == 1
    assert "no trial that ended with a value yet" in result.stderr
    assert json.loads(cli("best", "bare", "--json").stdout) == []
    assert "no trial ended with a value" in cli("status", "bare").stdout
