"""The report in a real browser: drawn whole, without a request or an error, for eye, keyboard and screen reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from browsers import CHROMIUM, WAYS, chromium, violations
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import Objective, SearchSpec

Run = Callable[..., Result]

pytestmark = [
    pytest.mark.slow,  # starts a browser
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH"),
]

EVIL = "</script><script>window.pwned=1</script><img src='https://evil.example/x' onerror='window.pwned=1'><b>bold</b>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as opened:
        yield opened


class Opened:
    """A page, and what it did while it was opened."""

    def __init__(self, browser: Any, path: Path, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        self.page.goto(path.as_uri())
        self.page.wait_for_function(
            "[...document.querySelectorAll('[data-figure]')].every(p => p.querySelector('svg.main-svg, canvas'))"
        )

    def figures(self) -> list[str]:
        """The captions of the figures in which something is drawn."""
        found: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('[data-figure]')]"
            ".filter(p => p.querySelector('svg.main-svg') && p.getBoundingClientRect().height > 50)"
            ".map(p => p.getAttribute('aria-label'))"
        )
        return found


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Opened]]:
    made: list[Opened] = []

    def open_(path: Path, **context: Any) -> Opened:
        made.append(Opened(browser, path, **context))
        return made[-1]

    yield open_
    for each in made:
        each.context.close()


def written(cli: Run, search: str) -> Path:
    result = cli("report", search)
    assert result.exit_code == 0, result.output
    return Path(result.stdout.strip())


@pytest.mark.usefixtures("half_done")
@pytest.mark.parametrize("way", WAYS)
def test_every_figure_is_drawn_without_an_error_or_a_request_and_axe_finds_nothing(
    cli: Run, open_page: Callable[..., Opened], way: str
) -> None:
    path = written(cli, "first")
    opened = open_page(path, **WAYS[way])
    assert opened.figures() == [
        "Best so far, by trial", "Best so far, by time", "Learning curves", "Parallel coordinates", "x", "kind",
        "Timeline",
    ]  # fmt: skip
    assert opened.errors == []
    assert opened.asked == [path.as_uri()]
    assert violations(opened.page) == []
    # Nothing is wider than the screen: a phone scrolls down, not sideways.
    assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.usefixtures("half_done")
def test_the_keyboard_reaches_and_opens_what_is_folded(cli: Run, open_page: Callable[..., Opened]) -> None:
    page = open_page(written(cli, "first"), **WAYS["wide"]).page
    folded = page.locator("details").count()
    assert folded
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        place = page.evaluate(
            "document.activeElement.tagName === 'SUMMARY' ?"
            " [...document.querySelectorAll('summary')].indexOf(document.activeElement) : -1"
        )
        if place >= 0 and place not in reached:
            reached.add(place)
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.parentElement.open")
    assert len(reached) == folded


def test_what_trials_say_runs_nothing(
    cli: Run, spec: SearchSpec, tmp_path: Path, open_page: Callable[..., Opened]
) -> None:
    folder = SearchFolder(tmp_path / "runs", "evil")
    axis = replace(spec.space["kind"], name="x" + EVIL, choices=(EVIL, "b"))  # type: ignore[type-var]
    stage = replace(spec.stages[0], name="stage" + EVIL, over=(axis.name, "x"))
    bad = replace(
        spec, space=replace(spec.space, domains=(axis, spec.space["x"])), stages=(stage,), controls=(),
        objectives=(Objective("valid/" + EVIL, True),), text="# " + EVIL,
    )  # fmt: skip
    with Ledger.create(folder.ledger_path, to_document(bad), bad.objectives) as ledger:
        for n in range(6):
            trial = ledger.suggest(
                stage=stage.name, method="rehearsal", values={axis.name: EVIL if n % 2 else "b", "x": n / 6},
                config={}, data_fraction=0.2, seed=1, info={"route": EVIL},
            )  # fmt: skip
            ledger.start(trial.number)
            for epoch in (1, 2):
                ledger.report(trial.number, epoch, {"valid/" + EVIL: 0.1 * n})
            failed = n == 3
            ledger.end(trial.number, TrialState.FAILED if failed else TrialState.FINISHED, EVIL if failed else None)
    path = written(cli, "evil")
    opened = open_page(path, **WAYS["wide"])
    opened.page.mouse.move(400, 400)  # hovering draws labels
    assert opened.page.evaluate("window.pwned === undefined")
    assert opened.asked == [path.as_uri()]
    assert opened.errors == []
    assert opened.page.locator("img[src^='https://evil']").count() == 0
