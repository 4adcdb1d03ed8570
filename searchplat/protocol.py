"""Which items a target is ranked among: all of them, or those that its user has not met yet.

The two give figures that do not compare (popularity's NDCG@10 on MovieLens 100K is 0.0171 and 0.0338), so it is the
data set that says, for all methods of a search alike: `data: {rank_met: ...}`, by default as in the tables of the
papers that use the data set. A resolved space holds it always. Ledgers and models from before had a field
`exclude_history` in every configuration instead, which differed by method; there it still counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPTION = "rank_met"
FORMER = "exclude_history"


def rank_met(options: Mapping[str, Any], config: Mapping[str, Any]) -> bool | None:
    """Whether a training with these data options and this configuration ranks what users have met; None: not known."""
    if FORMER in config:
        return not config[FORMER]
    found = options.get(OPTION)
    return found if isinstance(found, bool) else None


def words(met: bool | None) -> str:
    """What is ranked; empty where it is not known.

    >>> words(True), words(False)
    ('all items, met or not', 'items that the user has not met')
    """
    return {None: "", True: "all items, met or not", False: "items that the user has not met"}[met]


def renewed(options: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Data options and configuration as they are written today, of ones that may be from before."""
    if FORMER not in config:
        return dict(options), dict(config)
    return {**options, OPTION: rank_met(options, config)}, {k: v for k, v in config.items() if k != FORMER}
