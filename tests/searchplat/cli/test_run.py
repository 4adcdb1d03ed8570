"""`searchplat run`: one configuration, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

Run = Callable[..., Result]


def test_progress_goes_to_stderr_and_the_result_to_stdout(cli: Run, space: Path) -> None:
    result = cli("run", str(space), "--set", "x=0.7", "--set", "epochs=3")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[0] == "rehearsal on toy: x=0.7 epochs=3"
    assert result.stderr.splitlines()[-1].startswith("epoch 3/3  valid/mrr 0.4667")
    assert "valid/mrr" in result.stdout
    assert "epoch 1" not in result.stdout


def test_values_that_are_set_leave_the_stages_as_they_are(cli: Run, space: Path) -> None:
    words = ("--set", "x=0.3", "--set", "kind=b", "--set", "stages.weights.data_fraction=0.5", "--json")
    result = cli("run", str(space), *words)
    assert "(50% of the users)" in result.stderr
    document = json.loads(result.stdout)
    assert document["values"] == {"x": 0.3, "kind": "b"}
    assert len(document["epochs"]) == 4
    assert all({"valid/mrr", "train/loss"} <= set(epoch) for epoch in document["epochs"])


def test_a_share_of_the_users_outside_its_range_is_refused(cli: Run, space: Path) -> None:
    result = cli("run", str(space), "--users", "1.5")
    assert result.exit_code == 2
    assert "--users: must lie in (0, 1]" in result.stderr


def test_a_seed_that_no_generator_takes_is_refused(cli: Run, space: Path) -> None:
    assert cli("run", str(space), "--seed", str(2**32 - 1)).exit_code == 0
    for seed in (-1, 2**32, 99999999999999999999):
        result = cli("run", str(space), "--seed", str(seed))
        assert result.exit_code == 2
        assert "--seed" in result.stderr
        assert ("greater" if seed < 0 else "4294967295") in result.stderr
        assert "epoch" not in result.stderr


def test_a_wrong_value_is_refused_before_training(cli: Run, space: Path) -> None:
    result = cli("run", str(space), "--set", "x=33")
    assert result.exit_code == 2
    assert "--set x=33" in result.stderr
    assert "epoch" not in result.stdout


def test_a_training_that_diverges_fails_the_command(cli: Run, space: Path) -> None:
    result = cli("run", str(space), "--set", "fault=nan")
    assert result.exit_code == 1
    assert "diverged in epoch 2" in result.stderr


@pytest.mark.parametrize("fault", ["input", "unfit"])
def test_wrong_input_that_only_training_finds_is_a_sentence_and_no_bug(cli: Run, space: Path, fault: str) -> None:
    result = cli("run", str(space), "--set", f"fault={fault}")
    assert result.exit_code == 2
    last = result.stderr.splitlines()[-1]
    assert last in ("error: data toy: a planted fault of the input; mend it", "error: x: must fit, got 0.5; change it")
    assert "Traceback" not in result.stderr
    assert "bug" not in result.stderr


def test_more_sampled_items_than_a_user_has_not_met_are_refused_before_training(cli: Run) -> None:
    words = ("--set", "data.items=8", "--set", "data.length=200", "--set", "data.users=5")
    result = cli("run", "sasrec", "--scale", "smoke", "--set", "sampled_negatives=10", *words)
    assert result.exit_code == 2
    assert "the number of sampled negatives must lie in [1, 1]" in result.stderr
    assert "epoch 1" not in result.stderr


def test_a_folder_keeps_what_was_trained(cli: Run, space: Path, tmp_path: Path) -> None:
    words = ("run", str(space), "--folder", str(tmp_path / "kept"), "--set", f"diary={tmp_path / 'diary'}")
    assert cli(*words, "--set", "epochs=2").exit_code == 0
    assert cli(*words, "--set", "epochs=3").exit_code == 0
    lines = (tmp_path / "diary").read_text().splitlines()
    assert [line.split()[:2] for line in lines] == [["None", "1"], ["None", "2"], ["None", "3"]]


def test_a_folder_of_another_training_is_refused(cli: Run, tmp_path: Path) -> None:
    words = ("run", "mf", "--scale", "smoke", "--folder", str(tmp_path / "kept"))
    assert cli(*words).exit_code == 0
    result = cli(*words, "--seed", "9")
    assert result.exit_code == 2
    assert "the checkpoint's seed must be this trial's" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_function_that_lacks_what_is_searched_and_not_set_is_told_of(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "two_of_them.py").write_text(
        "def train(config, report):\n    report({'valid/a': config['x'] + config['y']})\n"
    )
    axis = "{type: float, low: 0, high: 9}"
    (tmp_path / "mine.yaml").write_text(
        "method: two_of_them:train\ndata: {name: none}\nobjective: {metric: valid/a, direction: maximize}\n"
        f"search: {{x: {axis}, y: {axis}}}\ntrials: 2\nsearcher: {{name: random}}\n"
    )
    words = ("run", str(tmp_path / "mine.yaml"), "--allow-import", "--json", "--set", "x=5")
    refused = cli(*words)
    assert refused.exit_code == 2, refused.output
    assert "asked for y, which the space searches and nothing sets" in refused.stderr
    assert "add --set y=VALUE" in refused.stderr
    assert json.loads(cli(*words, "--set", "y=1").stdout)["epochs"][0]["valid/a"] == 6
    text = (tmp_path / "mine.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("high: 9}}", "high: 9, default: 2}}"))
    assert json.loads(cli(*words).stdout)["epochs"][0]["valid/a"] == 7
