from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import pytest
from typer.testing import Result

from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder

Run = Callable[..., Result]
HalfDone = tuple[SearchFolder, Ledger]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_has_a_row_a_trial(form: str, half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    folder, ledger = half_done
    out = tmp_path / f"trials.{form}"

    result = cli("export", "first", "--to", form, "--out", str(out), "--runs", str(folder.path.parent))

    assert result.exit_code == 0, result.output
    table = pd.read_csv(out) if form == "csv" else pd.read_parquet(out)
    trials = ledger.trials()
    assert table["trial"].tolist() == [trial.number for trial in trials]
    assert table["state"].tolist() == [trial.state.value for trial in trials]
    values = [trial.objectives[0] if trial.objectives else None for trial in trials]
    assert [None if pd.isna(v) else v for v in table["value.valid/mrr"]] == values
    assert table["param.x"].dropna().tolist() == [t.values["x"] for t in trials if "x" in t.values]
    assert any("\x1b[31mred" in cause for cause in table["cause"].dropna())
    assert not list(tmp_path.glob(".*"))


def test_a_csv_holds_no_formula(half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    folder, ledger = half_done
    open_trial = next(trial for trial in ledger.trials() if not trial.state.final)
    from searchplat.searchers.contract import TrialState

    ledger.end(open_trial.number, TrialState.FAILED, "=cmd|' /C calc'!A0")
    for start in ("=", "+", "-", "@", "\t", "\r", "\n"):
        values = {"x": -0.25, "kind": f"{start}HYPERLINK(1)"}
        trial = ledger.suggest(
            stage="weights", method="rehearsal", values=values, config={**values, "list": [start]},
            data_fraction=1.0, seed=7,
        )  # fmt: skip
        ledger.end(trial.number, TrialState.FAILED, f"{start}1+1")

    cli("export", "first", "--to", "csv", "--out", str(tmp_path / "t.csv"), "--runs", str(folder.path.parent))

    with (tmp_path / "t.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert any(row["cause"].startswith("'=cmd") for row in rows)
    for row in rows:
        for name, text in row.items():
            hostile = text.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
            assert not hostile or float(text) is not None, (name, text)  # numbers stay numbers
    assert [row["param.x"] for row in rows[-7:]] == ["-0.25"] * 7
    exact = json.loads(cli("trials", "first", "--json", "--runs", str(folder.path.parent)).stdout)
    assert [trial["values"]["kind"][0] for trial in exact[-7:]] == ["=", "+", "-", "@", "\t", "\r", "\n"]


def test_studies_hold_what_the_ledger_holds(half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    folder, ledger = half_done
    out = tmp_path / "optuna.db"

    result = cli("export", "first", "--to", "optuna", "--out", str(out), "--runs", str(folder.path.parent))

    assert result.exit_code == 0, result.output
    storage = optuna.storages.RDBStorage(f"sqlite:///{out}")
    assert {s.study_name for s in optuna.get_all_study_summaries(storage)} == {
        "first/layout",
        "first/weights",
        "first/controls",
    }
    layout = optuna.load_study(storage=storage, study_name="first/layout")
    best = max((t for t in ledger.trials() if t.stage == "layout"), key=lambda t: t.objectives or ())
    assert layout.best_trial.user_attrs["trial"] == best.number
    assert (layout.best_value,) == best.objectives
    bits = [int(layout.best_trial.params[f"layout.layer{i // 3}.{r}"] == "parallel") for i, r in enumerate(ROLES * 12)]
    assert "".join(map(str, bits)) == best.values["layout"].replace("-", "")
    assert layout.best_trial.intermediate_values[3] == layout.best_value
    weights = optuna.load_study(storage=storage, study_name="first/weights")
    states = [trial.state.name for trial in weights.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL", "PRUNED", "RUNNING"]
    assert weights.trials[0].params == {"x": 0.1, "kind": "a"}
    optuna.visualization.plot_param_importances(layout)  # what the file is for
    storage.engine.dispose()


ROLES = ("causal", "context", "recommend")


def test_wrong_input_is_refused_and_nothing_is_lost(half_done: HalfDone, cli: Run, tmp_path: Path) -> None:
    runs = ("--runs", str(half_done[0].path.parent))
    taken = tmp_path / "mine.db"
    taken.write_text("mine")
    for words, said in (
        (("nosuch", "--to", "csv"), "does not exist"),
        (("first", "--to", "csv", "--out", str(tmp_path / "x.txt")), "must end in .csv"),
        (("first", "--to", "csv", "--out", str(tmp_path / "no" / "x.csv")), "make it first"),
        (("first", "--to", "optuna", "--out", str(taken)), "exists already"),
        (("first", "--to", "xls"), "xls"),
    ):
        result = cli("export", *words, *runs)
        assert result.exit_code == 2
        assert said in result.output
    assert taken.read_text() == "mine"
