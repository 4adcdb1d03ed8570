"""The names that outside tools rely on."""

from __future__ import annotations

import posixpath
import re

import pytest

from searchplat.ledger import TrialRecord
from searchplat.tracking.store import keys


def record(**changes: object) -> TrialRecord:
    given: dict[str, object] = {
        "number": 7, "stage": "layout", "control": None, "method": "toy", "values": {}, "config": {},
        "data_fraction": 0.2, "seed": 3, "info": {}, "based_on": 0, "suggested_at": 1,
    }  # fmt: skip
    return TrialRecord(**{**given, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("valid/mrr", "valid/mrr"),
        ("valid/ndcg@10", "valid/ndcg_at_10"),
        ("time/train_seconds", "time/train_seconds"),
        ("/a//b/../c", "a/c"),
        ("größe", "gr__e"),
        ("..", "_"),
        ("", "_"),
    ],
)
def test_keys_are_what_mlflow_accepts(name: str, key: str) -> None:
    assert keys.key(name) == key
    assert re.fullmatch(r"[/\w.\- ]+", key)
    assert posixpath.normpath(key) == key


def test_params_are_the_flattened_config_with_share_and_seed() -> None:
    trial = record(config={"lr": 0.1, "loop": {"epochs": 3, "clip": None, "more": {}}, "metrics": ["mrr"], "on": True})
    assert keys.params(trial) == {
        "lr": "0.1",
        "loop.epochs": "3",
        "loop.clip": "null",
        "loop.more": "{}",
        "metrics": '["mrr"]',
        "on": "true",
        "data_fraction": "0.2",
        "seed": "3",
    }


def test_two_names_that_meet_in_one_key_are_both_kept() -> None:
    rows = keys.params(record(config={"k@1": 1, "k_at_1": 2, "seed": 9}))
    assert rows == {"k_at_1": "1", "k_at_1_2": "2", "seed": "9", "seed_2": "3", "data_fraction": "0.2"}


def test_a_long_value_is_cut_with_a_note_and_a_cause_keeps_its_end() -> None:
    value = keys.params(record(config={"text": "x" * 7000}))["text"]
    assert len(value) <= keys.MAX_PARAM
    assert value.endswith("xxx ... [cut from 7000 characters]")
    kept = keys.cut("Traceback " + "y" * 7000 + "ValueError: last line", keep_end=True)
    assert len(kept) <= keys.MAX_TAG
    assert kept.startswith("[cut from 7031 characters] ... ")
    assert kept.endswith("ValueError: last line")


def test_no_param_and_no_tag_has_a_password() -> None:
    trial = record(config={"hub": "https://ann:pa55@hub"}, info={"from": "https://ann:pa55@hub"})
    assert "pa55" not in str(keys.params(trial)) + str(keys.trial_tags(trial, "id", "parent"))


def test_run_names_say_trial_and_stage_or_the_control() -> None:
    assert keys.run_name(record()) == "trial-0007 layout"
    assert keys.run_name(record(control="default", stage="controls")) == "control-default"


def test_only_controls_have_the_tag_control() -> None:
    assert keys.CONTROL not in keys.trial_tags(record(), "id", "parent")
    tags = keys.trial_tags(record(control="default"), "id", "parent")
    assert tags["searchplat.control"] == "default"
    assert tags["searchplat.kind"] == "trial"
    assert tags["searchplat.trial"] == "7"
    assert tags["searchplat.search_id"] == "id"
    assert tags["mlflow.parentRunId"] == "parent"


@pytest.mark.parametrize("metric", ["test/mrr", "test_loss", "Test/mrr", "test"])
def test_test_metrics_are_told_from_others(metric: str) -> None:
    assert keys.is_test(metric)
    assert not keys.is_test(f"valid/{metric}")


def test_text_is_what_every_database_takes() -> None:
    assert keys.cut("a\0b") == "a\\x00b"
    assert keys.cut("half a pair \ud800, and ☃") == "half a pair \\ud800, and ☃"
    assert len(keys.cut("\0" * 9000)) <= keys.MAX_TAG
