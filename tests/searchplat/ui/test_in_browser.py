"""The live page in a real browser, on a real search: it shows how it goes, and its buttons steer it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsers import CHROMIUM, WAYS, chromium, violations
from interruptions import command, ledger_path, write_space
from ports import free_port

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState

Search = tuple[SearchFolder, Ledger]

pytestmark = [
    pytest.mark.slow,  # starts a browser, and one of them a search on Ray
    pytest.mark.timeout(400),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH"),
]

LONG_MS = 30_000
FIGURE = "[data-figure] svg.main-svg"


def until(true: Callable[[], bool]) -> None:
    """Wait; the browser's own waiting evaluates text, which the page's policy forbids."""
    deadline = time.monotonic() + LONG_MS / 1000
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """`searchplat ui` in a folder; its address with the token."""
    words = [sys.executable, "-m", "searchplat", "ui", "--port", str(free_port())]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        name, address = process.stdout.readline().split()
        assert name == "open"
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 143, said
    assert said == "interrupted\n", "nothing else went wrong in it"


@pytest.fixture(scope="module")
def opened() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


class Looking:
    """A browser's page, and what it did."""

    def __init__(self, browser: Any, address: str, way: str) -> None:
        self.context = browser.new_context(**WAYS[way])
        self.context.set_default_timeout(LONG_MS)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(address)

    def check(self, address: str) -> None:
        """Nothing went wrong, nothing was asked of others, nothing is wider than the screen."""
        assert self.errors == []
        own = address.partition("?")[0]
        assert [url for url in self.asked if not url.startswith(own)] == []
        assert self.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture
def look(opened: Any) -> Iterator[Callable[[str, str], Looking]]:
    made: list[Looking] = []

    def open_(address: str, way: str = "wide") -> Looking:
        made.append(Looking(opened, address, way))
        return made[-1]

    yield open_
    for each in made:
        each.context.close()


def states(folder: Path) -> dict[int, TrialState]:
    with Ledger.read(ledger_path(folder)) as ledger:
        return {trial.number: trial.state for trial in ledger.trials()}


def test_a_real_search_is_watched_paused_changed_and_stopped(tmp_path: Path, look: Callable[..., Looking]) -> None:
    write_space(tmp_path, "side by side", 2.5)
    search = subprocess.Popen(
        command(), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        with served(tmp_path) as address:
            looking = look(address)
            page = looking.page
            assert "token" not in page.url, "it does not stay in the address bar"
            page.get_by_role("link", name="space", exact=True).click(timeout=150_000)
            # It shows how far it is, by itself.
            page.locator("#part-running .card").first.wait_for(timeout=150_000)
            page.locator("#part-running .card", has_text=re.compile("epoch [1-4] of 4")).first.wait_for()
            until(lambda: int(page.locator(".tile b").first.inner_text()) >= 1)
            page.locator(FIGURE).nth(0).wait_for(state="attached")
            # Nothing new begins until it goes on.
            page.get_by_role("button", name="Pause", exact=True).click()
            page.get_by_text("paused by ").first.wait_for()
            page.locator(".title .chip", has_text="paused").wait_for()
            page.get_by_role("button", name="Resume").click()
            page.locator(".title .chip", has_text="running").wait_for()
            # How many run at once.
            page.get_by_label("at once").fill("1")
            page.get_by_role("button", name="Set").click()
            page.get_by_text("at most 1 at once").wait_for()
            assert page.get_by_label("at once").input_value() == ""
            page.get_by_label("at once").fill("many")
            page.evaluate("document.getElementById('set').noValidate = true")
            page.get_by_role("button", name="Set").click()
            page.locator("#said.wrong", has_text="must be a whole number").wait_for()
            assert [error for error in looking.errors if "409" not in error] == []
            looking.errors.clear()
            # A trial, once one is sure.
            stop = page.locator("#part-running button.danger").first
            number = int(str(stop.get_attribute("id")).removeprefix("stop-"))
            stop.click()
            page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
            stop = page.locator("#part-running button.danger").first
            number = int(str(stop.get_attribute("id")).removeprefix("stop-"))
            stop.click()
            page.get_by_role("dialog").get_by_role("button", name=f"Stop trial {number}").click()
            page.get_by_text(f"trial {number} stopped ").first.wait_for()
            assert states(tmp_path)[number] is TrialState.STOPPED
            # The search.
            page.get_by_role("button", name="Stop search").click()
            page.get_by_role("dialog").get_by_role("button", name="Stop the search").click()
            page.get_by_text("Nobody is at work on it").wait_for()
            assert search.wait(60) == 143
            looking.check(address)
    finally:
        search.kill()
        search.communicate()


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize("way", WAYS)
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    tmp_path: Path, look: Callable[..., Looking], half_done: Search, way: str
) -> None:
    folder, ledger = half_done
    folder.requests.mkdir()
    (folder.requests / "driver").write_text('{"run":"1","work":"search","host":"h","pid":1,"since":0.0}')
    with folder.held(), served(tmp_path) as address:
        (folder.requests / "driver").write_text('{"run":"1","work":"search","host":"h","pid":1,"since":0.0}')
        looking = look(address, way)
        page = looking.page
        page.get_by_role("link", name="first").wait_for()
        assert violations(page) == []
        looking.check(address)
        page.get_by_role("link", name="first").click()
        page.locator(FIGURE).nth(2).wait_for(state="attached")
        page.get_by_role("button", name="Stop search").wait_for()
        assert violations(page) == []
        looking.check(address)
        # What somebody types, sorts and looks at stays as the page is drawn anew.
        page.locator("#set-trials").fill("77")
        page.get_by_role("button", name="diverged 1").click()
        until(lambda: page.locator(".trials tbody tr").count() == 1)
        assert page.url.endswith("?state=diverged")
        ledger.note("extended", {})
        page.get_by_text("extended").wait_for()
        assert page.locator("#set-trials").input_value() == "77"
        assert page.locator(".trials tbody tr").count() == 1
        page.locator(".trials a").first.click()
        page.get_by_role("heading", name="Trial 12").wait_for()
        assert violations(page) == []
        looking.check(address)


