"""The live page on the searches of a test's folder, asked as by a browser on this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from searchplat.engine.steering import state
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.searchers.contract import TrialState
from searchplat.spec import to_document
from searchplat.spec.model import Objective, SearchSpec
from searchplat.tracking.store.address import Address
from searchplat.ui.app import make_app
from searchplat.ui.mlflow_page import MlflowPage
from searchplat.ui.searches import Searches

PORT = 5000
TOKEN = "the-token-of-this-run"

EVIL = "\"'></script><script>window.pwned=1</script><img src=x onerror=window.pwned=2> {{ 7*7 }} &amp; \u202e\x1b[31m"


@pytest.fixture
def stranger(tmp_path: Path) -> TestClient:
    """A browser that was told no token."""
    mlflow = MlflowPage(Address.parse(f"sqlite:///{tmp_path}/mlflow.db"), PORT + 1)
    app = make_app(Searches(tmp_path / "runs"), mlflow, TOKEN, PORT)
    return TestClient(app, base_url=f"http://127.0.0.1:{PORT}")


@pytest.fixture
def browser(stranger: TestClient) -> TestClient:
    """One that has opened the address that the command prints."""
    assert stranger.get(f"/?token={TOKEN}").status_code == 200
    return stranger


@pytest.fixture
def hostile(spec: SearchSpec, tmp_path: Path) -> Iterator[tuple[SearchFolder, Ledger]]:
    """The search `evil`, at work and paused, in which every text is `EVIL`."""
    folder = SearchFolder(tmp_path / "runs", "evil")
    axis = replace(spec.space["kind"], name="x" + EVIL, choices=(EVIL, "b"))  # type: ignore[type-var]
    layout = replace(spec.space["layout"], roles=(EVIL, "r"), choices=(EVIL, "q"), layers=2)  # type: ignore[type-var]
    stage = replace(spec.stages[0], name="stage" + EVIL, over=(axis.name, layout.name))
    bad = replace(
        spec, method=EVIL, scale=EVIL, space=replace(spec.space, domains=(axis, layout)), stages=(stage,),
        controls=(), objectives=(Objective("valid/" + EVIL, True),), overrides=(EVIL,),
    )  # fmt: skip
    with Ledger.create(folder.ledger_path, to_document(bad), bad.objectives) as ledger, folder.held():
        ledger.note("opened", {"pid": 1, "resumed": False})
        ledger.set_meta("dashboard", "javascript:alert(1)")
        for n in range(6):
            trial = ledger.suggest(
                stage=stage.name, method=EVIL, values={axis.name: EVIL, layout.name: f"0{n % 2}-11"},
                config={"epochs": EVIL, EVIL: EVIL}, data_fraction=0.2, seed=1, control=EVIL if n == 5 else None,
            )  # fmt: skip
            ledger.start(trial.number)
            for epoch in (1, 2):
                ledger.report(trial.number, epoch, {"valid/" + EVIL: 0.1 * n, EVIL: 1.0})
            if n:
                ledger.end(trial.number, TrialState.FAILED if n == 3 else TrialState.FINISHED, EVIL)
        ledger.note(state.REFUSED, {"request": "1", "said": EVIL})
        ledger.note(state.PAUSED, {"request": "2", "said": EVIL, "by": EVIL, "now": False})
        folder.requests.mkdir()
        driver = {"run": "1", "work": "search", "host": EVIL, "pid": 1, "since": 0.0}
        (folder.requests / "driver").write_text(json.dumps(driver))
        yield folder, ledger
