"""Opening the ledger of a search for writing: made whole or not at all, and never under another space.

A *study* is a search whose trials somebody's own loop runs (`searchplat.api.study`): its ledger says so, as neither may
be taken for the other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from searchplat.errors import InputError
from searchplat.ledger import Ledger, lineage
from searchplat.ledger.folder import SearchFolder
from searchplat.ledger.widenings import WIDENED, widenings
from searchplat.spec import diff, to_document
from searchplat.spec.model import SearchSpec

_KIND, _STUDY = "kind", "study"
_ELSE = (
    "choose another --name, go on in a space that has all its trials with --widen, or start a new search from its "
    "trials with --fork NEWNAME"
)


def is_study(ledger: Ledger) -> bool:
    """Whether its trials are run by somebody's own loop."""
    return ledger.meta(_KIND) == _STUDY


def mark_study(ledger: Ledger) -> None:
    """Say so."""
    ledger.set_meta(_KIND, _STUDY)


def refuse_change(
    folder: SearchFolder, spec: SearchSpec, *, study: bool = False, wider: bool = False, otherwise: str = _ELSE
) -> None:
    """See that a search is still what it was.

    Args:
        study: Whether a loop of somebody's own asks.
        wider: Whether its space may be another one, which `widening` is to look at.
        otherwise: What else can be done than to undo a change.

    Raises:
        InputError: If it was started with another space, or is run by somebody else's loop.
    """
    with folder.read() as ledger:
        if is_study(ledger) and not study:
            raise InputError(
                f"{folder.name!r} in {folder.path.parent} is a study: a loop of its own runs its trials, by "
                "searchplat.Study(..., folder=...); choose another --name"
            )
        if study and not is_study(ledger):
            raise InputError(
                f"{folder.path} is a search, whose trials `searchplat search` runs; choose another folder for the study"
            )
        changes = diff(ledger.document(), to_document(spec))
        left = next((one for one in widenings(ledger) if one.payload["old"] == lineage.space_of(spec)), None)
    if changes and not wider:
        lines = "\n  ".join(changes)
        if left is not None:
            at = datetime.fromtimestamp(left.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
            raise InputError(
                f"search {folder.name!r} was widened on {at} by {left.payload['by']}, and goes on in the wider space "
                f"alone, of which {folder.space_path} is a copy; this is one from before:\n  {lines}\n"
                "Use the wider space, or choose another --name."
            )
        raise InputError(
            f"search {folder.name!r} was started with another space; since then changed:\n  {lines}\n"
            f"Undo the change, {otherwise}."
        )


def open_ledger(folder: SearchFolder, spec: SearchSpec, fill: Callable[[Ledger], None] | None = None) -> Ledger:
    """Open a search's ledger for writing; the caller holds the search's lock.

    Args:
        fill: What a new one begins with.
    """
    if folder.exists():
        ledger = Ledger.open(folder.ledger_path)
        if ledger.newest(WIDENED) is not None:  # whoever widened it may have been killed right after
            _write_space(folder, ledger.document()["text"])
        return ledger
    _write_space(folder, spec.text)
    # Under another name first: a driver killed right here must not leave half a ledger.
    half = folder.ledger_path.with_suffix(".new")
    for path in folder.path.glob("ledger.new*"):
        path.unlink()
    with Ledger.create(half, to_document(spec), spec.objectives) as ledger:
        if fill is not None:
            fill(ledger)
    half.rename(folder.ledger_path)
    return Ledger.open(folder.ledger_path)


def _write_space(folder: SearchFolder, text: str) -> None:
    folder.space_path.write_text(text, encoding="utf-8")
