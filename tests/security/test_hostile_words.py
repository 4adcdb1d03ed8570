"""A ledger from a stranger in which every text is hostile: what commands print of it is seen, and does nothing."""

from __future__ import annotations

import csv
import os
import pty
import re
import subprocess
import sys
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from searchplat.cli.app import app
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.promotion.record import FINISHED, Promotion, PromotionRun, PromotionStore
from searchplat.searchers.contract import TrialState
from searchplat.spec import load_text, to_document
from searchplat.spec.model import DataSpec, Objective

EVIL = "=1\x1b]0;pwned\x07\x1b[31m<script>alert(1)</script>[red]x[/red]\r\n@a\u202e\x9b2J\tz\u2028&amp;"
SPACE = """
method: rehearsal
data: {name: toy}
objective: {metric: valid/mrr, direction: maximize}
fixed: {epochs: 2}
search: {x: {type: float, low: 0.0, high: 1.0}, kind: {type: categorical, choices: [a, b]}}
trials: 3
searcher: {name: random}
"""
COMMANDS = [
    ("status",),
    ("status", "evil"),
    ("trials", "evil", "--causes"),
    ("best", "evil"),
    ("compare", "evil"),
    ("compare", "evil", "--format", "markdown"),
    ("compare", "evil", "--format", "latex"),
    ("compare", "evil", "--format", "csv"),
    ("trials", "evil", "--json"),
    ("status", "evil", "--json"),
    ("best", "evil", "--json"),
    ("compare", "evil", "--json"),
    ("report", "evil"),
    ("export", "evil", "--to", "csv"),
]


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    """The search `evil` in `runs`; returns its folder."""
    folder = SearchFolder(tmp_path / "runs", "evil")
    spec = load_text(SPACE)
    axis = replace(spec.space["kind"], name="p" + EVIL, choices=(EVIL, "b"))  # type: ignore[type-var]
    stage = replace(spec.stages[0], name=EVIL, over=("x", axis.name))
    metric = "valid/" + EVIL
    bad = replace(
        spec, method=EVIL, name=EVIL, data=DataSpec(EVIL, {EVIL: EVIL}), objectives=(Objective(metric, True),),
        space=replace(spec.space, domains=(spec.space["x"], axis)), stages=(stage,), scale=EVIL, text=EVIL,
        overrides=(EVIL,), source=Path(EVIL),
    )  # fmt: skip
    with Ledger.create(folder.ledger_path, to_document(bad), bad.objectives) as ledger:
        ledger.note("opened", {"pid": 1, "resumed": False})
        for n, state in enumerate((TrialState.FINISHED, TrialState.FAILED, TrialState.DIVERGED, TrialState.FINISHED)):
            trial = ledger.suggest(
                stage=EVIL, method=EVIL, values={"x": 0.5, axis.name: EVIL}, config={"x": 0.5, EVIL: EVIL},
                data_fraction=1.0, seed=1, control=EVIL if n == 3 else None, info={EVIL: EVIL},
            )  # fmt: skip
            ledger.start(trial.number)
            ledger.report(trial.number, 1, {metric: 0.1 * n, EVIL: 1.0})
            ledger.end(trial.number, state, EVIL)
        ledger.set_meta("dashboard", EVIL)
        ledger.note("closed", {"state": "failed", "message": EVIL})
        store = PromotionStore(ledger, folder.path)
        number = store.create(
            Promotion(
                search="evil", number=0, data=EVIL, data_options={EVIL: EVIL}, data_fingerprint=EVIL, num_users=9,
                metrics=("mrr",), search_scores={EVIL: 0.1}, lineage={EVIL: EVIL}, test_openings=0, runs=(),
            ),
            {},
        )  # fmt: skip
        ranks = folder.path / "ranks.npy"
        np.save(ranks, np.arange(1, 10, dtype=np.int32))
        for candidate, control in ((EVIL, None), ("c" + EVIL, EVIL)):
            store.put(
                number,
                PromotionRun(
                    candidate=candidate, trial=0, control=control, method=EVIL, config={EVIL: EVIL}, seed=1,
                    phase="final", folder=folder.path / "f", state=FINISHED, valid={"mrr": 0.5}, test={"mrr": 0.4},
                    ranks=ranks, cause=EVIL, parameters=3,
                ),
            )  # fmt: skip
    return folder.path


def hidden(text: str) -> set[str]:
    """Characters that a terminal would obey, or that nobody sees."""
    return {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs")}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_a_strangers_ledger_says_is_inert(evil: Path, command: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, list(command))
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "bug of searchplat" not in done.output
    assert hidden(done.output) == set()


@pytest.mark.by_hand
@pytest.mark.slow  # five processes
def test_on_a_terminal_only_our_own_colours_arrive(evil: Path, tmp_path: Path) -> None:
    for command in COMMANDS[:5]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "searchplat", *command], stdin=theirs, stdout=theirs, stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
        )  # fmt: skip
        os.close(theirs)
        parts = []
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
        process.wait(60)
        os.close(ours)
        text = b"".join(parts).decode()
        assert "alert(1)" in text or command == ("status",), text
        bare = re.sub(r"\x1b\[[0-9;]*m|\x1b]8;[^\x1b\x07]*(\x1b\\|\x07)", "", text).replace("\r\n", "\n")
        assert hidden(bare) == set(), (command, bare)


def test_the_report_and_the_csv_hold_no_code(evil: Path, tmp_path: Path) -> None:
    report, export = (
        CliRunner().invoke(app, words) for words in (["report", "evil"], ["export", "evil", "--to", "csv"])
    )
    assert report.exit_code == export.exit_code == 0, report.output + export.output
    page = (evil / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "\x1b" not in page
    with (tmp_path / "trials.csv").open(newline=None) as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert cells
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
