"""What the page shows of real ledgers, and its buttons against the real end of a driver, without Ray."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from drivers import Driver
from starlette.testclient import TestClient

from searchplat.engine.steering import state
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import SearchSpec
from searchplat.ui import parts

Search = tuple[SearchFolder, Ledger]

BEARER = {"Authorization": "Bearer the-token-of-this-run"}


@pytest.fixture
def driver(half_done: Search, spec: SearchSpec, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    monkeypatch.setattr("searchplat.engine.steering.post._LOOK_S", 0.01)
    with Driver(half_done, spec) as made:
        yield made


class Words(HTMLParser):
    """HTML as a browser takes it apart."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        """What a person reads."""
        return " ".join(" ".join(self.words).split())


def shown(browser: TestClient, path: str = "/search/first", **query: Any) -> dict[str, Words]:
    answer = browser.get(f"{path}/parts", params=query)
    assert answer.status_code == 200, answer.text
    return {name: Words(content) for name, content in answer.json()["parts"].items()}


def ask(browser: TestClient, action: str, **about: Any) -> tuple[int, dict[str, str]]:
    answer = browser.post("/search/first/ask", json={"action": action, **about}, headers=BEARER)
    return answer.status_code, answer.json()


# ---------------------------------------------------------------- what is shown


@pytest.mark.usefixtures("half_done")
def test_a_search_is_shown_with_its_trials_layouts_and_log(browser: TestClient) -> None:
    found = shown(browser)
    assert tuple(found) == parts.SEARCH
    assert "Best valid/mrr 0.3500 by trial 11, ahead of the best control, default" in found["head"].text
    assert "14 of 16" in found["tiles"].text
    assert "weights" in found["stages"].text
    assert "Nobody is at work on it" in found["steer"].text
    assert "searchplat search" in found["steer"].text
    assert found["running"].text == "", "its driver is gone, so nothing runs"
    assert "control default" in found["trials"].text
    assert "trial 13 stopped" in found["log"].text
    assert found["layout"].tags.count("rect") == 4 * 36, "the best layouts, as the report draws them"
    figures = browser.get("/search/first/parts").json()["figures"]
    assert len(figures) == found["figures"].tags.count("figure") == 3
    assert "layout" in figures[0]


@pytest.mark.usefixtures("half_done")
def test_trials_are_sorted_and_filtered_and_nonsense_counts_as_nothing(browser: TestClient) -> None:
    def numbers(**query: Any) -> list[int]:
        table = browser.get("/search/first/parts", params=query).json()["parts"]["trials"]
        return [int(number) for number in re.findall(r'<td class="n"><a href="/search/first/trial/(\d+)">', table)]

    assert numbers() == numbers(sort="rubbish", state="<b>", rows="many", turned="x") == [*range(15)]
    assert numbers(turned="1") == [*reversed(range(15))]
    assert numbers(sort="value")[:2] == [11, 10]
    assert numbers(state="diverged") == [12]
    assert numbers(rows="4") == [0, 1, 2, 3]
    assert "reported epoch" not in shown(browser)["log"].text
    assert "trial 14 reported epoch 2" in shown(browser, epochs="1")["log"].text


@pytest.mark.usefixtures("half_done")
def test_a_trial_has_a_page_with_its_epochs_layout_and_cause(browser: TestClient) -> None:
    found = shown(browser, "/search/first/trial/11")
    assert tuple(found) == parts.TRIAL
    assert "kind a" in found["values"].text
    assert "Learning curve" in found["figures"].text
    assert found["epochs"].text.startswith("Epochs epoch valid/mrr time/train_seconds 4 0.3400")
    assert "not markup" in shown(browser, "/search/first/trial/12")["cause"].text
    assert "svg" in shown(browser, "/search/first/trial/5")["values"].tags
    assert browser.get("/search/first/trial/99/parts").status_code == 404
    assert browser.get("/search/other/parts").json()["error"].startswith("search 'other' does not exist")


def test_all_searches_are_listed_also_beside_a_broken_one(browser: TestClient, half_done: Search) -> None:
    folder, _ = half_done
    broken = SearchFolder(folder.path.parent, "broken")
    broken.path.mkdir()
    broken.ledger_path.write_text("no database")
    found = shown(browser, "")["searches"].text
    assert "first paused" in found
    assert "14 of 16" in found
    assert "broken : " in found
    assert "is not a ledger" in found


def test_an_empty_folder_says_how_to_begin(browser: TestClient) -> None:
    assert "searchplat search darec" in shown(browser, "")["searches"].text


def test_a_browser_that_has_it_all_gets_nothing_until_something_changes(
    browser: TestClient, half_done: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchplat.ui.searches._COST_SHARE", 0.0)
    monkeypatch.setattr("searchplat.ui.searches._COARSE_S", -1.0)
    for path in ("/parts", "/search/first/parts", "/search/first/trial/14/parts"):
        version = browser.get(path).json()["version"]
        assert browser.get(path, params={"seen": version}).status_code == 204, path
        half_done[1].note("resumed", {"said": "a new event", "request": "1"})
        changed = browser.get(path, params={"seen": version})
        assert changed.status_code == 200
        assert changed.json()["version"] != version
    assert "a new event" in shown(browser)["log"].text


def test_what_strangers_say_is_shown_and_inert(browser: TestClient, hostile: Search) -> None:
    for path in ("", "/search/evil", "/search/evil/trial/0", "/search/evil/trial/3"):
        for name, part in shown(browser, path, epochs="1").items():
            where = path, name
            assert not {"script", "img", "style", "iframe", "link", "object"} & set(part.tags), where
            for key, value in part.attributes:
                assert not key.startswith("on"), where
                assert key not in ("style", "srcdoc", "formaction", "action"), where
                assert key not in ("href", "src") or (value or "").startswith("/"), (where, value)
                assert key not in ("data-ask", "data-view") or json.loads(value or ""), where
            assert "\u202e" not in part.text, where
            assert "\x1b" not in part.text, where
    content = shown(browser, "/search/evil")
    for name in ("head", "steer", "stages", "running", "layout", "trials", "log"):
        assert "window.pwned=1" in content[name].text, f"{name} shows it as it is"
        assert "7*7" in content[name].text
    assert "javascript" not in content["elsewhere"].text
    figures = json.dumps(browser.get("/search/evil/parts").json()["figures"])
    assert "<script" not in figures
    assert "<img" not in figures


# ---------------------------------------------------------------- what buttons do


def test_pause_resume_and_set_reach_the_driver_and_the_page_shows_them(browser: TestClient, driver: Driver) -> None:
    assert "Pause now" in shown(browser)["steer"].text
    code, found = ask(browser, "pause")
    assert (code, found["outcome"]) == (200, "done")
    assert found["said"].startswith("paused by ")
    assert "Resume" in shown(browser)["steer"].text
    assert "paused" in shown(browser)["head"].text
    assert found["said"] in shown(browser)["log"].text
    assert ask(browser, "pause")[1]["outcome"] == "unchanged"
    assert ask(browser, "pause", now=True)[1]["outcome"] == "done"
    assert ask(browser, "resume")[1]["said"].startswith("resumed by ")
    assert state.paused(driver.ledger) is None
    code, found = ask(browser, "set", changes=["stages.weights.trials=9", "concurrent=4"])
    assert (code, found["outcome"]) == (200, "done")
    assert "14 of 19" in shown(browser)["tiles"].text
    assert "at most 4 at once" in shown(browser)["tiles"].text
    kinds = [event.kind for event in driver.ledger.latest(4)]
    assert kinds == ["set", "resumed", "paused", "unchanged"]


def test_a_trial_and_then_the_search_are_stopped(browser: TestClient, driver: Driver) -> None:
    running = shown(browser)["running"]
    assert "trial 14 weights Stop" in running.text
    assert ("data-confirm", "Stop trial 14? Its epoch under way is given up, and it does not go on later; its best "
            "value so far counts.") in running.attributes  # fmt: skip
    code, found = ask(browser, "stop-trial", trial=14)
    assert code == 200
    assert "trial 14 stopped after epoch 2 by " in found["said"]
    assert driver.ledger.trial(14).cause == state.BY_HAND
    code, found = ask(browser, "stop-trial", trial=99)
    assert code == 409
    assert "trial 99 does not exist" in found["error"]
    code, found = ask(browser, "stop")
    assert code == 200
    assert found["said"].startswith("stopping, as ")
    driver.__exit__()
    assert "Nobody is at work on it" in shown(browser)["steer"].text


def test_what_cannot_be_asked_is_said_and_asks_nothing(browser: TestClient, half_done: Search) -> None:
    folder, _ = half_done
    code, found = ask(browser, "pause")
    assert code == 409
    assert "no driver is at work on it; this goes on with it: searchplat search " in found["error"]
    for about in ({"changes": ["seed=3"]}, {"changes": []}):
        assert ask(browser, "set", **about)[0] == 409
    assert ask(browser, "stop-trial")[0] == 409
    for wrong in (
        {"action": "search"},
        {"action": "stop", "wait": False},
        {"action": "stop-trial", "trial": -1},
        [],
        7,
    ):
        answer = browser.post("/search/first/ask", json=wrong, headers=BEARER)
        assert answer.status_code == 422
        assert "none of the page's requests" in answer.json()["error"]
    assert browser.post("/search/first/ask", content=b"\xff", headers=BEARER).status_code == 422
    assert browser.post("/search/other/ask", json={"action": "stop"}, headers=BEARER).status_code == 409
    with folder.held():
        assert ask(browser, "pause")[0] == 503
        assert "takes no requests now" in shown(browser)["steer"].text
    assert not folder.requests.exists()


def test_a_driver_that_does_not_answer_yet_keeps_nobody_waiting(
    browser: TestClient, driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("searchplat.ui.app._ANSWER_S", 0.2)
    driver.takes = False
    assert ask(browser, "set", changes=["trials=40"])[1]["outcome"] == "asked"
    assert "Asked, not taken yet: set trials=40 by " in shown(browser)["steer"].text