def test_a_tab_without_the_token_may_look_and_says_what_buttons_need(
    tmp_path: Path, look: Callable[..., Looking], half_done: Search
) -> None:
    folder, _ = half_done
    with folder.held(), served(tmp_path) as address:
        folder.requests.mkdir()
        (folder.requests / "driver").write_text('{"run":"1","work":"search","host":"h","pid":1,"since":0.0}')
        page = look(address).page
        page.get_by_role("link", name="first").click()
        page.evaluate("localStorage.clear()")
        page.reload()
        page.get_by_role("button", name="Pause", exact=True).click()
        page.get_by_text("Open the address that searchplat ui printed").wait_for()
        assert list(folder.requests.glob("*.json")) == []


def test_what_strangers_say_runs_nothing(tmp_path: Path, look: Callable[..., Looking], hostile: Search) -> None:
    with served(tmp_path) as address:
        looking = look(address)
        page = looking.page
        for path in ("", "search/evil", "search/evil/trial/3"):
            page.goto(address.partition("?")[0] + path)
            page.get_by_text("window.pwned=1").first.wait_for()
            page.mouse.move(400, 400)  # hovering draws labels
            assert page.evaluate("window.pwned === undefined")
        looking.check(address)


@pytest.mark.usefixtures("half_done")
def test_the_report_opens_in_its_sandbox(tmp_path: Path, look: Callable[..., Looking]) -> None:
    with served(tmp_path) as address:
        page = look(address).page
        page.get_by_role("link", name="first").click()
        with page.context.expect_page() as opened:
            page.get_by_role("link", name="Report").click()
        report = opened.value
        report.locator(FIGURE).nth(3).wait_for(state="attached")
        assert report.evaluate("window.origin") == "null"


@pytest.mark.usefixtures("half_done")
def test_when_the_server_has_gone_the_page_says_so(tmp_path: Path, look: Callable[..., Looking]) -> None:
    with served(tmp_path) as address:
        page = look(address).page
        page.get_by_text("live", exact=True).wait_for()
    page.get_by_text("no answer from searchplat ui").wait_for()
    assert "first" in page.locator("main").inner_text(), "what it had stays"
