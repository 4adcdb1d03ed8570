"""The live page and the agents' server killed: the search that they show, or began, does not notice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from interruptions import TRIALS, check_redone, command, diary, trials_of, wait_until, write_space
from mcp_client import connected
from ports import free_port, listening

pytestmark = [pytest.mark.slow, pytest.mark.by_hand, pytest.mark.timeout(600)]


def page(folder: Path) -> subprocess.Popen[str]:
    """A live page that answers."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "searchplat", "ui", "--port", str(port)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    wait_until(lambda: bool(listening(port)), "the page", process, 120)
    return process


def test_a_page_that_is_killed_leaves_the_search_alone_and_another_one_opens(tmp_path: Path) -> None:
    write_space(tmp_path, "side by side", 0.5)
    driver = subprocess.Popen(command(), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
    wait_until(lambda: len(diary(tmp_path)) >= 1, "the first epoch", driver, 250)
    for _ in range(2):
        shown = page(tmp_path)
        shown.kill()
        shown.wait()
    assert driver.wait(timeout=300) == 0
    assert not check_redone(tmp_path, []), "nothing was begun twice"
    assert sum(trial.state.final for trial in trials_of(tmp_path)) == TRIALS


def test_a_search_that_an_agent_began_outlives_its_server(tmp_path: Path) -> None:
    text = write_space(tmp_path, "side by side", 0.5).read_text()
    with connected(tmp_path, "--allow", "search") as client:
        begun = client.call("start_search", text=text, name="space")
        wait_until(lambda: len(diary(tmp_path)) >= 1, "the first epoch", None, 250)
        servers = [
            process
            for process in psutil.Process().children(recursive=True)
            if "mcp" in process.cmdline() and process.pid != begun["process"]
        ]
        assert servers
        for process in servers:
            os.kill(process.pid, signal.SIGKILL)
    with connected(tmp_path, "--allow", "search") as client:
        assert client.call("search_status", search="space")["running"]
        while (found := client.call("search_status", search="space", wait_s=20))["running"]:
            pass
        assert found["state"] == "done"
    assert not check_redone(tmp_path, []), "nothing was begun twice"
    assert sum(trial.state.final for trial in trials_of(tmp_path)) == TRIALS
