from __future__ import annotations

from pathlib import Path

import pytest

from searchplat.engine.places import Places
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec import to_document
from searchplat.tables.filling import fill, promoted, searched
from searchplat.tables.plan import read_table
from searchplat.tables.rows import read_rows

TABLE = "scale: smoke\nminutes: 6\nsystems: [sasrec]\n"


def test_another_budget_is_not_mixed_with_what_was_found_before(tmp_path: Path) -> None:
    path = tmp_path / "first.yaml"
    path.write_text(TABLE)
    table = read_table(path)
    (entry,) = table.entries
    folder = SearchFolder(tmp_path, entry.search)
    folder.path.mkdir()
    with Ledger.create(folder.ledger_path, to_document(entry.spec), entry.spec.objectives) as ledger:
        assert not searched(folder)
        ledger.note("opened")
        ledger.note("closed", {"state": "done"})
    assert searched(folder)
    assert not promoted(folder, entry)
    assert read_rows(table, tmp_path).missing == ("sasrec",)

    path.write_text(TABLE.replace("6", "12"))
    other = read_table(path)
    said = r"the search 'first-sasrec' is there, but not as the table has it:\n  stages.search.hours: 0.1 -> 0.2"
    for use in (lambda: fill(other, Places(runs=tmp_path), print), lambda: read_rows(other, tmp_path)):
        with pytest.raises(InputError, match=said):
            use()
