"""From where targets stand and which items stand first to named metrics; `evaluation` ranks."""

from __future__ import annotations

from collections.abc import Sequence

from searchplat.contract import SAMPLED
from searchplat.contract.measures import GROUPS, USERS, of_targets, parse, split_group
from trials.data.preparing.dataset import IntArray, Queries, SearchData
from trials.training.measures import metrics
from trials.training.measures.evaluation import Ranked
from trials.training.measures.groups import group_ranks
from trials.training.measures.lists import ListMeasures


def longest(names: Sequence[str]) -> int:
    """How many first items the named measures of lists look at; 0 if there is none among them."""
    return max((parse(name).k or 0 for name in names if _of_lists(name)), default=0)


def figures(
    ranked: Ranked, queries: Queries, targets: IntArray, names: Sequence[str], data: SearchData, lists: ListMeasures
) -> dict[str, float]:
    """The named metrics; those of all targets also among the sampled items if there is such a ranking.

    A group in which nobody is has no figures.

    Args:
        targets: `[U]` or `[U, T]`, as they were ranked.
    """
    plain = [name for name in names if of_targets(name)]
    found = metrics.summarise(ranked.ranks_CU[0], plain)
    for ranks in ranked.ranks_CU[1:]:
        found |= {f"{SAMPLED}{name}": value for name, value in metrics.summarise(ranks, plain).items()}
    for group in GROUPS:
        of_group = [rest for one, rest in map(split_group, names) if one == group]
        if of_group and len(ranks := group_ranks(group, data, queries.users_B, targets, ranked.ranks_CU[0])):
            sizes = {USERS: float(len(ranks))} if USERS in of_group else {}
            wanted = [name for name in of_group if name != USERS]
            found |= {f"{group}/{name}": value for name, value in {**metrics.summarise(ranks, wanted), **sizes}.items()}
    return found | lists.summarise(ranked.lists_UK, queries, [name for name in names if _of_lists(name)])


def of_every_group(names: Sequence[str]) -> list[str]:
    """The measures of all targets among the names, over each group, with its number of users."""
    plain = [name for name in names if of_targets(name)]
    return [f"{group}/{name}" for group in GROUPS for name in [USERS, *plain]] if plain else []


def _of_lists(name: str) -> bool:
    return split_group(name)[0] is None and not of_targets(name)
