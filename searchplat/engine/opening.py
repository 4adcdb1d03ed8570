"""Opens the ledger of a search in its folder, or begins it; the search's lock must be held."""

from __future__ import annotations

from searchplat.engine.fork import copy_trials
from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import SearchFolder
from searchplat.spec import diff, to_document
from searchplat.spec.model import SearchSpec


def refuse_change(folder: SearchFolder, spec: SearchSpec) -> None:
    """Raise `InputError` if a search that is there was started with another space; the text shows the difference."""
    with folder.read() as ledger:
        changes = diff(ledger.document(), to_document(spec))
    if changes:
        lines = "\n  ".join(changes)
        raise InputError(
            f"search {folder.name!r} was started with another space; since then changed:\n  {lines}\n"
            "Undo the change, choose another --name, or start a new search from its trials with --fork NEWNAME."
        )


def open_ledger(folder: SearchFolder, spec: SearchSpec, source: SearchFolder | None) -> Ledger:
    """A search's ledger, which is made if it is not there.

    Args:
        source: Whose trials a new one begins with.
    """
    if folder.exists():
        return Ledger.open(folder.ledger_path)
    folder.space_path.write_text(spec.text, encoding="utf-8")
    # Under another name first: a driver killed right here must not leave half a ledger.
    half = folder.ledger_path.with_suffix(".new")
    for path in folder.path.glob("ledger.new*"):
        path.unlink()
    with Ledger.create(half, to_document(spec), spec.objectives) as ledger:
        if source is not None:
            with source.read() as old:
                copy_trials(old, source.name, ledger, spec)
    half.rename(folder.ledger_path)
    return Ledger.open(folder.ledger_path)
