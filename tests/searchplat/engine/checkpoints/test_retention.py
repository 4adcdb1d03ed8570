"""Which storage a search and a promotion use, when they begin and when they go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.engine.checkpoints import storage as storage_module
from searchplat.engine.checkpoints.retention import SEARCH, Remover, note, noted, of_promotion, of_search
from searchplat.engine.checkpoints.storage import VARIABLE, Storage
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec.model import Objective

MRR = [Objective("valid/mrr", maximize=True)]


def begin(folder: SearchFolder, storage: Storage | None, trials: int = 1, started: bool = True) -> None:
    folder.path.mkdir(parents=True)
    with Ledger.create(folder.ledger_path, {}, MRR) as ledger:
        if storage is not None:
            note(ledger, SEARCH, storage)
        for _ in range(trials):
            trial = ledger.suggest(stage="s", method="m", values={}, config={}, data_fraction=1.0, seed=0)
            if started:
                ledger.start(trial.number)


def test_a_new_search_takes_what_is_given_else_what_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = SearchFolder(tmp_path, "one")
    assert of_search(folder, None) is None
    monkeypatch.setenv(VARIABLE, str(tmp_path / "env"))
    first, second = of_search(folder, None), of_search(folder, None)
    assert first is not None
    assert second is not None
    assert first.base.startswith(f"{tmp_path}/env/one-")
    assert first != second  # searches of one name do not meet
    given = of_search(folder, "given")
    assert given is not None
    assert given.base.startswith(f"{tmp_path}/given/one-")
    assert not folder.path.exists()


def test_a_search_that_goes_on_keeps_its_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "env"))
    kept, local = SearchFolder(tmp_path, "kept"), SearchFolder(tmp_path, "local")
    storage = of_search(kept, "given")
    begin(kept, storage)
    begin(local, None)
    assert of_search(kept, None) == of_search(kept, "given") == storage
    with pytest.raises(InputError, match=r"other.*was begun with .*given; leave it out, or begin another with --name"):
        of_search(kept, "other")
    assert of_search(local, None) is None
    with pytest.raises(InputError, match="begun without a storage"):
        of_search(local, "given")


@pytest.mark.parametrize("trials", [0, 1])
def test_a_search_none_of_whose_trials_has_begun_may_still_be_given_one(tmp_path: Path, trials: int) -> None:
    folder = SearchFolder(tmp_path, "one")
    begin(folder, None, trials, started=False)
    assert of_search(folder, "given") is not None


def test_a_promotion_follows_its_search_unless_told_otherwise(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path, "one")
    storage = of_search(folder, "given")
    begin(folder, storage)
    with Ledger.open(folder.ledger_path) as ledger:
        assert of_promotion(ledger, "one", 1, None) == storage
        second = of_promotion(ledger, "one", 2, "other")
        assert second is not None
        assert of_promotion(ledger, "one", 2, None) == second
        assert noted(ledger, SEARCH) == storage
        with pytest.raises(InputError, match="promotion 1 of 'one' was begun with"):
            of_promotion(ledger, "one", 1, "other")


def test_what_has_ended_is_removed_in_the_background(tmp_path: Path) -> None:
    remover = Remover()
    assert remover.finish() is None
    for name in ("a", "b"):
        Storage.parse("kept").child(name).write("files/x", b"x")
    Storage.parse("kept").child("c").write("x", b"x")
    remover.remove(Storage.parse("kept").child("a"))
    remover.remove_others(Storage.parse("kept"), ["c"])
    assert remover.finish() is None
    assert Storage.parse("kept").list() == {"c/x": 1}


def test_a_storage_that_fails_does_not_hold_up_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PATIENCE_S", 0.0)
    (tmp_path / "kept").touch()  # a file where the folder should be
    remover = Remover()
    remover.remove(Storage.parse("kept").child("a"))
    left = remover.finish()
    assert left is not None
    assert left.startswith("checkpoints of 1 ended trainings are still in the storage: storage ")
