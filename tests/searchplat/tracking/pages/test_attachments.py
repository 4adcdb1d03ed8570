"""A report lies with the search's parent run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.spec.model import Objective
from searchplat.tracking import MlflowSink
from searchplat.tracking.pages.attachments import attach


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "ledger.sqlite", {}, [Objective("valid/mrr", True)]) as opened:
        yield opened


def test_the_parent_run_keeps_the_newest_file(
    store: str, name: str, tmp_path: Path, mlflow: Any, new_sink: Callable[..., MlflowSink], train: Callable[..., int]
) -> None:
    train(0.3)
    assert new_sink().flush(30) == 0
    file = tmp_path / "mine" / "report.html"
    file.parent.mkdir()
    for content in ("first", "second"):
        file.write_text(content)
        run = attach(store, name, file)
    assert mlflow.get_run(run).data.tags["searchplat.kind"] == "search"
    kept = mlflow.download_artifacts(run, "report.html", str(tmp_path))
    assert Path(kept).read_text() == "second"


def test_a_search_that_mlflow_does_not_have_is_named(store: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("x")
    with pytest.raises(InputError, match="has no search 'nothing'; this sends it: searchplat sync nothing"):
        attach(store, "nothing", file)
    with pytest.raises(InputError, match="has no search 'nothing'"):
        attach(f"sqlite:///{tmp_path}/none.db", "nothing", file)
