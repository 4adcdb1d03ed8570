"""What `searchplat export --to optuna` writes, in the real optuna-dashboard and a real browser."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder

Run = Callable[..., Result]

CHROMIUM = next((path for name in ("chromium", "google-chrome", "chrome") if (path := shutil.which(name))), None)


@contextmanager
def dashboard(database: Path) -> Iterator[str]:
    """The dashboard's address while it serves the file."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    program = Path(sys.executable).with_name("optuna-dashboard")
    process = subprocess.Popen(
        [str(program), "--host", "127.0.0.1", "--port", str(port), f"sqlite:///{database}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}/dashboard/"
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(address, timeout=5):
                    break
            except OSError:
                assert process.poll() is None, "optuna-dashboard ended at once"
                assert time.monotonic() < deadline, "optuna-dashboard did not answer"
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.slow  # starts a server and a browser
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on the PATH")
def test_optuna_dashboard_opens_the_studies_and_draws_them(
    half_done: tuple[SearchFolder, Ledger], cli: Run, tmp_path: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    _, ledger = half_done
    database = tmp_path / "optuna.db"
    assert cli("export", "first", "--to", "optuna", "--out", str(database)).exit_code == 0
    best = max(
        (trial for trial in ledger.trials() if trial.stage == "layout"), key=lambda trial: trial.objectives or ()
    )
    with dashboard(database) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        expect.set_options(timeout=60_000)
        page.goto(address)
        for stage in ("layout", "weights", "controls"):
            expect(page.get_by_text(f"first/{stage}")).to_be_visible()
        page.get_by_text("first/layout").click()
        for heading in ("History", "Hyperparameter Importance", "Timeline"):
            expect(page.get_by_role("heading", name=heading)).to_be_visible()
        expect(page.locator("svg.main-svg").first).to_be_visible()
        page.goto(f"{page.url.rstrip('/')}/trials")
        page.get_by_text("Best Trial").first.click()
        expect(page.get_by_text(f"trial {best.number}", exact=False).first).to_be_visible()
        expect(page.get_by_text("layout.layer0.causal").first).to_be_visible()
        assert errors == []
        browser.close()
