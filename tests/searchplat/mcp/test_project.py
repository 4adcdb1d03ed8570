"""Where an agent may look, and what may be started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searchplat.errors import InputError, TryAgainError
from searchplat.mcp.background import LOG, Starter, tail
from searchplat.mcp.project import Project
from searchplat.mcp.rules import Leave, Rules

SPACE = "method: rehearsal\nsearch: {x: {type: float, low: 0.0, high: 1.0}}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("SEARCHPLAT_WITHIN", str(tmp_path))
    return Project(Rules(tmp_path, tmp_path / "runs", most_searches=1))


def test_spaces_are_found_where_people_keep_them(project: Project, tmp_path: Path) -> None:
    for name in ("a.yaml", "deep/er/b.yml", ".hidden/c.yaml", "runs/first/space.yaml", "1/2/3/4/5/6/far.yaml", "d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(SPACE)
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "a.yaml")
    assert project.spaces() == ["a.yaml", "deep/er/b.yml"]
    assert project.space("a.yaml") == tmp_path / "a.yaml"
    for other in ("compose.yaml", "d.txt"):
        with pytest.raises(InputError, match="and a key method, search or stages"):
            project.space(other)


def test_a_space_is_a_file_or_a_text(project: Project) -> None:
    for both in ((None, None), ("a.yaml", SPACE)):
        with pytest.raises(InputError, match="give either space"):
            project.read(*both)
    with pytest.raises(InputError, match="the text:1:9: the text must be UTF-8"):
        project.text("method: \ud800")


def test_rules_are_said_and_kept(tmp_path: Path) -> None:
    rules = Rules(tmp_path, tmp_path, frozenset({Leave.SEARCH}), most_trials=10, most_minutes=5)
    assert "start and steer searches (at most 10 trials each, 5 minutes a start, 1 at once)" in rules.in_words()
    assert "Not allowed: promote, import;" in rules.in_words()
    assert "Not allowed" not in Rules(tmp_path, tmp_path, frozenset(Leave)).in_words()
    assert (rules.minutes(None), rules.minutes(2)) == (5, 2)
    for minutes in (0, -1, 6, float("nan")):
        with pytest.raises(InputError, match="minutes: must be above 0 and at most the 5"):
            rules.minutes(minutes)
    rules.check_trials(10)
    with pytest.raises(InputError, match="trials: 11 in all are more than the 10"):
        rules.check_trials(11)


def test_a_command_that_fails_says_so_and_no_more_are_started_than_allowed(project: Project, tmp_path: Path) -> None:
    starter = Starter(project)
    first, second = project.search("first"), project.search("second")
    with pytest.raises(InputError, match=r"nothing\.yaml: there is no such file"):
        starter.start(first, ["search", "nothing.yaml", "--name", "first"], 60)
    assert starter.exit_code("first") == 2
    assert starter.error(first)[0].startswith("nothing.yaml: there is no such file")
    assert tail(first.path / LOG)
    with second.held():
        with pytest.raises(TryAgainError, match="'second' is being run by another process"):
            starter.start(second, ["search"], 60)
        with pytest.raises(TryAgainError, match=r"1 searches are at work \(second\), and the user allows 1 at once"):
            starter.start(first, ["search"], 60)
    (first.path / LOG).unlink()
    (first.path / LOG).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="cannot be written"):
        starter.start(first, ["search"], 60)
    assert tail(first.path / LOG) == []


def test_the_bound_on_time_ends_a_command_in_good_order() -> None:
    code = (
        "import runpy, sys, time, searchplat.cli as cli\n"
        "from searchplat.signals import Interrupted, raising\n"
        "def wait():\n"
        "    raising()\n"
        "    try: time.sleep(60)\n"
        "    except Interrupted as error: sys.exit(error.exit_code)\n"
        "cli.main = wait\n"
        "sys.argv = ['timed', '0.5', 'search']\n"
        "runpy.run_module('searchplat.mcp.timed', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 143, done.stderr
    assert "minutes that it was given are over" in done.stderr
