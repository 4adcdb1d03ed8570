"""A door for agents, entered by the SDK's own client: what it offers, what it refuses, and a search from end to end."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp_client import Client, connected

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.find import grammar

SPACE = """\
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2, seconds: 0.1}
search: {x: {type: float, low: 0.0, high: 1.0}}
searcher: {name: random}
trials: 3
scheduler: {name: none}
resources: {cpu: 1, gpu: 0, concurrent: 1}
"""
READING = {
    "list_methods", "list_spaces", "read_space", "space_grammar", "check_space", "list_searches", "search_status",
    "search_trials", "best_trials", "search_report", "search_promotion", "compare_searches",
}  # fmt: skip
SEARCHING = {"start_search", "stop_search", "set_search", "pause_search", "resume_search"}


def follow(client: Client, search: str, seconds: float = 400) -> dict[str, Any]:
    """Until nothing works on a search."""
    until = time.monotonic() + seconds
    while (found := client.call("search_status", search=search, wait_s=20))["running"]:
        assert time.monotonic() < until, found
    return found


@pytest.fixture(scope="module")
def project(_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a space and a search that nobody runs."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "mine.yaml").write_text(SPACE)
    (folder / "notes.yaml").write_text("method: none of ours\n")
    (folder / "runs" / "first").mkdir(parents=True)
    shutil.copy(_template / "ledger.sqlite", folder / "runs" / "first")
    return folder


@pytest.fixture(scope="module")
def reader(project: Path) -> Iterator[Client]:
    """Allowed nothing but to read."""
    with connected(project) as client:
        yield client


def test_by_default_it_offers_what_reads_and_says_what_is_closed(reader: Client) -> None:
    tools = reader.tools()
    assert set(tools) == READING
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools.values())
    assert all(tool.description and tool.output_schema for tool in tools.values())
    assert "Not allowed: search, promote, import" in (reader.hello.instructions or "")
    assert "Unknown tool: start_search" in reader.refused("start_search", space="mine.yaml")
    assert "there is no argument 'trial'; it takes search, wait_s" in reader.refused(
        "search_status", search="first", trial=3
    )


def test_it_answers_as_the_commands_do(reader: Client, project: Path, cli: Any) -> None:
    def said(*words: str) -> Any:
        return json.loads(cli(*words, "--runs", str(project / "runs"), "--json").stdout)

    assert reader.call("search_trials", search="first", limit=100)["trials"] == said("trials", "first")
    assert reader.call("best_trials", search="first", top=3)["best"] == said("best", "first", "--top", "3")
    assert reader.call("list_searches")["searches"][0]["name"] == "first"
    by_value = reader.call("search_trials", search="first", sort="value", offset=2, limit=2)
    assert by_value["trials"] == said("trials", "first", "--sort", "value")[2:4]
    assert (by_value["total"], by_value["next_offset"]) == (15, 4)
    report = reader.call("search_report", search="first")
    assert report["result"].startswith("Best valid/mrr 0.35")
    assert report["failures"][0]["state"] == "diverged"
    assert len(report["layout"]["effects"]) == 12
    status = reader.call("search_status", search="first")
    assert (status["state"], status["running"], status["last_run"]["state"]) == ("paused", False, "killed")
    assert "was not promoted" in reader.refused("compare_searches", searches=["first"])
    assert "does not exist" in reader.refused("best_trials", search="other")


def test_spaces_are_listed_read_and_checked(reader: Client, project: Path, cli: Any) -> None:
    assert reader.call("list_spaces")["project"] == ["mine.yaml"]
    assert reader.call("read_space", space="mine.yaml")["text"] == SPACE
    assert "method: darec" in reader.call("read_space", space="darec")["text"]
    text = grammar().read_text()
    assert reader.resource("searchplat://grammar") == text
    assert json.loads(reader.resource("searchplat://methods/rehearsal"))["name"] == "rehearsal"
    assert reader.call("list_methods", name="rehearsal")["config"]["properties"]["epochs"]["minimum"] == 1
    checked = reader.call("check_space", space="mine.yaml", overrides=["trials=7"])
    plain = json.loads(cli("check", str(project / "mine.yaml"), "--set", "trials=7", "--json").stdout)
    assert checked == plain
    assert reader.call("check_space", text=SPACE)["cost"]["trials"] == 3
    assert reader.call("check_space", space="markov", scale="smoke")["space"]["scale"] == "smoke"


def test_a_bad_space_has_the_errors_of_the_command_line(reader: Client, project: Path, cli: Any) -> None:
    bad = SPACE.replace("trials: 3", "trails: 3").replace("low: 0.0", "low: 2.0")
    (project / "bad.yml").write_text(bad)
    shown = cli("check", str(project / "bad.yml")).stderr.removeprefix("error: ").strip()
    assert reader.refused("check_space", space="bad.yml").endswith(shown)
    assert "the text:7:1 trails: is not a key" in reader.refused("check_space", text=bad)
    (project / "bad.yml").unlink()


def test_nothing_of_a_hostile_space_is_run_or_read(reader: Client, project: Path, tmp_path: Path) -> None:
    marker = tmp_path / "was-here"
    (project / "hostile.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    outside = tmp_path / "secret.csv"
    outside.write_text("user,item,time\n")
    (project / "link.csv").symlink_to(outside)
    (tmp_path / "space.yaml").write_text(SPACE)
    (project / "link.yaml").symlink_to(tmp_path / "space.yaml")

    def refused(old: str, new: str) -> str:
        assert old in SPACE
        return reader.refused("check_space", text=SPACE.replace(old, new))

    for name in ("hostile:Method", "os:system"):
        assert "`--allow import` when this server starts" in refused("rehearsal", name)
    assert "`--allow import`" in refused("method: rehearsal", "method: command").replace("\n", " ")
    for file in (str(outside), "link.csv", "../secret.csv", "~/secret.csv"):
        assert "must be in the folder" in refused(
            "{name: toy}", f"{{file: {file}, user: user, item: item, time: time}}"
        )
    assert "tells nobody" in refused("trials: 3", "trials: 3\nnotify: {url_env: HOME}")
    secret = "ghp_" + "a" * 36
    assert secret not in refused("trials: 3", f"trials: 3  # {secret}")
    assert "at most" in reader.refused("check_space", text="a: " + "x" * 300_000)
    for path in ("link.yaml", "../space.yaml", str(tmp_path / "space.yaml"), "/nowhere/at/all.yaml"):
        for tool in ("check_space", "read_space"):
            assert "must be in the folder" in reader.refused(tool, space=path)
    (project / ".env").write_text("API=do-not-tell\n")
    for tool in ("check_space", "read_space"):
        said = reader.refused(tool, space=".env")
        assert "must be a file with the ending" in said
        assert "do-not-tell" not in said
    assert "must match" in reader.refused("best_trials", search="../../first")
    (project / "runs" / "elsewhere").symlink_to(tmp_path)
    assert "is a link" in reader.refused("search_status", search="elsewhere")
    assert not marker.exists()


def test_answers_hold_no_secrets_and_are_no_longer_than_allowed(project: Path) -> None:
    folder = SearchFolder(project / "runs", "first")
    with Ledger.open(folder.ledger_path) as ledger:
        running = next(iter(ledger.open_trials()))
        ledger.end(running.number, running.state.FAILED, "boom hunter2hunter2 " + "y" * 50_000)
    with connected(project, MY_PASSWORD="hunter2hunter2") as client:
        cause = client.call("search_trials", search="first", state="failed")["trials"][0]["cause"]
    assert cause.startswith("boom *** yyy")
    assert "characters left out" in cause
    assert len(cause) < 5_000


@pytest.mark.slow  # starts Ray twice
@pytest.mark.timeout(280)
def test_a_search_is_started_followed_and_steered_and_outlives_its_client(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    text = SPACE.replace("trials: 3", "trials: 6").replace("seconds: 0.1", "seconds: 1.0")
    with connected(project, "--allow", "search", "--most-trials", "8") as client:
        assert set(client.tools()) == READING | SEARCHING
        assert client.tools()["stop_search"].annotations.destructive_hint  # type: ignore[union-attr]
        assert "needs one" in client.refused("start_search", text=text)
        assert "more than the 8" in client.refused("start_search", text=text, name="mine", trials=9)
        assert "at most the 120" in client.refused("start_search", text=text, name="mine", minutes=121)
        assert not (project / "runs").exists()
        begun = client.call("start_search", text=text, name="mine")
        assert begun["command"].startswith(f"searchplat search {project / 'mine.yaml'} --name mine")
        assert "is being run by another process" in client.refused("start_search", text=text, name="mine")
        assert "1 searches are at work (mine)" in client.refused("start_search", space="mine.yaml", name="other")
        assert client.call("search_status", search="mine")["running"]
        assert client.call("pause_search", search="mine")["outcome"] == "done"
        assert client.call("search_status", search="mine")["state"] == "paused"
        assert "more than the 8" in client.refused("set_search", search="mine", stage_trials={"search": 9})
        assert client.call("set_search", search="mine", trials=4)["outcome"] == "done"
        assert client.call("resume_search", search="mine")["outcome"] == "done"
    os.kill(begun["process"], 0)  # the client and the server have gone
    with connected(project, "--allow", "search") as client:
        found = follow(client, "mine")
        assert (found["state"], found["ended_trials"]) == ("done", 4)
        best = client.call("best_trials", search="mine", top=1)["best"][0]
        assert best["objectives"]["valid/mrr"] > 0
        assert "says something else than the text" in client.refused("start_search", text=SPACE, name="mine")
        # More trials extend it, for so long as is allowed.
        client.call("start_search", space="mine.yaml", name="mine", trials=200, minutes=0.4)
        found = follow(client, "mine")
        assert (found["state"], found["last_run"]["state"]) == ("paused", "interrupted")
        assert found["ended_trials"] < 200
    log = (project / "runs" / "mine" / "driver.log").read_text()
    assert "the 0.4 minutes that it was given are over" in log


@pytest.mark.slow  # starts a process that imports everything
def test_what_a_command_says_at_its_end_is_the_error(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SPACE)
    (tmp_path / "yaml.py").write_text("raise SystemExit('a file of the project was imported')\n")
    with connected(tmp_path, "--allow", "search", "--address", "127.0.0.1:1", "--insecure-cluster") as client:
        said = client.refused("start_search", space="mine.yaml", name="mine")
        assert "no head of a Ray cluster answers" in said
        assert "imported" not in said
        assert "did not begin" in client.refused("search_status", search="mine")


@pytest.mark.slow  # starts Ray, and promotes
@pytest.mark.by_hand
@pytest.mark.timeout(1500)
def test_winners_are_promoted_where_that_is_allowed(tmp_path: Path) -> None:
    with connected(tmp_path, "--allow", "search", "--allow", "promote") as client:
        assert set(client.tools()) == READING | SEARCHING | {"promote_search"}
        client.call("start_search", space="markov", scale="smoke", name="mine", trials=2)
        follow(client, "mine")
        client.call("promote_search", search="mine", top=1, seeds=1)
        follow(client, "mine")
        promoted = client.call("search_promotion", search="mine")
        assert promoted["test_openings"] >= 1
        assert promoted["winner"] is not None
        assert client.call("compare_searches", searches=["mine"])
        client.call("promote_search", search="mine", top=1, seeds=1)  # done already: says so, opens nothing
        follow(client, "mine")
        assert client.call("search_promotion", search="mine")["test_openings"] == promoted["test_openings"]
