from __future__ import annotations

import doctest
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchplat import redaction
from searchplat.redaction import hide, redact, secrets_in

TOKENS = [
    "hf_" + "aB3" * 10,
    "ghp_" + "aB3" * 12,
    "github_pat_" + "a1_" * 12,
    "glpat-" + "aB3-" * 6,
    "sk-proj-" + "aB3_" * 8,
    "xoxb-" + "123-" * 5 + "a",
    "AKIA" + "A1B2" * 4,
    "AIza" + "x" * 35,
    "dapi" + "0a1b2c3d" * 4,
    "eyJ" + "a" * 12 + ".eyJ" + "b" * 12 + "." + "c" * 12,
]


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(redaction).failed == 0


@pytest.mark.parametrize("token", TOKENS, ids=lambda token: token[:6])
def test_tokens_are_known_by_their_shape(token: str) -> None:
    assert token not in redact(f"401 for {token}, try again")
    assert [what for _, what in secrets_in(f"x: {token}")] == ["an access token"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect to s3://key:secret9@bucket/x failed", "connect to s3://***@bucket/x failed"),
        ("{'AWS_SECRET_ACCESS_KEY': 'abc/d+e', 'PATH': '/bin'}", "{'AWS_SECRET_ACCESS_KEY': ***, 'PATH': '/bin'}"),
        ("export MLFLOW_TRACKING_PASSWORD=hunter2;", "export MLFLOW_TRACKING_PASSWORD=***;"),
        ('login(user="ann", password="hunter2")', 'login(user="ann", password=***)'),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer ***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest", "***\nrest"),
        ("MAX_TOKENS=512, tokens: 3, token = tokenizer(text)", "MAX_TOKENS=512, tokens: 3, token = tokenizer(text)"),
        ("mail ann@example.org: layout 010-111, lr=1e-3", "mail ann@example.org: layout 010-111, lr=1e-3"),
    ],
)
def test_what_is_secret_goes_and_all_else_stays(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_values_of_secret_variables_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "correct-horse")
    monkeypatch.setenv("SHORT_TOKEN", "no")
    assert redact("got correct-horse, no more") == "got ***, no more"


def test_what_was_hidden_stays_hidden_the_longest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_given", set())
    hide("battery-staple")
    hide("battery-staple-and-more")
    hide("short")
    hide(None)
    assert redact("battery-staple-and-more, battery-staple, short") == "***, ***, short"


def test_a_space_file_is_searched_for_what_is_secret_beyond_doubt() -> None:
    text = "a: postgresql://ann:pw@db/x\nb: https://host/x?user=ann\nc: my_password\n"
    assert [(text[at : at + 3], what) for at, what in secrets_in(text)] == [("://", "a URL with a password")]


@given(st.text())
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text", ["://" * 30_000, "a" * 200_000, "password=" * 20_000, "eyJ" + "a." * 60_000, "_A" * 60_000]
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    redact(text)
    list(secrets_in(text))
    assert time.process_time() - began < 2
