"""Commands that are printed for a person to paste into a shell.

Those on a search are put together here alone, so that none forgets `--runs`, or an option that the search needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from searchplat.errors import InputError
from searchplat.ledger import Ledger
from searchplat.ledger.folder import runs_root
from searchplat.methods import ALLOW_IMPORT, asks_for_leave
from searchplat.redaction import HIDDEN, redact
from searchplat.spec import shipped_spaces
from searchplat.spec.model import SearchSpec
from searchplat.views.text import shell_words

TRACKING_URI = "--tracking-uri"

T = TypeVar("T")


def on_search(verb: str, name: str, root: Path | None, *options: str, here: bool = True) -> str:
    """The command `verb` on a search.

    Args:
        root: The folder of all searches; None where it is not known.
        here: Whether it is shown where it is typed. Else, on a page of MLflow, it has to do in any folder.
    """
    return shell_words(["searchplat", verb, name, *options, *_runs(root, here)])


def goes_on(
    spec: SearchSpec, name: str | None, root: Path, given: Sequence[str] = (), *more: str, here: bool = True
) -> str:
    """The command that starts a search, or goes on with it, with all that it was given and needs again.

    Args:
        name: The search's; None where that of the space will do.
        root: The folder of all searches.
        given: What `engine.places.recorded` says.
        more: Further words.
        here: As of `on_search`.
    """
    words = ["--name", name] if name is not None else []
    words += ["--scale", spec.scale] if spec.scale else []
    words += [word for override in spec.overrides for word in ("--set", override)]
    words += [word for search in spec.past for word in ("--past", search)]
    named = [spec.method, *(control.method for control in spec.controls if control.method)]
    words += [ALLOW_IMPORT] if any(map(asks_for_leave, named)) else []
    words += ["--allow-command"] if any(one.of_space and one.command for one in spec.notify) else []
    return on_search("search", space_word(spec, here), root, *words, *_where(given, here), *more, here=here)


def promotes(ledger: Ledger, name: str, here: bool = True) -> str:
    """The command that promotes a search, where its newest driver worked and with the leave that its methods need."""
    from searchplat.engine.places import recorded  # which knows MLflow's address

    document, root = ledger.document(), ledger.path.parent.parent
    named = [one.get("method") for one in (document, *document.get("controls", ()))]
    leave = [ALLOW_IMPORT] if any(map(asks_for_leave, filter(None, named))) else []
    return on_search("promote", name, root, *leave, *_where(recorded(ledger), here), here=here)


def store_words(uri: str, here: bool = True) -> list[str]:
    """What a command needs to find an MLflow store: nothing where it looks by itself, or a password would be shown."""
    from searchplat.tracking.store.address import chosen_uri  # whose package prints such commands

    hidden = HIDDEN in redact(uri)
    return [] if hidden or (here and _default(lambda: chosen_uri(None)) == uri) else [TRACKING_URI, uri]


def space_word(spec: SearchSpec, here: bool = True) -> str:
    """How a command names the space: a shipped one by its bare name, a file in the working folder from there."""
    if shipped_spaces().get(spec.source.stem) == spec.source:
        return spec.source.stem
    folder = _default(Path.cwd)
    if here and folder is not None and spec.source.is_relative_to(folder):
        near = str(spec.source.relative_to(folder))
        return near if near[0] not in "-~" else str(spec.source)
    return str(spec.source)


def _runs(root: Path | None, here: bool) -> list[str]:
    return [] if root is None or (here and root == _default(runs_root)) else ["--runs", str(root)]


def _where(given: Sequence[str], here: bool) -> list[str]:
    """The cluster and the store, of which what the command does by itself is left out."""
    if TRACKING_URI not in given:
        return list(given)
    at = given.index(TRACKING_URI)
    return [*given[:at], *store_words(given[at + 1], here), *given[at + 2 :]]


def _default(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except (InputError, OSError):  # the working folder is gone, or a variable is wrong
        return None
