"""What must hold before a promotion trains anything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from searchplat import hints
from searchplat.contract import SAMPLED, FinalMethod, ProgramMethod
from searchplat.contract.measures import of_targets
from searchplat.errors import InputError
from searchplat.ledger import lineage
from searchplat.methods import check_leave, load_method
from searchplat.promotion.candidates import Candidate
from searchplat.spec.document.typed import field_error, rule_of
from searchplat.spec.model import VALID

_THEN = " then "


def check_methods(candidates: list[Candidate]) -> None:
    """See that every candidate's method trains in full and tests.

    Raises:
        InputError: If one does not.
    """
    for name in dict.fromkeys(candidate.method for candidate in candidates):
        method = load_method(name)
        check_leave(name, method)
        if not isinstance(method, FinalMethod):
            raise InputError(
                f"method {name!r} cannot be promoted: it has no start_final, which trains in full and tests; "
                "subclass trials.training.RecommenderMethod, or add it"
            )


def check_objective(metric: str, search: str, root: Path) -> None:
    """See that what is to decide alone is measured on validation.

    Args:
        root: The folder of all searches.

    Raises:
        InputError: If it is not.
    """
    if not metric.startswith(VALID):
        raise InputError(
            f"--by: a promotion is decided on validation, got {metric!r}; choose trials instead: --trial, see: "
            f"{hints.on_search('best', search, root, '--by', metric)}"
        )


def check_metrics(names: tuple[str, ...], candidates: list[Candidate]) -> None:
    """See that the candidates have what is to be tested.

    Args:
        names: Of metrics.

    Raises:
        InputError: If one is among sampled items and no candidate samples any, or is a name that the method of a
            candidate, which says of validation what it measures, does not know: it would be found out after training.
    """
    among_some = [name for name in names if name.startswith(SAMPLED)]
    if among_some and not any(candidate.config.get("sampled_negatives") for candidate in candidates):
        raise InputError(
            f"promotion.test: {among_some[0]} is among sampled items, but no configuration has sampled_negatives "
            "above 0; leave it out, or search with sampled_negatives under fixed"
        )
    for name in dict.fromkeys(candidate.method for candidate in candidates):
        method = load_method(name)
        if isinstance(method, ProgramMethod) or "metrics" not in method.Config.model_fields:
            continue
        for metric in names:
            if error := field_error(method.Config, "metrics", [metric.removeprefix(SAMPLED)]):
                raise InputError(f"promotion.test: {rule_of(error)}; docs/measures.md has all")
            if metric.startswith(SAMPLED) and not of_targets(metric.removeprefix(SAMPLED)):
                raise InputError(f"promotion.test: {metric} is of lists, which are of all items; leave out {SAMPLED}")


def check_changes(
    search: str, before: list[dict[str, str]], now: dict[str, str], allow: bool, say: Callable[[str], None]
) -> None:
    """See that space, data, code and packages are those of the search.

    Args:
        before: Lineages of the search, and of the promotion if it goes on.
        now: The lineage of what would train.
        allow: Whether to go on in any case.
        say: Told what has changed, or is not known.

    Raises:
        InputError: If they are not, and that is not allowed.
    """
    if not before:
        say(f"{search} was searched before lineages were recorded: whether data and code are the same is not known")
    changes = lineage.changes(before, now)
    if changes and not allow:
        lines = "\n  ".join(changes)
        raise InputError(
            f"search {search!r} ran under other conditions:\n  {lines}\n"
            "Restore them, or promote all the same with --allow-changed, which is recorded."
        )
    for line in changes:
        say(f"changed since the search, and allowed: {line}")


def mixed(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """A promotion's lineage when it goes on: `a then b` where it ran under both."""
    return {
        name: _THEN.join(dict.fromkeys([*old.get(name, "none").split(_THEN), new.get(name, "none")]))
        for name in {**old, **new}
    }
