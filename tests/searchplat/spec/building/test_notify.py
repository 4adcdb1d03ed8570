"""`notify:` is read like any key, holds no secret, and is no part of what a search is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from searchplat.errors import InputError
from searchplat.spec import SpecError, diff, digest, from_document, load_text, to_document
from searchplat.spec.building.notify import notify_option
from searchplat.spec.model import NOTICES, NotifySpec

SMALL = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
search:
  x: {type: float, low: 0.0, high: 1.0}
searcher: {name: random}
trials: 3
"""


def test_one_or_several_are_told() -> None:
    one = load_text(SMALL + "notify: {url_env: SLACK_WEBHOOK_URL}\n")
    assert one.notify == (NotifySpec(url_env="SLACK_WEBHOOK_URL", on=NOTICES, of_space=True),)
    several = load_text(
        SMALL
        + 'notify:\n  - {url_file: ~/.hook, on: failure}\n  - {command: [say, -v, x, -v, "{message}"], on: [end]}\n'
    )
    assert [each.on for each in several.notify] == [("failure",), ("end",)]
    assert several.notify[1].command == ("say", "-v", "x", "-v", "{message}")
    assert from_document(to_document(several)) == several


def test_it_decides_nothing() -> None:
    plain, told = load_text(SMALL), load_text(SMALL + "notify: {url_env: A}\n")
    assert diff(to_document(plain), to_document(told)) == []
    assert digest(plain) == digest(told)
    before = {key: value for key, value in to_document(plain).items() if key != "notify"}
    assert from_document(before) == plain
    assert load_text(SMALL + "notify: {url_env: A}\n", overrides=("notify=null",)) == replace(
        plain, text=told.text, overrides=("notify=null",)
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("notify: {url: x}", "notify.url: is not a key of notify"),
        ("notify: {on: [end]}", "must have one of url_env, url_file, command, got none"),
        ("notify: {url_env: A, url_file: b}", "must have one of url_env, url_file, command, got url_env, url_file"),
        ("notify: {url_env: A, on: [start]}", "must be end, failure or best"),
        ("notify: {url_env: 'my hook'}", "the name of an environment variable"),
        ('notify: {command: [say, "{massage}"]}', "a placeholder is one of event, search"),
        ("notify: {url_env: A}  # https://hooks.slack.com/services/T00/B00/abcdefghijk", "secrets do not belong"),
    ],
)
def test_what_is_wrong_is_said(line: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_text(SMALL + line + "\n")
    assert message in str(caught.value)
    assert "abcdefghijk" not in str(caught.value)


@pytest.mark.parametrize("option", ["https://hooks.example.org/secretpart", "", "{url: https://h.org/secretpart}"])
def test_a_url_is_no_option(option: str) -> None:
    with pytest.raises(InputError) as caught:
        notify_option(option)
    assert "secretpart" not in str(caught.value)
